//! Binds: the only place that sends a name and a password, and the only one that reads what the server says to them.
//!
//! **Invariants.** Neither name nor password is ever empty: RFC 4513 section 5.1.1 and section 5.1.2 make anonymous and
//! unauthenticated binds of those, which many servers answer with success. Success is the code `success` and nothing else.

use ldap3::Ldap;
use postrider_protocol::secret::Secret;

use super::error::Code;

/// The name of an entry; not empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct BindDn(String);

impl BindDn {
    /// None for an empty one.
    pub(super) fn new(dn: &str) -> Option<Self> {
        (!dn.trim().is_empty()).then(|| Self(dn.to_owned()))
    }
}

/// A password; not empty.
#[derive(Clone, Debug)]
pub(super) struct BindPassword(Secret<String>);

impl BindPassword {
    /// None for an empty one.
    pub(super) fn new(password: &Secret<String>) -> Option<Self> {
        (!password.expose().is_empty()).then(|| Self(password.clone()))
    }
}

/// What a server says to a name and a password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Bound {
    /// It is the one.
    Yes,
    /// It is not, or may not.
    No(String),
    /// The server cannot tell.
    Unclear(Code),
}

/// Binds a connection.
///
/// # Errors
/// The connection broke.
pub(super) async fn bind(
    ldap: &mut Ldap,
    dn: &BindDn,
    password: &BindPassword,
) -> Result<Bound, ldap3::LdapError> {
    let result = ldap.simple_bind(&dn.0, password.0.expose()).await?;
    Ok(read(Code::of(&result)))
}

fn read(code: Code) -> Bound {
    match code.number {
        Code::SUCCESS => Bound::Yes,
        // Codes by which servers say that this one may not, or not with this password: 19 and 53 come for locked and inactive entries.
        Code::INVALID_CREDENTIALS
        | Code::INAPPROPRIATE
        | Code::INSUFFICIENT_RIGHTS
        | Code::UNWILLING
        | Code::CONSTRAINT
        | Code::NO_SUCH_OBJECT => Bound::No(why(&code)),
        _ => Bound::Unclear(code),
    }
}

/// What the code means. Active Directory tells more in the words beside it.
fn why(code: &Code) -> String {
    let hidden = [
        ("data 525", "no such entry"),
        ("data 52e", "wrong password"),
        ("data 530", "not at this time"),
        ("data 531", "not from here"),
        ("data 532", "the password has expired"),
        ("data 533", "the entry is disabled"),
        ("data 701", "the entry has expired"),
        ("data 773", "the password must be changed first"),
        ("data 775", "the entry is locked"),
    ];
    if let Some((_, why)) = hidden.iter().find(|(mark, _)| code.text.contains(mark)) {
        return (*why).to_owned();
    }
    match code.number {
        Code::INVALID_CREDENTIALS => "wrong password, or the entry is locked".to_owned(),
        _ => code.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(number: u32, text: &str) -> Code {
        Code {
            number,
            text: text.to_owned(),
        }
    }

    #[test]
    fn attack_30_no_bind_without_name_and_password() {
        assert!(BindPassword::new(&Secret::new(String::new())).is_none());
        assert!(BindDn::new("").is_none() && BindDn::new("  ").is_none());
        assert!(BindDn::new("cn=a").is_some());
        assert!(BindPassword::new(&Secret::new(" ".to_owned())).is_some());
    }

    #[test]
    fn attack_30_only_success_is_a_yes() {
        assert_eq!(read(code(0, "")), Bound::Yes);
        for number in 1..=200 {
            assert_ne!(read(code(number, "")), Bound::Yes, "{number}");
        }
        for number in [19, 32, 48, 49, 50, 53] {
            assert!(matches!(read(code(number, "")), Bound::No(_)), "{number}");
        }
        // Busy, unavailable, a referral: not the user's fault.
        for number in [1, 2, 3, 8, 10, 14, 51, 52, 80, 123] {
            let said = read(code(number, ""));
            assert!(matches!(said, Bound::Unclear(_)), "{number}");
        }
    }

    #[test]
    fn active_directory_says_why() {
        let text = "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 533, v3839";
        let said = read(code(49, text));
        assert_eq!(said, Bound::No("the entry is disabled".to_owned()));
    }
}
