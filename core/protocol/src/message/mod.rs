//! Internet messages (RFC 5322) and MIME (RFC 2045 to RFC 2049): addresses, headers, structure, dates, text.
//!
//! | to | see |
//! | --- | --- |
//! | parse or print an SMTP address | [`address`] |
//! | read header fields, select some of them | [`header`] |
//! | find the parts of a message and where they lie | [`mime`], [`part`], [`section`] |
//! | make, keep and read what the index holds of a message | [`summary`] |
//! | decode and search text | [`text`], [`charset`], [`transfer`], [`encoded_word`] |
//! | read and write dates | [`date`] |
//! | compose trace fields, count hops | [`received`] |
//! | write a report of a delivery | [`dsn`] |
//! | make a binary message fit for a mailbox | [`binary`] |
//!
//! **Invariants.** Nothing here fails on the content of a message: what is broken is read as far as it makes
//! sense, and [`part::Flaws`] say what was ambiguous, so that a filter may refuse it.
//! **Bounds.** Every function is linear in its input, whatever the nesting; [`mime::Limits`] say how much is kept.

pub mod address;
pub mod address_list;
pub mod binary;
pub mod charset;
pub mod date;
pub mod dsn;
pub mod encoded_word;
pub mod envelope;
pub mod header;
pub mod mime;
pub mod parameter;
pub mod part;
pub mod preview;
pub mod received;
pub mod section;
pub mod summary;
pub mod text;
pub mod thread;
pub mod transfer;

#[cfg(test)]
mod oracle_tests;

pub use address::{Address, AddressError, Domain};
pub use address_list::AddressItem;
pub use date::{Date, DateTime};
pub use part::{Content, Encoding, Flaws, MediaType, Part, Span};
pub use section::SectionText;
pub use summary::{Kept, Summary, SummaryError};
