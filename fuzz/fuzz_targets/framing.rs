//! libFuzzer target: see `postrider_fuzz::framing::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("framing"), |octets: &[u8]| postrider_fuzz::framing::run(octets));
