//! libFuzzer target: see `postrider_fuzz::grammar::command`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("imap_command"), |octets: &[u8]| postrider_fuzz::grammar::command(octets));
