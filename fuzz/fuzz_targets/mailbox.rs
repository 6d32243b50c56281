//! libFuzzer target: see `postrider_fuzz::grammar::mailbox`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("mailbox"), |octets: &[u8]| postrider_fuzz::grammar::mailbox(octets));
