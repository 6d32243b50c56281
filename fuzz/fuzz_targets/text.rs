//! libFuzzer target: see `postrider_fuzz::message::text`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("text"), |octets: &[u8]| postrider_fuzz::message::text(octets));
