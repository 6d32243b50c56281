//! libFuzzer target: see `postrider_fuzz::grammar::sasl`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("sasl"), |octets: &[u8]| postrider_fuzz::grammar::sasl(octets));
