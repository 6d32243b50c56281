//! What the IMAP session takes and refuses of a client's commands.
//!
//! | | |
//! | --- | --- |
//! | [`grammar`] | the formal syntax, production by production (RFC 9051 section 9, RFC 3501 section 9) |
//! | [`beside`] | the same lines before another reader, `imap-codec` |

#![allow(clippy::unwrap_used)]

mod beside;
mod client;
mod grammar;
