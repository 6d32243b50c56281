//! libFuzzer target: see `postrider_fuzz::message::address`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("address"), |octets: &[u8]| postrider_fuzz::message::address(octets));
