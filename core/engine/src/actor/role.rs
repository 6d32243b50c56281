//! What an actor is called, and the meters that bear its name.

use std::sync::Arc;

use metrics::{Counter, Gauge, counter, gauge};

/// The name of a kind of actor (`mailbox`, `connection`, …) with its metrics, looked up once.
///
/// All actors of one kind share a role: it says what an actor does, not whom it serves, so that the number of
/// time series stays small. Metrics are bound when the role is made: install the recorder before.
///
/// | metric | kind | unit |
/// | --- | --- | --- |
/// | `actor_places_taken{actor}` | gauge | asks admitted and not yet answered |
/// | `actor_asks_total{actor}` | counter | asks and notices admitted |
/// | `actor_overloads_total{actor}` | counter | asks and notices that found no place in time |
/// | `actor_lost_asks_total{actor}` | counter | asks admitted whose work ended without an answer |
/// | `actor_failures_total{actor}` | counter | panics of the actor, and arbiters that ended under it |
/// | `actor_restarts_total{actor}` | counter | fresh values built after a failure |
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
            taken: gauge!("actor_places_taken", "actor" => label()),
            asks: counter!("actor_asks_total", "actor" => label()),
            overloads: counter!("actor_overloads_total", "actor" => label()),
            lost: counter!("actor_lost_asks_total", "actor" => label()),
            failures: counter!("actor_failures_total", "actor" => label()),
            restarts: counter!("actor_restarts_total", "actor" => label()),
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
