//! libFuzzer target: see `postrider_fuzz::pop3::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("pop3"), |octets: &[u8]| postrider_fuzz::pop3::run(octets));
