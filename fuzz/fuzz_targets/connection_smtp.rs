//! libFuzzer target: see `connection::smtp` in `src/connection.rs`.
#![no_main]

#[path = "../src/connection.rs"]
mod connection;

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("connection_smtp"), |octets: &[u8]| connection::smtp(octets));
