//! What became of an attempt, and the one event it leaves in the log.
//!
//! Fail2ban and its like find a failure by the begin of the line, up to where the client's own words begin:
//!
//! ```text
//! postrider::auth: peer=\[?<ADDR>\]?:\d+ service=\S+ (?:session=\S+ )?login failed
//! "target":"postrider::auth","peer":"\[?<ADDR>\]?:\d+","service":"[a-z0-9]+",(?:"session":"?\w+"?,)?"message":"login failed"
//! ```

use std::fmt::Write;
use std::time::Duration;

use postrider_protocol::sasl::Verdict;
use postrider_storage::index::Account;

use super::TARGET;
use super::authenticator::Attempt;
use super::resolver::{Answer, Heard};
use super::throttle::Settled;
use crate::telemetry::metrics::{LOGIN_SECONDS, LOGINS};

/// What became of an attempt.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) result: Result<Account, Verdict>,
    /// Who decided: a resolver, or a part of ours.
    by: &'static str,
    /// What everybody said, and why.
    why: String,
    settled: Settled,
}

impl Decision {
    /// `by` vouches.
    pub(super) fn granted(account: Account, by: &'static str, why: String) -> Self {
        Self {
            result: Ok(account),
            by,
            why,
            settled: Settled::Success,
        }
    }

    /// A resolver said yes; the account's row says no.
    pub(super) fn overruled(by: &'static str, why: &str) -> Self {
        Self {
            result: Err(Verdict::Denied),
            by: "row",
            why: format!("{by}: granted; row: {why}"),
            settled: Settled::Failure,
        }
    }

    /// Refused before anybody looked at the password.
    pub(super) fn refused(verdict: Verdict, by: &'static str, why: impl Into<String>) -> Self {
        Self {
            result: Err(verdict),
            by,
            why: why.into(),
            settled: Settled::Neither,
        }
    }

    /// Nobody said yes. While one cannot tell now, nobody can.
    pub(super) fn unproven(heard: &Heard) -> Self {
        let verdict = match heard.in_doubt() {
            true => Verdict::Unavailable,
            false => Verdict::Denied,
        };
        let settled = match heard.guessed() || verdict == Verdict::Denied {
            true => Settled::Failure,
            false => Settled::Neither,
        };
        Self {
            result: Err(verdict),
            by: heard.said.last().map_or("nobody", |(name, _)| name),
            why: trail(heard),
            settled,
        }
    }

    /// How the throttle is to count it.
    pub(super) fn settled(&self) -> Settled {
        self.settled
    }

    /// Writes the event and counts. What the client chose stands last.
    pub(super) fn record(&self, attempt: &Attempt, took: Duration) {
        let (peer, service) = (&attempt.peer, attempt.protocol);
        let (by, why) = (self.by, self.why.as_str());
        let (user, mechanism) = (
            attempt.credentials.user.as_str(),
            attempt.credentials.mechanism,
        );
        let result = match &self.result {
            Ok(account) => {
                let account = account.email.as_str();
                tracing::info!(target: TARGET, %peer, service, by, why, mechanism, account, "login accepted");
                "accepted"
            }
            Err(Verdict::Throttled) => {
                tracing::info!(target: TARGET, %peer, service, by, why, mechanism, user, "login throttled");
                "throttled"
            }
            Err(Verdict::Unavailable) => {
                tracing::warn!(target: TARGET, %peer, service, by, why, mechanism, user, "login not decided");
                "unavailable"
            }
            Err(Verdict::Denied | Verdict::Granted { .. }) => {
                tracing::info!(target: TARGET, %peer, service, by, why, mechanism, user, "login failed");
                "rejected"
            }
        };
        let labels = [
            ("service", service),
            ("mechanism", mechanism),
            ("result", result),
        ];
        metrics::counter!(LOGINS, &labels).increment(1);
        metrics::histogram!(LOGIN_SECONDS, "result" => result).record(took.as_secs_f64());
    }
}

/// `ldap: unavailable, timed out; local: denied, wrong password`
pub(super) fn trail(heard: &Heard) -> String {
    let mut text = String::new();
    for (name, answer) in &heard.said {
        let separator = if text.is_empty() { "" } else { "; " };
        let comma = if *answer == Answer::Granted { "" } else { ", " };
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "{separator}{name}: {}{comma}{}",
            answer.word(),
            answer.why()
        );
    }
    text
}
