//! Tests of SMTP addresses: what is read, refused and printed, and attack 14.

use super::*;
use proptest::prelude::*;

fn address(text: &str) -> Result<Address, AddressError> {
    text.parse()
}

fn printed(text: &str) -> String {
    address(text).expect(text).to_string()
}

#[test]
fn prints_what_it_read() {
    for text in [
        "ada@example.com",
        "a.b+c@example.com",
        "user/dept=shipping@x.example",
        "\"a b\"@example.com",
        "\"a@b\"@example.com",
        "\"a\\\"b\"@example.com",
        "\"a\\\\b\"@example.com",
        "\"a..b\"@example.com",
        "\"<script>\"@example.com",
        "postmaster@[192.0.2.1]",
        "postmaster@[IPv6:2001:db8::1]",
        "철수@example.com",
        "postmaster@localhost",
    ] {
        assert_eq!(printed(text), text);
    }
}

#[test]
fn equal_addresses_are_equal_values() {
    assert_eq!(printed("\"ada\"@Example.COM"), "ada@example.com");
    assert_eq!(printed("\"a\\d\\a\"@example.com"), "ada@example.com");
    assert_eq!(printed("a@[ipv6:2001:DB8:0::1]"), "a@[IPv6:2001:db8::1]");
    assert_eq!(printed("a@Bücher.example"), "a@xn--bcher-kva.example");
    assert_eq!(printed("a@한국.kr"), "a@xn--3e0b707e.kr");
    assert_eq!(printed("Ada@example.com"), "Ada@example.com");
}

#[test]
fn refuses_what_is_no_address() {
    for text in [
        "",
        "@",
        "a",
        "a@",
        "@b",
        "a@@b",
        "a@b@c",
        "a b@c",
        "a @c",
        "a@ c",
        "(x)a@b",
        "a@b(x)",
        ".a@b",
        "a.@b",
        "a..b@c",
        "<a@b>",
        "<@b>",
        "a@b.",
        "a@.b",
        "a@b..c",
        "a@-b",
        "a@b-",
        "a@b,c",
        "\"\"@b",
        "\"a@b",
        "\"a\"b@c",
        "a\"b\"@c",
        "\"a\r\n\"@b",
        "\"a\0\"@b",
        "a\r\n@b",
        "a@b\r\n",
        "a@[1.2.3]",
        "a@[1.2.3.4",
        "a@[IPv6:zz]",
        "a@[x:y]",
        "a@b c",
        "a@b/c",
        "\u{7f}@b",
        "a@\u{2024}b",
        "\"a\\\u{e9}\"@b",
        "a@[é.é.é",
    ] {
        assert!(address(text).is_err(), "{text:?} was taken");
    }
    assert_eq!(Address::from_bytes(b"\xff@b"), Err(AddressError::Malformed));
}

#[test]
fn limits_are_exact() {
    let local = "l".repeat(LOCAL_LIMIT);
    assert!(address(&format!("{local}@b")).is_ok());
    assert_eq!(address(&format!("{local}l@b")), Err(AddressError::TooLong));
    let label = "d".repeat(63);
    let domain = format!("{label}.{label}.{label}.");
    let fits = format!(
        "{}@{domain}{}",
        "l",
        "d".repeat(ADDRESS_LIMIT - 2 - domain.len())
    );
    assert_eq!(fits.len(), ADDRESS_LIMIT);
    assert!(address(&fits).is_ok());
    assert_eq!(address(&format!("l{fits}")), Err(AddressError::TooLong));
    assert_eq!(
        address(&format!("a@{}", "d".repeat(64))),
        Err(AddressError::Domain)
    );
    assert_eq!(address(&"a".repeat(1 << 20)), Err(AddressError::TooLong));
}

#[test]
fn splits_the_detail() {
    let whole = address("ada+lists+x@example.com").expect("an address");
    assert_eq!(whole.split_detail('+'), ("ada", Some("lists+x")));
    assert_eq!(whole.without_detail('+').to_string(), "ada@example.com");
    let none = address("+ada@example.com").expect("an address");
    assert_eq!(none.split_detail('+'), ("+ada", None));
    assert_eq!(none.without_detail('-'), none);
}

#[test]
fn lookup_ignores_case_and_composition() {
    let composed = address("R\u{e9}n\u{e9}@example.com").expect("an address");
    let decomposed = address("re\u{301}ne\u{301}@EXAMPLE.com").expect("an address");
    assert_eq!(composed.lookup_key(), decomposed.lookup_key());
}

#[test]
fn paths() {
    let ada = address("ada@example.com").ok();
    assert_eq!(
        take_path(b"<ada@example.com> SIZE=1"),
        Ok((ada.clone(), &b" SIZE=1"[..]))
    );
    assert_eq!(take_path(b"<@a,@b.c:ada@example.com>"), Ok((ada, &b""[..])));
    assert_eq!(take_path(b"<>"), Ok((None, &b""[..])));
    let odd = address("\"a>b\"@c").ok();
    assert_eq!(take_path(b"<\"a>b\"@c>x"), Ok((odd, &b"x"[..])));
}

/// Attack 14: odd quoting, odd angle brackets, an address that looks like an option.
#[test]
fn attack_14_odd_quoting_and_angles() {
    for path in [
        &b"<\"\"@b>"[..],
        b"<\"@b>",
        b"<\"a\\\"@b>",
        b"<<a@b>>",
        b"<a@b",
        b"a@b",
        b"< a@b>",
        b"<a@b >",
        b"<@b>",
        b"<@b:>",
        b"<@:a@b>",
        b"<a@b,@c:d@e>",
        b"<@a,:b@c>",
        b"<\"a\" @b>",
        b"<\"a\"@b>>"[..6].as_ref(),
        b"<\\>@b>",
        b"<a\0@b>",
        b"<a@b\r\n>",
        b"<\xff\xfe@b>",
        b"",
    ] {
        assert!(
            take_path(path).is_err(),
            "{:?} was taken",
            String::from_utf8_lossy(path)
        );
    }
    let dash = take_path(b"<-oQ/tmp/x@example.com>")
        .expect("atext")
        .0
        .expect("not null");
    assert_eq!(dash.to_string(), "-oQ/tmp/x@example.com");
    assert_eq!(dash.local(), "-oQ/tmp/x");
}

proptest! {
    #[test]
    fn any_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = take_path(&octets);
        let _ = Address::from_bytes(&octets);
    }

    #[test]
    fn parse_of_print_is_identity(local in "\\PC{1,20}", domain in "[a-z0-9]{1,9}(\\.[a-z]{2,5}){0,3}") {
        let domain: Domain = domain.parse().expect("a domain");
        if let Ok(address) = Address::new(&local, domain) {
            prop_assert_eq!(address.to_string().parse(), Ok(address.clone()));
            let path = format!("<{address}>");
            prop_assert_eq!(take_path(path.as_bytes()), Ok((Some(address), &b""[..])));
        }
    }
}
