//! libFuzzer target: see `postrider_fuzz::message::words`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("words"), |octets: &[u8]| postrider_fuzz::message::words(octets));
