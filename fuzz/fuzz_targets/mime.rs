//! libFuzzer target: see `postrider_fuzz::message::mime`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("mime"), |octets: &[u8]| postrider_fuzz::message::mime(octets));
