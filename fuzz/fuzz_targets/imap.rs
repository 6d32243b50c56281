//! libFuzzer target: see `postrider_fuzz::imap::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("imap"), |octets: &[u8]| postrider_fuzz::imap::run(octets));
