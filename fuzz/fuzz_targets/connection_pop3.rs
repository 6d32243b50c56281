//! libFuzzer target: see `connection::pop3` in `src/connection.rs`.
#![no_main]

#[path = "../src/connection.rs"]
mod connection;

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("connection_pop3"), |octets: &[u8]| connection::pop3(octets));
