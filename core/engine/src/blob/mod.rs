//! Message bodies on their way: where received octets wait, and the pool in front of the store.
//!
//! A body is received into a [`Spool`], which becomes a [`Spooled`] that can be scanned and given to the [`BlobPool`] once
//! for every recipient.

mod pool;
mod spool;

pub use pool::{BlobPool, PoolLimits};
pub use spool::{Spool, SpoolError, Spooled, Spools};
