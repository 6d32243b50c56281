//! What becomes of a request that failed: repeated, and when, or given up.
//!
//! Everything the store does for us may be repeated: names are unique and octets under a name never change.

use std::time::Duration;

use crate::{Error, blob::Repeat};

/// The first pause; doubled each time.
const FIRST: Duration = Duration::from_millis(50);
/// The longest pause that we choose.
const LONGEST: Duration = Duration::from_secs(3);
/// The longest pause that the store may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(30);

/// Why a request did not do what it should.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The store said no.
    Refused {
        /// HTTP's number.
        status: u16,
        /// The code in the answer; empty if there is none.
        code: String,
        /// `Retry-After`
        after: Option<Duration>,
    },
    /// No connection, or it broke; the outcome is unknown.
    Broken(String),
    /// No answer in time; the outcome is unknown.
    TimedOut,
    /// Ours: the request could not be made.
    Ours(Error),
}

impl Failure {
    /// Whether the same request may fare better.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Refused { status, code, .. } => {
                // The octets suffered on the way, or we were too slow for it.
                let on_the_way = [
                    "BadDigest",
                    "XAmzContentSHA256Mismatch",
                    "RequestTimeout",
                    "IncompleteBody",
                    "SlowDown",
                ];
                matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
                    || on_the_way.contains(&code.as_str())
            }
            Self::Broken(_) | Self::TimedOut => true,
            Self::Ours(_) => false,
        }
    }

    /// What a repetition is counted as.
    pub(super) fn repeat(&self) -> Repeat {
        match self {
            Self::Refused { status, code, .. } => match (status, code.as_str()) {
                (_, "SlowDown") | (429 | 503, _) => Repeat::Busy,
                (404, _) => Repeat::Late,
                (400..500, _) => Repeat::Spoiled,
                _ => Repeat::Failed,
            },
            Self::TimedOut => Repeat::TimedOut,
            Self::Broken(_) | Self::Ours(_) => Repeat::Broken,
        }
    }

    /// Whether it is this answer.
    pub(super) fn is(&self, wanted: u16, name: &str) -> bool {
        matches!(self, Self::Refused { status, code, .. } if *status == wanted && code == name)
    }

    /// `Retry-After`
    pub(super) fn after(&self) -> Option<Duration> {
        match self {
            Self::Refused { after, .. } => *after,
            _ => None,
        }
    }

    /// What the one who asked hears. What we do not understand is temporary (I8).
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Refused { status, code, .. } => {
                let hint = match code.as_str() {
                    "RequestTimeTooSkewed" => "; is the clock of this machine right?",
                    "SignatureDoesNotMatch" => "; is the secret key right?",
                    "AccessDenied" => "; these keys lack the right",
                    "InvalidAccessKeyId" => "; is the access key right?",
                    "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
                        "; are endpoint and region right?"
                    }
                    _ => "",
                };
                let code = if code.is_empty() { "no code" } else { &code };
                Error::Unavailable(format!("the store answered {status} {code}{hint}"))
            }
            Self::Broken(why) => Error::Unavailable(why),
            Self::TimedOut => Error::Unavailable("the store did not answer in time".to_owned()),
            Self::Ours(error) => error,
        }
    }
}

/// How long to wait before the `repeated`th repetition; `random` is any number.
pub(super) fn pause(repeated: u32, after: Option<Duration>, random: u32) -> Duration {
    let full = FIRST.saturating_mul(1 << repeated.min(16)).min(LONGEST);
    // From a half to the whole: spread, and never at once.
    let spread = full.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0);
    match after {
        // The spread on top: all who were told the same would come back together.
        Some(asked) => asked.min(LONGEST_ASKED) + spread,
        None => spread,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> Failure {
        Failure::Refused {
            status,
            code: code.to_owned(),
            after: None,
        }
    }

    #[test]
    fn attack_44_what_may_pass_is_repeated() {
        for failure in [
            refused(500, "InternalError"),
            refused(503, "SlowDown"),
            refused(503, ""),
            refused(400, "RequestTimeout"),
            refused(400, "BadDigest"),
            refused(429, "TooManyRequests"),
            Failure::Broken(String::new()),
            Failure::TimedOut,
        ] {
            assert!(failure.may_pass(), "{failure:?}");
            assert!(matches!(failure.into_error(), Error::Unavailable(_)));
        }
        for failure in [
            refused(403, "AccessDenied"),
            refused(404, "NoSuchKey"),
            refused(400, "InvalidRequest"),
            refused(301, "PermanentRedirect"),
            refused(403, "QuotaExceeded"),
        ] {
            assert!(!failure.may_pass(), "{failure:?}");
            assert!(matches!(failure.into_error(), Error::Unavailable(_)));
        }
    }

    #[test]
    fn repetitions_are_counted_by_what_went_wrong() {
        for (failure, repeat) in [
            (refused(503, "SlowDown"), Repeat::Busy),
            (refused(503, ""), Repeat::Busy),
            (refused(429, "TooManyRequests"), Repeat::Busy),
            (refused(500, "InternalError"), Repeat::Failed),
            (refused(400, "BadDigest"), Repeat::Spoiled),
            (refused(404, "NoSuchKey"), Repeat::Late),
            (Failure::Broken(String::new()), Repeat::Broken),
            (Failure::TimedOut, Repeat::TimedOut),
        ] {
            assert_eq!(failure.repeat(), repeat, "{failure:?}");
        }
    }

    #[test]
    fn pauses_grow_are_spread_and_end() {
        let whole = |repeated| pause(repeated, None, u32::MAX);
        let half = |repeated| pause(repeated, None, 0);
        assert_eq!(half(0), FIRST / 2);
        assert_eq!(whole(0), FIRST);
        assert_eq!(whole(1), FIRST * 2);
        assert_eq!(whole(40), LONGEST);
        assert_eq!(half(u32::MAX), LONGEST / 2);
        let asked = Duration::from_secs(7);
        assert!(pause(0, Some(asked), 0) > asked);
        assert!(pause(0, Some(Duration::MAX), u32::MAX) < LONGEST_ASKED + LONGEST);
    }
}
