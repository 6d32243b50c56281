//! What is said between a mail server and its peers: SMTP, LMTP, IMAP, POP3, SASL and the grammar
//! of messages, as state machines without sockets, clocks, threads or files.
//!
//! A connection feeds a [`session`] with inputs and does, in order, the actions that come back.
//! The same session is driven by a transcript in a test, by a fuzzer and by a connection actor.

pub mod imap;
pub mod limit;
pub mod line;
pub mod lmtp;
pub mod message;
pub mod pop3;
pub mod sasl;
pub mod secret;
pub mod session;
pub mod smtp;
pub mod tls;
