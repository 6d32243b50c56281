//! libFuzzer target: see `postrider_fuzz::message::summary`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("summary"), |octets: &[u8]| postrider_fuzz::message::summary(octets));
