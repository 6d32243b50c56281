//! What is asked of the directory: names put into filters and base DNs, escaped.
//!
//! **Invariants.** Whatever a user name holds, the filter keeps the structure that the configuration gave it, and so does the DN.

use std::borrow::Cow;

use ldap3::{dn_escape, ldap_escape};

/// Puts a user into a configured filter: `{email}` is the address, `{uid}` its local part (RFC 4515 section 3).
pub(super) fn for_user(filter: &str, email: &str) -> String {
    let uid = email.rsplit_once('@').map_or(email, |(local, _)| local);
    fill(
        filter,
        &[("{email}", ldap_escape(email)), ("{uid}", ldap_escape(uid))],
    )
}

/// Puts a domain into a configured base DN (RFC 4514 section 2.4).
pub(super) fn for_domain(base_dn: &str, domain: &str) -> String {
    fill(base_dn, &[("{domain}", dn_escape(domain))])
}

/// Both must hold.
pub(super) fn both(one: &str, other: &str) -> String {
    format!("(&{one}{other})")
}

/// Puts each value in its places, once: what a value holds is never taken for a place.
fn fill(template: &str, values: &[(&str, Cow<'_, str>)]) -> String {
    let mut filled = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let value = values.iter().find(|(place, _)| rest.starts_with(place));
        match value {
            Some((place, value)) => {
                filled.push_str(value);
                rest = &rest[place.len()..];
            }
            None => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTER: &str = "(&(objectClass=inetOrgPerson)(|(mail={email})(uid={uid})))";

    #[test]
    fn puts_the_user_in() {
        assert_eq!(
            for_user(FILTER, "ada@example.test"),
            "(&(objectClass=inetOrgPerson)(|(mail=ada@example.test)(uid=ada)))"
        );
        assert_eq!(for_user("(x={other})", "a@b"), "(x={other})");
        assert_eq!(for_user("(mail={email})", "{uid}@b"), "(mail={uid}@b)");
    }

    #[test]
    fn attack_29_names_are_values_in_filters() {
        for (name, mail) in [
            ("*)(uid=*", "\\2a\\29\\28uid=\\2a"),
            (
                "a)(|(objectClass=*)@b",
                "a\\29\\28|\\28objectClass=\\2a\\29@b",
            ),
            ("back\\slash@b", "back\\5cslash@b"),
            ("nul\0@b", "nul\\00@b"),
        ] {
            let filter = for_user("(mail={email})", name);
            assert_eq!(filter, format!("(mail={mail})"));
            assert!(ldap3::parse_filter(filter.as_str()).is_ok(), "{filter}");
        }
        // However strange, it stays one item: as many parentheses as the configuration has.
        for name in ["))))((((@b", "&|!=~<>*@b", "\\2a@b", "(@b", "@", ""] {
            let filter = for_user(FILTER, name);
            assert_eq!(filter.matches('(').count(), FILTER.matches('(').count());
            assert_eq!(filter.matches(')').count(), FILTER.matches(')').count());
            assert_eq!(filter.matches('*').count(), 0, "{filter}");
        }
    }

    #[test]
    fn attack_29_domains_are_values_in_names() {
        let base = "ou=people,o={domain},dc=test";
        assert_eq!(for_domain(base, "a.test"), "ou=people,o=a.test,dc=test");
        assert_eq!(for_domain("dc=test", "a.test"), "dc=test");
        for (domain, value) in [
            ("x,o=other", "x\\2co\\3dother"),
            ("a+cn=b", "a\\2bcn\\3db"),
            (" #\"<>;\\ ", "\\20#\\22\\3c\\3e\\3b\\5c\\20"),
        ] {
            assert_eq!(
                for_domain(base, domain),
                format!("ou=people,o={value},dc=test")
            );
        }
    }
}
