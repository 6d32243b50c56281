//! The bodies of the fuzz targets: what must hold whatever the octets are.
//!
//! | Used by | For |
//! | --- | --- |
//! | `fuzz_targets/` | libFuzzer, by `fuzz/run` |
//! | `core/protocol/tests/fuzz_seeds.rs` | the transcripts and some thousand mutations of them, in every `cargo test` |
//!
//! **On failure.** A body panics, and says what does not hold.

pub mod framing;
pub mod grammar;
pub mod imap;
pub mod message;
pub mod pop3;
pub mod script;
pub mod seeds;
pub mod smtp;
pub mod wire;

/// A target: its name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of the protocol crate; a file of `fuzz_targets/` has the name of each.
pub const TARGETS: &[Target] = &[
    ("address", message::address),
    ("framing", framing::run),
    ("header", message::header),
    ("imap", imap::run),
    ("imap_command", grammar::command),
    ("lmtp", smtp::run_lmtp),
    ("mailbox", grammar::mailbox),
    ("mime", message::mime),
    ("pop3", pop3::run),
    ("sasl", grammar::sasl),
    ("smtp", smtp::run),
    ("summary", message::summary),
    ("text", message::text),
    ("words", message::words),
];

/// The targets that need the engine or the store; their bodies are in `fuzz_targets/`.
pub const ENGINE: &[&str] = &[
    "config",
    "connection_imap",
    "connection_pop3",
    "connection_smtp",
    "maildir",
    "password_hash",
    "proxy_header",
    "store_key",
];
