//! libFuzzer target: the PROXY protocol's header, versions 1 and 2.
//!
//! No panic; a header that is whole stays so only with all of its octets: fewer need more, and exactly as many as it says.
#![no_main]

use postrider::net::proxy_protocol::{Parsed, parse};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    match parse(octets) {
        Ok(Parsed::Need(missing)) => {
            assert!(missing > 0, "nothing is missing, yet it is not whole")
        }
        Ok(Parsed::Whole(_)) => {
            for end in 0..octets.len() {
                let shorter = parse(&octets[..end]);
                assert!(
                    matches!(shorter, Ok(Parsed::Need(missing)) if missing <= octets.len() - end),
                    "{end} octets of a whole header are {shorter:?}"
                );
            }
        }
        Err(_) => {}
    }
});
