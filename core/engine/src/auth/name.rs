//! User names in the form in which the index knows accounts.

use postrider_protocol::message::address::Address;

/// The address that a user name means: NFC, lower case, the domain in A-labels. What is no address is folded alike and names nobody.
pub(super) fn fold(user: &str) -> String {
    user.parse()
        .map_or_else(|_| user.to_lowercase(), |it: Address| it.lookup_key())
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn names_that_mean_one_account_become_equal() {
        for name in [
            "ada@example.test",
            "Ada@EXAMPLE.Test",
            "\"ada\"@example.test",
        ] {
            assert_eq!(fold(name), "ada@example.test");
        }
        // Credentials bring NFC; small letters keep it.
        assert_eq!(
            fold("J\u{dc}rgen@b\u{fc}cher.test"),
            "j\u{fc}rgen@xn--bcher-kva.test"
        );
    }

    #[test]
    fn what_is_no_address_stays_what_it_is() {
        for name in [
            "ada",
            "' OR '1'='1",
            "*)(uid=*",
            "a@b@c",
            "@x",
            "../../etc/passwd",
        ] {
            assert_eq!(fold(name), name.to_lowercase());
        }
    }
}
