//! The directory: where mail for an address goes.
//!
//! A recipient leads to accounts through aliases: the full address first, then without its `+detail`, then the account, then the
//! catch-all of the domain. `postmaster` of every domain of ours is always taken (RFC 5321 section 4.5.1).
//!
//! **Bounds.** An address leads to at most [`TARGETS`] accounts through at most [`DEPTH`] aliases; circles are cut, since an address is
//! followed once (attacks: alias cycles across a hundred domains).
//! **On failure.** An index that cannot answer makes the answer temporary, never "unknown" (I8).

mod route;

pub use route::{Directory, Route, Target, Unroutable};

/// Accounts that one address may lead to.
pub const TARGETS: usize = 1000;
/// Aliases between an address and its account.
pub const DEPTH: usize = 16;
