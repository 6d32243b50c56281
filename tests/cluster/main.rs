//! Several hosts with `smtpd`, `imapd` and `pop3d` on one PostgreSQL and one bucket, and what goes wrong between them.
//!
//! The clients are those of `tests/crash`, spread over all hosts, and so is what they check: every message answered with yes is there
//! exactly once and whole, on whatever host it is looked for; UIDs only rise; the used quota is the sum of what is there; index and
//! store agree but for bodies that no message names. Meanwhile daemons are killed, at any moment or at a chosen write to a
//! neighbour; PostgreSQL is killed, or gives way to its synchronous standby; the bucket refuses, stalls, spoils, is late, or does
//! what it is asked and does not say so; the directory falls silent.
//!
//! The seed is printed. `CLUSTER_SEED` repeats its choices (not the machine's timing), `CLUSTER_ROUNDS` asks for more;
//! `CLUSTER_POINTS` for more writes after which a daemon dies, `all` for all of them; `CLUSTER_FULL=1` lets the store stand still for a full minute.

#![allow(clippy::unwrap_used)]

mod checking;
mod directory;
mod moving;
mod points;
mod pressure;
mod rounds;
mod site;
mod trouble;
mod two_hosts;

// What others have, of which we need a part.
#[allow(dead_code)]
#[path = "../crash/house.rs"]
mod house;
#[path = "../crash/keeper.rs"]
mod keeper;
#[allow(dead_code)]
#[path = "../crash/ledger.rs"]
mod ledger;
#[path = "../crash/letter.rs"]
mod letter;
#[path = "../crash/random.rs"]
mod random;
#[allow(dead_code, unused_imports)]
#[path = "../s3/server/mod.rs"]
mod server;
#[path = "../crash/shelf.rs"]
mod shelf;
#[allow(dead_code)]
#[path = "../ldap/slapd.rs"]
mod slapd;
#[allow(dead_code)]
#[path = "../crash/wire.rs"]
mod wire;
#[path = "../crash/worker.rs"]
mod worker;
#[path = "../crash/writer.rs"]
mod writer;

use std::time::{SystemTime, UNIX_EPOCH};

const PASSWORD: &str = "not to be guessed";

/// A number of the environment.
fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
        Err(_) => default,
    }
}

/// The seed, new unless it is given.
fn seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    number("CLUSTER_SEED", now.as_secs())
}
