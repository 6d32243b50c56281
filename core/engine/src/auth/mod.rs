//! Who may log in: throttle, chain of resolvers, success cache, and one log event per decision.
//!
//! ```text
//! Attempt ─► throttle ─► account row ─► success cache ─► resolvers, local last ─► account row again ─► Account
//! ```
//!
//! **Invariants.**
//! 1. *The row decides.* An account is let in only if its row, read after its password was found right, is there and switched on. No
//!    resolver and no cache overrides it.
//! 2. *Local follows.* Resolvers are asked in order, local last, whatever those before it said but yes. One that is down, hangs or
//!    panics costs its share of the time and nothing else.
//! 3. *Counted first.* A guess takes its place under the throttle before anybody looks at the password. Under a ban nobody does.
//! 4. *Our fault is no guess.* An attempt at which no resolver found a wrong password is not counted, so that our own outage bans nobody.
//!    A hash that nobody can verify is no outage: its attempts count, for they cost what others cost.
//! 5. *One face.* Unknown, switched off, without password and wrong password cost the same work and bring the same answer.
//!
//! **Bounds.** One deadline over all of it; concurrent look-ups a resolver; entries of every table.

mod authenticator;
pub(crate) mod cache;
pub mod contract;
mod decision;
mod expiring;
mod hasher;
pub mod ldap;
mod local;
mod memory;
mod name;
pub mod password;
pub(crate) mod resolver;
#[cfg(test)]
mod testing;
mod throttle;

pub use authenticator::{Attempt, Authenticator, Parts};
#[cfg(test)]
pub(crate) use hasher::PLACES;
pub use hasher::{Hasher, HasherError};
pub use local::{Accounts, LocalResolver, Passwords};
pub use memory::MemoryResolver;
pub use resolver::{Answer, Caching, Request, Resolver, Why};

/// Under which name decisions stand in the log.
const TARGET: &str = "postrider::auth";
