//! IMAP4rev2 and IMAP4rev1, server side (RFC 9051, RFC 3501).

pub mod snapshot;
pub mod types;
pub mod view;
