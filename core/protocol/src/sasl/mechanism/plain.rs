//! PLAIN: `[authzid] NUL authcid NUL passwd` in one response (RFC 4616 section 2).

use super::{Mechanism, Progress};
use crate::sasl::exchange::{Exposure, Spec};
use crate::sasl::{Credentials, Failure};

pub(in crate::sasl) const SPEC: Spec = Spec {
    name: "PLAIN",
    exposure: Exposure::Password,
    start: || Box::new(Plain),
};

#[derive(Debug)]
struct Plain;

impl Mechanism for Plain {
    fn proceed(&mut self, response: Option<&[u8]>) -> Result<Progress, Failure> {
        let Some(message) = response else {
            return Ok(Progress::Challenge(b""));
        };
        let mut fields = message.split(|&octet| octet == 0);
        let (Some(authzid), Some(authcid), Some(passwd), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(Failure::Malformed);
        };
        Credentials::new(SPEC.name, authzid, authcid, passwd).map(Progress::Credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(message: &[u8]) -> Result<(String, String, Vec<u8>), Failure> {
        match Plain.proceed(Some(message))? {
            Progress::Credentials(c) => Ok((c.authorize_as, c.user, c.password.expose().clone())),
            progress => panic!("{progress:?}"),
        }
    }

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 4616 section 4.
        let first = given(b"\0tim\0tanstaaftanstaaf").expect("good");
        assert_eq!(
            first,
            (String::new(), "tim".into(), b"tanstaaftanstaaf".to_vec())
        );
        let second = given(b"Ursel\0Kurt\0xipj3plmq").expect("good");
        assert_eq!(
            second,
            ("Ursel".into(), "Kurt".into(), b"xipj3plmq".to_vec())
        );
    }

    #[test]
    fn without_initial_response_the_challenge_is_empty() {
        let progress = Plain.proceed(None).expect("good");
        assert!(matches!(progress, Progress::Challenge(b"")));
    }

    #[test]
    fn fields_missing_empty_or_too_many() {
        assert_eq!(given(b""), Err(Failure::Malformed));
        assert_eq!(given(b"tim"), Err(Failure::Malformed));
        assert_eq!(given(b"\0tim"), Err(Failure::Malformed));
        assert_eq!(given(b"\0tim\0secret\0"), Err(Failure::Malformed));
        assert_eq!(given(b"\0\0secret"), Err(Failure::Empty));
        assert_eq!(given(b"\0tim\0"), Err(Failure::Empty));
    }
}
