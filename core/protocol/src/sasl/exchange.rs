//! An exchange of challenges and responses in base64, as SMTP, IMAP and POP3 carry it
//! (RFC 4422 section 3, RFC 4954 section 4, RFC 9051 section 6.2.2, RFC 5034 section 4).
//!
//! **Invariants.** A step that ends the exchange ends its value too: there is nothing left to answer.
//! **Bounds.** A response is at most [`RESPONSE_LIMIT`] octets; a mechanism asks for at most two.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use zeroize::Zeroizing;

use super::mechanism::{Mechanism, Progress, login, plain};
use super::{Credentials, Failure, RESPONSE_LIMIT};
use crate::tls::Secrecy;

/// One mechanism of the table.
#[derive(Debug)]
pub struct Spec {
    /// Its name in the IANA registry.
    pub name: &'static str,
    /// Whether who listens to the connection learns the password.
    pub exposure: Exposure,
    /// A fresh exchange.
    pub(super) start: fn() -> Box<dyn Mechanism>,
}

/// What who listens to an exchange learns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exposure {
    /// The password itself.
    Password,
    /// Nothing of use.
    Nothing,
}

/// Every mechanism we speak; the order is the order of the capability lists.
pub const MECHANISMS: &[Spec] = &[plain::SPEC, login::SPEC];

/// Whether who listens to the connection can read it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Channel {
    /// TLS is on, or the operator says that a proxy has ended it.
    Confidential,
    /// Anybody may listen.
    Clear,
}

/// Whether passwords may be sent without TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlaintextLogin {
    /// Never.
    Refused,
    /// A proxy in front has ended the TLS, says the operator.
    Allowed,
}

impl Channel {
    /// Who can read a connection with such TLS, where such login is allowed.
    pub const fn of(secrecy: Secrecy, plaintext_login: PlaintextLogin) -> Self {
        match (secrecy, plaintext_login) {
            (Secrecy::Tls, _) | (_, PlaintextLogin::Allowed) => Self::Confidential,
            (Secrecy::Clear, PlaintextLogin::Refused) => Self::Clear,
        }
    }
}

/// The names of the mechanisms that may be used on such a channel.
pub fn offered(channel: Channel) -> impl Iterator<Item = &'static str> {
    let may =
        move |spec: &&Spec| channel == Channel::Confidential || spec.exposure == Exposure::Nothing;
    MECHANISMS.iter().filter(may).map(|spec| spec.name)
}

/// An exchange that waits for the client's next response.
#[derive(Debug)]
pub struct Exchange(Box<dyn Mechanism>);

/// What follows from a response.
#[derive(Debug)]
pub enum Step {
    /// Send the challenge, then bring the next line to [`Exchange::respond`].
    Challenge {
        /// Base64, without the protocol's `334 ` or `+ `; may be empty.
        text: String,
        /// The exchange, waiting.
        exchange: Exchange,
    },
    /// The engine may judge.
    Credentials(Credentials),
    /// It is over.
    Failed(Failure),
}

impl Exchange {
    /// Begins with what the client's AUTH or AUTHENTICATE command said. `initial` is base64; `=` is an empty one.
    pub fn begin(name: &[u8], channel: Channel, initial: Option<&[u8]>) -> Step {
        let Some(spec) = MECHANISMS
            .iter()
            .find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
        else {
            return Step::Failed(Failure::UnknownMechanism);
        };
        if channel == Channel::Clear && spec.exposure == Exposure::Password {
            return Step::Failed(Failure::EncryptionRequired);
        }
        let exchange = Self((spec.start)());
        match initial {
            None => exchange.proceed(None),
            Some(b"=") => exchange.proceed(Some(&[])),
            // An empty one can only be written `=`; this is a stray space.
            Some(b"") => Step::Failed(Failure::Encoding),
            Some(text) => exchange.decode(text),
        }
    }

    /// Takes the client's answer to a challenge: a line of base64, or `*` to cancel.
    pub fn respond(self, line: &[u8]) -> Step {
        match line {
            b"*" => Step::Failed(Failure::Cancelled),
            text => self.decode(text),
        }
    }

    fn decode(self, text: &[u8]) -> Step {
        if text.len() > RESPONSE_LIMIT {
            return Step::Failed(Failure::TooLong);
        }
        // Room for all of it at once, so that no reallocation leaves a copy behind.
        let mut response = Zeroizing::new(Vec::with_capacity(text.len()));
        match BASE64.decode_vec(text, &mut response) {
            Ok(()) => self.proceed(Some(&response)),
            Err(_) => Step::Failed(Failure::Encoding),
        }
    }

