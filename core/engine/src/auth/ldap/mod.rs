//! LDAP (RFC 4511): who is in the directory, and whose password is right.
//!
//! ```text
//! login ─► LdapResolver ─► search as the service account ─► the one entry ─► bind as it ─► the account it is bound to
//! every hour ─► sync: all entries, in pages ─► plan ─► changes of the index
//! ```
//!
//! **Invariants.**
//! 1. *Nobody binds without a name and a password.* A bind takes a [`BindDn`](bind::BindDn) and a [`BindPassword`](bind::BindPassword), which
//!    cannot be empty (RFC 4513 section 5.1.2): a server never takes a login of ours for an anonymous one. The result code of every bind is
//!    looked at, and only `success` is a yes.
//! 2. *TLS first.* Every connection is LDAPS, verified in full, before a name or password is sent. There is no way without it.
//! 3. *A name is a value.* What a client typed is escaped where it enters a filter or a DN (RFC 4515 section 3, RFC 4514 section 2.4).
//! 4. *One entry or nobody.* A search that finds two entries lets in neither; an entry without an address in the domain asked for is none.
//! 5. *The entry's stable id is the person.* An account is bound to it, not to an address: who is renamed keeps the mailbox, and who
//!    gets the address of somebody who left does not get the mail.
//! 6. *Not knowing is not knowing.* A directory that is away, slow or strange makes a login temporary and a synchronisation a failure;
//!    neither lets in nor switches off anybody.
//!
//! **Bounds.** A deadline over connecting with TLS and bind, over each search and each bind; connections; entries of a synchronisation.
//! **On failure.** A server that failed is left alone for a moment ([`server`]), meanwhile the next one is asked, or nobody.
//!
//! Connections live on the service runtime; whoever asks may be dropped, and the work goes on to its deadline there.

mod account;
mod bind;
mod client;
mod entry;
mod error;
mod probe;
mod query;
mod resolver;
mod rows;
mod server;
pub mod sync;
#[cfg(test)]
mod testing;

pub use client::LdapClient;
pub use error::LdapError;
pub use probe::{Probe, ProbeStep, probe};
pub use resolver::LdapResolver;
pub use rows::Rows;

/// Under which name the index knows accounts of the directory.
const SOURCE: &str = "ldap";
