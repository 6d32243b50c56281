//! libFuzzer target: the PROXY protocol's header, versions 1 and 2.
//!
//! Read as the connection reads it: no more octets than were asked for. No panic, no octet too many, and it comes to an end.
#![no_main]

use postrider::net::proxy_protocol::{BINARY_MAX, Parsed, parse};

/// Octets of the shortest header, which are read at once.
const SHORTEST: usize = 15;
/// Octets of version 2 before its addresses.
const FIXED: usize = 16;

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("proxy_header"), |octets: &[u8]| {
    let whole = matches!(parse(octets), Ok(Parsed::Whole(_)));
    if whole {
        let surplus = [octets, b"x"].concat();
        assert!(parse(&surplus).is_err(), "octets behind a header belong to nobody");
    }
    let mut end = octets.len().min(SHORTEST);
    while let Ok(Parsed::Need(missing)) = parse(&octets[..end]) {
        assert!(missing > 0, "nothing is missing, yet it is not whole");
        end += missing;
        assert!(end <= FIXED + BINARY_MAX, "{end} octets of a header");
        if end > octets.len() {
            return;
        }
    }
});
