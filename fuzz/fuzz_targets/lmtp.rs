//! libFuzzer target: see `postrider_fuzz::smtp::run_lmtp`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("lmtp"), |octets: &[u8]| postrider_fuzz::smtp::run_lmtp(octets));
