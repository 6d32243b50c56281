//! POP3: server side (RFC 1939).
//!
//! Invariants of the protocol; code and tests refer to them by number.
//!
//! 1. A command gets one response, in the order of the commands.
//! 2. Messages are removed after QUIT in the TRANSACTION state and at no other time: a session that ends
//!    otherwise removes nothing (RFC 1939 section 6).
//! 3. Message numbers and sizes stay what they were when the maildrop was opened.
//! 4. A unique-id names the same message for ever (RFC 1939 section 7).
//! 5. After STLS nothing counts that was said before (RFC 2595 section 4).
//! 6. A password is looked at only where nobody listens, or where the operator says so.

pub mod ask;
pub(crate) mod command;
pub mod config;
pub(crate) mod maildrop;
pub(crate) mod response;
pub mod session;
#[cfg(test)]
mod tests;

pub use config::{Config, Expire};
pub use session::{Pop3Session, State};
