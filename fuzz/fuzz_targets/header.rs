//! libFuzzer target: see `postrider_fuzz::message::header`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("header"), |octets: &[u8]| postrider_fuzz::message::header(octets));
