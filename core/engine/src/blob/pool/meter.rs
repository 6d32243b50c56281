//! What the pool counts, under the names of the table in `telemetry::metrics`.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use postrider_storage::Error;
use tokio::time::Instant;

use crate::telemetry::metrics::{
    STORE_BYTES, STORE_ERRORS, STORE_PERMITS_TAKEN, STORE_SECONDS, STORE_WAITING,
};

/// Why an operation failed; the last one is for who did not get a permit or an answer in time.
const REASONS: [&str; 5] = ["not_found", "unavailable", "corrupt", "refused", "deadline"];
const DEADLINE: usize = 4;

/// One operation's figures.
pub(super) struct Meter {
    seconds: Histogram,
    errors: [Counter; REASONS.len()],
}

/// All figures of a pool.
pub(super) struct Meters {
    pub(super) put: Meter,
    pub(super) get: Meter,
    pub(super) delete: Meter,
    pub(super) meta: Meter,
    pub(super) list: Meter,
    pub(super) probe: Meter,
    pub(super) put_octets: Counter,
    pub(super) get_octets: Counter,
    pub(super) writes: Gauge,
    pub(super) reads: Gauge,
    waiting: Gauge,
}

impl Meters {
    pub(super) fn new() -> Self {
        Self {
            put: Meter::new("put"),
            get: Meter::new("get"),
            delete: Meter::new("delete"),
            meta: Meter::new("meta"),
            list: Meter::new("list"),
            probe: Meter::new("probe"),
            put_octets: counter!(STORE_BYTES, "operation" => "put"),
            get_octets: counter!(STORE_BYTES, "operation" => "get"),
            writes: gauge!(STORE_PERMITS_TAKEN, "kind" => "write"),
            reads: gauge!(STORE_PERMITS_TAKEN, "kind" => "read"),
            waiting: gauge!(STORE_WAITING),
        }
    }

    /// Somebody waits for a permit until this is dropped.
    pub(super) fn waiting(&self) -> Raised {
        Raised::new(&self.waiting)
    }
}

impl Meter {
    fn new(operation: &'static str) -> Self {
        let errors = |reason| counter!(STORE_ERRORS, "operation" => operation, "reason" => reason);
        Self {
            seconds: histogram!(STORE_SECONDS, "operation" => operation),
            errors: REASONS.map(errors),
        }
    }

    /// The store has answered.
    pub(super) fn answered<T>(&self, begun: Instant, outcome: &Result<T, Error>) {
        self.seconds.record(begun.elapsed());
        let reason = match outcome {
            Ok(_) => return,
            Err(Error::NotFound(_)) => 0,
            Err(Error::Unavailable(_)) => 1,
            Err(Error::Corrupt(_)) => 2,
            Err(_) => 3,
        };
        self.errors[reason].increment(1);
    }

    /// Nobody waits any longer.
    pub(super) fn gave_up(&self) {
        self.errors[DEADLINE].increment(1);
    }
}

/// One more on a gauge, until it is dropped.
pub(super) struct Raised(Gauge);

impl Raised {
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
