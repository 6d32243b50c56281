//! One arbiter a core, and which of them takes the next actor.
//!
//! An arbiter is a thread with a runtime of its own; what starts on it stays on it. Connections are spread round
//! robin, which is even as long as they are alike.
//!
//! **On failure.** An arbiter that ended gets nothing more. Supervised actors that lived there move to the others
//! ([`Supervisor::across`](super::Supervisor::across)).

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix::Arbiter;
use actix_rt::ArbiterHandle;

/// A set of arbiters, cheap to clone.
#[derive(Clone)]
pub struct Arbiters(Arc<Inner>);

struct Inner {
    handles: Vec<ArbiterHandle>,
    threads: Mutex<Vec<Arbiter>>,
    next: AtomicUsize,
}

impl Arbiters {
    /// Starts `count` arbiters, at least one. Called where an actix `System` runs.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be made, or no `System` runs here; those made before are stopped again.
    pub fn start(count: usize) -> io::Result<Self> {
        if actix::System::try_current().is_none() {
            return Err(io::Error::other("no actix system runs on this thread"));
        }
        let mut threads = Vec::new();
        for _ in 0..count.max(1) {
            match Arbiter::try_new() {
                Ok(arbiter) => threads.push(arbiter),
                Err(error) => {
                    for arbiter in &threads {
                        arbiter.stop();
                    }
                    return Err(error);
                }
            }
        }
        Ok(Self(Arc::new(Inner {
            handles: threads.iter().map(Arbiter::handle).collect(),
            threads: Mutex::new(threads),
            next: AtomicUsize::new(0),
        })))
    }

    /// Starts one arbiter for every core this process may use.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn one_per_core() -> io::Result<Self> {
        Self::start(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// The next one, round robin, among those that are alive.
    pub fn pick(&self) -> Option<ArbiterHandle> {
        let handles = &self.0.handles;
        let first = self.0.next.fetch_add(1, Ordering::Relaxed);
        (0..handles.len())
            .map(|step| &handles[first.wrapping_add(step) % handles.len()])
            .find(|arbiter| arbiter.alive())
            .cloned()
    }

    /// All that are alive, for what runs once on each: a listener with SO_REUSEPORT.
    pub fn each(&self) -> impl Iterator<Item = ArbiterHandle> + use<'_> {
        self.0
            .handles
            .iter()
            .filter(|arbiter| arbiter.alive())
            .cloned()
    }

    /// How many were started.
    pub fn count(&self) -> usize {
        self.0.handles.len()
    }

    /// Stops them all. What still runs on them is dropped: drain first. Returns at once.
    pub fn stop(&self) {
        for arbiter in &self.0.handles {
            arbiter.stop();
        }
    }

    /// Stops them all and waits for their threads. Blocks: not for use on one of them.
    pub fn join(&self) {
        self.stop();
        let threads = std::mem::take(
            &mut *self
                .0
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("an arbiter's thread panicked");
            }
        }
    }
}

impl fmt::Debug for Arbiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Arbiters");
        out.field("count", &self.count()).finish_non_exhaustive()
    }
}