    fn proceed(mut self, response: Option<&[u8]>) -> Step {
        match self.0.proceed(response) {
            Ok(Progress::Challenge(challenge)) => Step::Challenge {
                text: BASE64.encode(challenge),
                exchange: self,
            },
            Ok(Progress::Credentials(credentials)) => Step::Credentials(credentials),
            Err(failure) => Step::Failed(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn begin(name: &str, initial: Option<&str>) -> Step {
        Exchange::begin(
            name.as_bytes(),
            Channel::Confidential,
            initial.map(str::as_bytes),
        )
    }

    fn failure(step: Step) -> Failure {
        match step {
            Step::Failed(failure) => failure,
            step => panic!("not refused: {step:?}"),
        }
    }

    fn challenged(step: Step) -> Exchange {
        match step {
            Step::Challenge { exchange, .. } => exchange,
            step => panic!("no challenge: {step:?}"),
        }
    }

    #[test]
    fn names_are_of_any_case_and_whole() {
        assert!(matches!(begin("plAIN", None), Step::Challenge { .. }));
        assert_eq!(failure(begin("PLAI", None)), Failure::UnknownMechanism);
        assert_eq!(failure(begin("PLAINS", None)), Failure::UnknownMechanism);
        assert_eq!(failure(begin("", None)), Failure::UnknownMechanism);
    }

    #[test]
    fn a_clear_channel_takes_no_password() {
        assert_eq!(offered(Channel::Clear).count(), 0);
        assert_eq!(
            offered(Channel::Confidential).collect::<Vec<_>>(),
            ["PLAIN", "LOGIN"]
        );
        for name in ["PLAIN", "LOGIN"] {
            let step = Exchange::begin(name.as_bytes(), Channel::Clear, Some(b"AGFkYQBw"));
            assert_eq!(failure(step), Failure::EncryptionRequired);
        }
    }

    #[test]
    fn a_star_cancels_a_challenge_but_is_no_initial_response() {
        assert_eq!(
            failure(challenged(begin("PLAIN", None)).respond(b"*")),
            Failure::Cancelled
        );
        assert_eq!(
            failure(challenged(begin("LOGIN", None)).respond(b"*")),
            Failure::Cancelled
        );
        assert_eq!(failure(begin("PLAIN", Some("*"))), Failure::Encoding);
    }

    #[test]
    fn attack_4_base64_is_strict() {
        for text in [
            "AGFkYQBw=",
            "AGFkYQBw AGFk",
            "AGFkYQ",
            "AGFkYR==",
            "AGFkYQBw\0",
            "\u{fc}",
            "====",
            "A",
            "",
        ] {
            assert_eq!(
                failure(begin("PLAIN", Some(text))),
                Failure::Encoding,
                "{text:?}"
            );
        }
        let exchange = challenged(begin("PLAIN", None));
        assert_eq!(failure(exchange.respond(b"not base64")), Failure::Encoding);
    }

    #[test]
    fn attack_5_a_huge_response_is_refused() {
        let text = "QUFB".repeat(RESPONSE_LIMIT / 4);
        assert_eq!(failure(begin("LOGIN", Some(&text))), Failure::TooLong);
        assert_eq!(
            failure(begin("LOGIN", Some(&(text + "QUFB")))),
            Failure::TooLong
        );
    }

    proptest! {
        #[test]
        fn no_input_panics_and_every_exchange_ends(
            name in prop::sample::select(vec!["PLAIN", "LOGIN", "", "X"]),
            initial in prop::option::of(prop::collection::vec(any::<u8>(), 0..80)),
            raw in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 3),
            encoded in any::<bool>(),
        ) {
            let write = |octets: &[u8]| if encoded { BASE64.encode(octets).into_bytes() } else { octets.to_vec() };
            let initial = initial.as_deref().map(write);
            let mut step = Exchange::begin(name.as_bytes(), Channel::Confidential, initial.as_deref());
            for response in &raw {
                step = match step {
                    Step::Challenge { exchange, .. } => exchange.respond(&write(response)),
                    step => step,
                };
            }
            let over = !matches!(step, Step::Challenge { .. });
            prop_assert!(over);
        }
    }
}
