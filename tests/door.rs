//! Where the services of running servers are, also after these were started again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ports by service and by server; clones see the same.
#[derive(Clone, Debug, Default)]
pub struct Door {
    ports: Arc<Mutex<Ports>>,
    turn: Arc<AtomicUsize>,
}

/// Of each server, by its name.
type Ports = HashMap<String, HashMap<String, u16>>;

impl Door {
    /// The port of a service; of several servers one after the other. Where none has it, nobody listens at what is returned.
    pub fn port(&self, service: &str) -> u16 {
        let ports = self.lock();
        let mut all: Vec<u16> = ports
            .values()
            .filter_map(|it| it.get(service))
            .copied()
            .collect();
        all.sort_unstable();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        all.get(turn % all.len().max(1)).copied().unwrap_or(0)
    }

    /// A server has started with these ports.
    pub fn open(&self, server: &str, ports: HashMap<String, u16>) {
        self.lock().insert(server.to_owned(), ports);
    }

    /// A server is gone.
    pub fn close(&self, server: &str) {
        self.lock().remove(server);
    }

    fn lock(&self) -> MutexGuard<'_, Ports> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
