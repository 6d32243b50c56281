//! SMTP: server side (RFC 5321).
//!
//! Invariants of the protocol; code and tests refer to them by number.
//!
//! 1. A command gets one reply, in the order of the commands; no reply is sent before its reason is settled
//!    (RFC 5321 section 4.1.1). LMTP alone sends more, one a recipient, after a message.
//! 2. The octets that belong to a command (DATA, BDAT) are read from the connection whatever the reply: a
//!    broken command never makes commands of a message, nor a message of commands.
//! 3. After STARTTLS nothing counts that was said before: no name, no login, no transaction, no line.
//! 4. 250 after a message comes only from [`ask::Delivered::Accepted`] (I1 of the design).
//! 5. A password is looked at only where nobody listens, or where the operator says so.
//! 6. A recipient is in the envelope only if the engine accepted it in this transaction.

pub mod ask;
pub(crate) mod command;
pub mod config;
pub(crate) mod dialect;
pub mod dsn;
pub(crate) mod reply;
pub mod session;
pub(crate) mod syntax;
#[cfg(test)]
mod tests;
pub(crate) mod transaction;

/// Octets of the longest command line, with its CRLF: MAIL or RCPT with all that parameters add (RFC 5321 section 4.5.3.1.4).
pub const LINE_LIMIT: usize = match command::mail::LIMIT > command::rcpt::LIMIT {
    true => command::mail::LIMIT,
    false => command::rcpt::LIMIT,
};

pub use command::bdat::CHUNK_LIMIT;
pub use config::{Chunking, Config, Reports, Role};
pub use session::SmtpSession;
pub use transaction::State;
