//! What an actor is called, and the meters that bear its name.

use std::sync::Arc;

use metrics::{Counter, Gauge, counter, gauge};

use crate::telemetry::metrics::{
    ACTOR_ASKS, ACTOR_FAILURES, ACTOR_PLACES_TAKEN, ACTOR_RESTARTS, ASKS_LOST, ASKS_REFUSED,
};

/// The name of a kind of actor (`mailbox`, `connection`, …) with its metrics, looked up once.
///
/// All actors of one kind share a role: it says what an actor does, not whom it serves, so that the number of
/// time series stays small. Metrics are bound when the role is made: install the recorder before.
///
/// The metrics are those of the table of [`telemetry::metrics`](crate::telemetry::metrics) with a label `actor`.
#[derive(Clone)]
pub struct Role(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    meters: Meters,
}

/// Cached handles: a look-up by label costs sixty times as much as a use.
pub(super) struct Meters {
    pub taken: Gauge,
    pub asks: Counter,
    pub overloads: Counter,
    pub lost: Counter,
    pub failures: Counter,
    pub restarts: Counter,
}

impl Role {
    /// Names a kind of actor.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        let label = || name.clone();
        let meters = Meters {
            taken: gauge!(ACTOR_PLACES_TAKEN, "actor" => label()),
            asks: counter!(ACTOR_ASKS, "actor" => label()),
            overloads: counter!(ASKS_REFUSED, "actor" => label()),
            lost: counter!(ASKS_LOST, "actor" => label()),
            failures: counter!(ACTOR_FAILURES, "actor" => label()),
            restarts: counter!(ACTOR_RESTARTS, "actor" => label()),
        };
        Self(Arc::new(Inner { name, meters }))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        self.0.name.clone()
    }

    pub(super) fn meters(&self) -> &Meters {
        &self.0.meters
    }
}

impl From<&str> for Role {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<&Role> for Role {
    fn from(role: &Role) -> Self {
        role.clone()
    }
}

impl std::fmt::Debug for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Role").field(&self.name()).finish()
    }
}
