//! Sessions against a plain model of what a mailbox is: random commands, one after the other and all at once.
//!
//! After any sequence: each session's view obeys the rules ([`session`]), what commands answer is what the model says, and in the end
//! all views are the mailbox. The seed is in the text of a failure; `MODEL_SEED` repeats it, `MODEL_ROUNDS` asks for more.

#![allow(clippy::unwrap_used)]

#[path = "../engine/client.rs"]
#[allow(dead_code)]
mod client;
mod dice;
#[path = "../engine/house.rs"]
#[allow(dead_code)]
mod house;
mod numbers;
mod quota;
mod race;
mod session;
mod steps;
mod truth;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use postrider::engine::Parts;
use postrider_storage::blob::MemoryStore;
use postrider_storage::index::MemoryIndex;

use house::House;

/// The second mailbox; the first is INBOX.
pub const OTHER: &str = "Other";

/// Where a house keeps everything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// In memory: quick.
    Memory,
    /// In SQLite and a Maildir.
    Disk,
}

/// A house of that kind.
pub async fn house(kept: Kept) -> House {
    let parts = match kept {
        Kept::Disk => Parts::default(),
        Kept::Memory => Parts {
            index: Some(Arc::new(MemoryIndex::new())),
            store: Some(Arc::new(MemoryStore::new())),
            ..Parts::default()
        },
    };
    let exempt = |config: &mut postrider::config::Config| {
        config.limits.connections_per_account = 1000;
        config.limits.connections_before_login_per_ip = 1000;
    };
    House::with(exempt, parts).await
}

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
        Err(_) => default,
    }
}

/// The seeds of a test: so many, from the given one or the clock.
pub fn seeds(default: u64) -> impl Iterator<Item = u64> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let first = number("MODEL_SEED", now.as_secs());
    (first..).take(number("MODEL_ROUNDS", default) as usize)
}
