//! IMAP4rev2 and IMAP4rev1, server side (RFC 9051, RFC 3501).

pub mod response;
pub mod snapshot;
pub mod syntax;
pub mod types;
pub mod view;
