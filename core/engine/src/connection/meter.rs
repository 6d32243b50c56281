//! What connections count: commands by name with their latency, octets in and out.
//!
//! Looking a meter up by its labels costs microseconds, so each thread keeps those it has used; the names of commands come from
//! the sessions' tables, which bounds them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use metrics::{Counter, Histogram};

use crate::telemetry::metrics::{COMMAND_SECONDS, COMMANDS, CONNECTION_BYTES, CONNECTION_TIMEOUTS};

#[derive(Clone)]
struct Meters {
    count: Counter,
    seconds: Histogram,
}

thread_local! {
    static COMMANDS_OF: RefCell<HashMap<(&'static str, &'static str), Meters>> = RefCell::default();
}

/// Counts a command that is through.
pub(super) fn command(service: &'static str, command: &'static str, took: Duration) {
    let meters = COMMANDS_OF.with_borrow_mut(|known| {
        let new = || Meters {
            count: metrics::counter!(COMMANDS, "service" => service, "command" => command),
            seconds: metrics::histogram!(COMMAND_SECONDS, "service" => service, "command" => command),
        };
        known.entry((service, command)).or_insert_with(new).clone()
    });
    meters.count.increment(1);
    meters.seconds.record(took.as_secs_f64());
}

/// Counts a peer that was silent, or did not read, for too long.
pub(super) fn timeout(service: &'static str) {
    metrics::counter!(CONNECTION_TIMEOUTS, "service" => service).increment(1);
}

/// Counts the octets of a connection that is over.
pub(super) fn octets(service: &'static str, received: u64, sent: u64) {
    let count = |direction, octets| {
        metrics::counter!(CONNECTION_BYTES, "service" => service, "direction" => direction)
            .increment(octets);
    };
    count("in", received);
    count("out", sent);
}
