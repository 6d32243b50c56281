//! What is kept: the index (who, which mailbox, UID, flags) and the store of message bodies.
//!
//! The [`index`] is the truth for accounts, mailboxes, UIDs, flags, keywords, dates and sizes; the store in
//! [`blob`] is the truth for message octets. Nothing above knows which back end is in use, and every back end
//! of one kind passes one contract suite.

pub mod blob;
mod error;
pub mod index;

pub use error::{Class, Error};
