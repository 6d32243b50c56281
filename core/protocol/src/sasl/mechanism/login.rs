//! LOGIN: user name, then password, each asked for; as clients do it, there is no RFC
//! (RFC 4422 section 3 for the exchange; the name stands in the IANA registry as obsolete).
//!
//! Outlook and some printers know nothing else. The user name may come as initial response.

use super::{Mechanism, Progress};
use crate::sasl::exchange::{Exposure, Spec};
use crate::sasl::{Credentials, Failure, identity};

pub(in crate::sasl) const SPEC: Spec = Spec {
    name: "LOGIN",
    exposure: Exposure::Password,
    start: || Box::new(Login { user: None }),
};

#[derive(Debug)]
struct Login {
    user: Option<String>,
}

impl Mechanism for Login {
    fn proceed(&mut self, response: Option<&[u8]>) -> Result<Progress, Failure> {
        let Some(value) = response else {
            return Ok(Progress::Challenge(b"Username:"));
        };
        match self.user.take() {
            None => {
                self.user = Some(identity(value)?);
                Ok(Progress::Challenge(b"Password:"))
            }
            Some(user) => {
                Credentials::new(SPEC.name, b"", user.as_bytes(), value).map(Progress::Credentials)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sasl::{Channel, Exchange, Step};

    fn challenge(step: Step) -> (String, Exchange) {
        match step {
            Step::Challenge { text, exchange } => (text, exchange),
            step => panic!("no challenge: {step:?}"),
        }
    }

    fn credentials(step: Step) -> (String, Vec<u8>) {
        match step {
            Step::Credentials(c) => (c.user, c.password.expose().clone()),
            step => panic!("no credentials: {step:?}"),
        }
    }

    #[test]
    fn both_are_asked_for() {
        let step = Exchange::begin(b"LOGIN", Channel::Confidential, None);
        let (text, exchange) = challenge(step);
        assert_eq!(text, "VXNlcm5hbWU6");
        let (text, exchange) = challenge(exchange.respond(b"YWRhQHgudGVzdA=="));
        assert_eq!(text, "UGFzc3dvcmQ6");
        let got = credentials(exchange.respond(b"c2VjcmV0"));
        assert_eq!(got, ("ada@x.test".into(), b"secret".to_vec()));
    }

    #[test]
    fn the_user_name_may_come_first() {
        let step = Exchange::begin(b"login", Channel::Confidential, Some(b"YWRhQHgudGVzdA=="));
        let (text, exchange) = challenge(step);
        assert_eq!(text, "UGFzc3dvcmQ6");
        assert_eq!(credentials(exchange.respond(b"cA==")).1, b"p");
    }

    #[test]
    fn empty_values_are_refused() {
        let begin = |initial| Exchange::begin(b"LOGIN", Channel::Confidential, initial);
        assert!(matches!(begin(Some(b"=")), Step::Failed(_)));
        let (_, exchange) = challenge(begin(Some(b"YWRh")));
        assert!(matches!(exchange.respond(b""), Step::Failed(_)));
    }
}
