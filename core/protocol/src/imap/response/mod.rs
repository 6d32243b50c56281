//! What we say to a client: the grammar of responses (RFC 9051 section 9, RFC 3501 section 9).
//!
//! | File | Writes |
//! | --- | --- |
//! | [`string`] | atoms, quoted strings, literals, numbers |
//! | [`condition`], [`code`], [`trouble`] | `OK`, `NO`, `BAD`, `BYE`, their codes, and which a refused ask gets |
//! | [`fetch`], [`envelope`], [`body`], [`flags`], [`date`] | FETCH and its items |
//! | [`list`], [`status`], [`search`], [`quota`] | the responses they are named after |
//!
//! **Invariants.** What is written is grammatical whatever a message, a name or a mailbox holds. Lines end with CRLF.
//! **Bounds.** Writers append to one buffer and keep nothing.

pub mod body;
pub mod code;
pub mod condition;
pub mod date;
pub mod envelope;
pub mod fetch;
pub mod flags;
pub mod list;
pub mod quota;
pub mod search;
pub mod status;
pub mod string;
pub mod trouble;

pub use code::Code;
pub use condition::Condition;
pub use fetch::FetchResponse;
