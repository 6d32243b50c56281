//! libFuzzer target: see `connection::imap` in `src/connection.rs`.
#![no_main]

#[path = "../src/connection.rs"]
mod connection;

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("connection_imap"), |octets: &[u8]| connection::imap(octets));
