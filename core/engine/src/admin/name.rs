//! Names as operators type them, brought to the form in which the index knows them.

use postrider_protocol::message::address::{Address, AddressError, Domain};

use super::AdminError;

/// A domain in lower-case A-labels.
pub(super) fn domain_name(text: &str) -> Result<String, AdminError> {
    let bad = || AdminError::BadDomain(text.to_owned());
    let domain: Domain = text.trim().parse().map_err(|_| bad())?;
    domain.name().map(str::to_owned).ok_or_else(bad)
}

/// The address of a user: in look-up form, and the name of its domain.
pub(super) fn user_address(text: &str) -> Result<(String, String), AdminError> {
    let bad = |why| AdminError::BadAddress {
        text: text.to_owned(),
        why,
    };
    let address: Address = text.trim().parse().map_err(|error| bad(why(error)))?;
    let domain = address
        .domain()
        .name()
        .ok_or_else(|| bad("its domain is an address literal"))?;
    if address.to_string().starts_with('"') {
        return Err(bad(
            "its local part would need quoting, which few programs understand",
        ));
    }
    Ok((address.lookup_key(), domain.to_owned()))
}

/// The source of an alias: an address of ours, or `@domain`; and the name of its domain.
pub(super) fn alias_source(text: &str) -> Result<(String, String), AdminError> {
    match text.trim().strip_prefix('@') {
        Some(domain) => {
            let domain = domain_name(domain)?;
            Ok((format!("@{domain}"), domain))
        }
        None => user_address(text),
    }
}

/// The destination of an alias: any address, here or elsewhere.
pub(super) fn alias_destination(text: &str) -> Result<String, AdminError> {
    let bad = |why| AdminError::BadAddress {
        text: text.to_owned(),
        why,
    };
    let address: Address = text.trim().parse().map_err(|error| bad(why(error)))?;
    Ok(address.to_string())
}

fn why(error: AddressError) -> &'static str {
    match error {
        AddressError::Malformed => "it must be local-part@domain",
        AddressError::Local => "its local part is malformed",
        AddressError::Domain => "its domain is malformed",
        AddressError::TooLong => "it is too long",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_to_one_form() {
        assert_eq!(domain_name(" Example.COM "), Ok("example.com".to_owned()));
        assert_eq!(
            domain_name("bücher.example"),
            Ok("xn--bcher-kva.example".to_owned())
        );
        for bad in [
            "",
            "a b",
            "-x.example",
            "example..com",
            "[192.0.2.1]",
            "@example.com",
            "a@b",
        ] {
            assert_eq!(domain_name(bad), Err(AdminError::BadDomain(bad.to_owned())));
        }
        let address = user_address("Ada.Lovelace@Example.COM");
        assert_eq!(
            address,
            Ok((
                "ada.lovelace@example.com".to_owned(),
                "example.com".to_owned()
            ))
        );
        assert_eq!(
            alias_source("@Example.com"),
            Ok(("@example.com".to_owned(), "example.com".to_owned()))
        );
        assert_eq!(
            alias_destination("Ada@Elsewhere.Example"),
            Ok("Ada@elsewhere.example".to_owned())
        );
    }

    #[test]
    fn says_what_is_wrong_with_an_address() {
        for (text, message) in [
            (
                "ada",
                "\"ada\" is not an address: it must be local-part@domain",
            ),
            (
                "ada@[192.0.2.1]",
                "\"ada@[192.0.2.1]\" is not an address: its domain is an address literal",
            ),
            (
                "a b@example.com",
                "\"a b@example.com\" is not an address: its local part is malformed",
            ),
            (
                "\"a b\"@example.com",
                "\"\\\"a b\\\"@example.com\" is not an address: its local part would need quoting, which few programs understand",
            ),
            (
                "ada@exa mple.com",
                "\"ada@exa mple.com\" is not an address: its domain is malformed",
            ),
        ] {
            let error = user_address(text).expect_err(text);
            assert_eq!(error.to_string(), message);
        }
    }
}
