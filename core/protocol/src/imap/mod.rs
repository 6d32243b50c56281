//! IMAP4rev2 and IMAP4rev1, server side (RFC 9051, RFC 3501).

pub mod ask;
mod capability;
mod command;
pub mod response;
pub mod search;
pub mod session;
pub mod snapshot;
pub mod syntax;
pub mod types;
pub mod view;
