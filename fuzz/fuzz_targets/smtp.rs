//! libFuzzer target: see `postrider_fuzz::smtp::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("smtp"), |octets: &[u8]| postrider_fuzz::smtp::run(octets));
