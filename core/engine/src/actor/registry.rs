//! Actors made on demand, one for each key: open mailboxes, destinations of the queue.
//!
//! The registry holds an actor weakly once it has not been used for a while: then the handles of its clients keep it
//! alive, and it stops when the last of them is gone. The next one who opens the key waits until the old actor has
//! ended, and gets a fresh one.
//!
//! **Invariants.** At most one actor of a key is alive, whatever races. No factory runs under the registry's lock.
//!
//! **Bounds.** `Limits::open` actors, those that are stopping included. One that lingers unused makes room.
//!
//! **On failure.** A failed actor is rebuilt behind its handle (see [`Supervisor`]). One that failed for good leaves
//! the registry, and the next opening makes a new one; it does not escalate, because what one key can break must
//! reach only those who use that key.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use actix::{Actor, Context};
use futures_util::future::join_all;
use metrics::{Gauge, gauge};
use tokio::time::{Instant, timeout_at};

use super::supervisor::{Launch, prepare};
use super::{Escalation, Handle, Restart, Role, Supervisor, WeakHandle};
use crate::telemetry::metrics::ACTORS_OPEN;

/// How many and how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Actors alive at a time.
    pub open: usize,
    /// Places of each.
    pub places: usize,
    /// How long an actor stays when its last client has gone, so that the next one finds it warm.
    pub linger: Duration,
}

/// Why a key was not opened. Nothing happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RegistryError {
    /// As many actors as allowed are in use. Temporary.
    #[error("too many actors are open")]
    Full,
    /// The registry was closed: the process is going down.
    #[error("the registry is closed")]
    Closed,
}

/// One supervised actor for each key in use. Cheap to clone.
///
/// Metric: [`ACTORS_OPEN`], by actor.
pub struct Registry<K, A: Actor>(Arc<Inner<K, A>>);

type Make<K, A> = dyn Fn(&K, &WeakHandle<A>) -> A + Send + Sync;

struct Inner<K, A: Actor> {
    supervisor: Supervisor,
    role: Role,
    restart: Restart,
    limits: Limits,
    make: Arc<Make<K, A>>,
    open: Mutex<Open<K, A>>,
    next: AtomicU64,
    count: Gauge,
}

struct Open<K, A: Actor> {
    entries: HashMap<K, Entry<A>>,
    closed: bool,
    sweeping: bool,
    /// There was no room, and to look again before this moment is not worth it.
    full_until: Option<Instant>,
}

struct Entry<A: Actor> {
    /// Tells an actor from its successor.
    number: u64,
    handle: WeakHandle<A>,
    /// Keeps the actor while it lingers.
    kept: Option<Handle<A>>,
    /// When it was last seen in use.
    used: Instant,
}

impl<K, A> Registry<K, A>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    A: Actor<Context = Context<A>>,
{
    /// Makes actors with `make` when their key is first opened, where `supervisor` says.
    pub fn new(
        supervisor: Supervisor,
        role: impl Into<Role>,
        restart: Restart,
        limits: Limits,
        make: impl Fn(&K, &WeakHandle<A>) -> A + Send + Sync + 'static,
    ) -> Self {
        let role = role.into();
        let open = Open {
            entries: HashMap::new(),
            closed: false,
            sweeping: false,
            full_until: None,
        };
        Self(Arc::new(Inner {
            supervisor: supervisor.reporting_to(Escalation::log_only()),
            count: gauge!(ACTORS_OPEN, "actor" => role.shared_name()),
            role,
            restart,
            limits,
            make: Arc::new(make),
            open: Mutex::new(open),
            next: AtomicU64::new(0),
        }))
    }

    /// The actor of `key`, made if there is none.
    ///
    /// Waits only while a former actor of `key`, or one that lingered and has to make room, finishes its last asks.
    /// Dropping the future undoes nothing and leaves nothing behind.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn open(&self, key: &K) -> Result<Handle<A>, RegistryError> {
        loop {
            match self.look(key)? {
                Look::Found(handle) => return Ok(handle),
                Look::Made(handle, launch, number) => {
                    self.launch(key.clone(), launch, number);
                    self.sweep_later();
                    return Ok(handle);
                }
                Look::Busy(old) => old.ended().await,
            };
        }
    }

    /// The actor of `key` if there is one that takes asks.
    pub fn find(&self, key: &K) -> Option<Handle<A>> {
        let open = self.0.lock();
        open.entries.get(key)?.handle.upgrade()
    }

    /// Lets the actor of `key` go without lingering, once its last handle is gone.
    pub fn let_go(&self, key: &K) {
        let kept = self.0.lock().entries.get_mut(key).map(|it| it.kept.take());
        // Its end is not for under the lock.
        drop(kept);
    }

    /// All that take asks now, with their keys.
    pub fn all(&self) -> Vec<(K, Handle<A>)> {
        let open = self.0.lock();
        let entries = open.entries.iter();
        entries
            .filter_map(|(key, entry)| Some((key.clone(), entry.handle.upgrade()?)))
            .collect()
    }

    /// How many actors are alive, those that are stopping included.
    pub fn count(&self) -> usize {
        self.0.lock().entries.len()
    }

    /// Opens nothing more, stops all actors, and waits for their end until `deadline`. Returns how many are left.
    pub async fn drain(&self, deadline: Instant) -> usize {
        let ends: Vec<_> = {
            let mut open = self.0.lock();
            open.closed = true;
            let entries = open.entries.values_mut();
            entries
                .map(|entry| (entry.handle.clone(), entry.kept.take()))
                .collect()
        };
        let ends = ends.into_iter().map(|(handle, kept)| {
            if let Some(handle) = handle.upgrade() {
                handle.stop();
            }
            drop(kept);
            handle.ended()
        });
        let all = join_all(ends.collect::<Vec<_>>());
        let _ = timeout_at(deadline, all).await;
        self.0.lock().alive()
    }

    /// Decides under the lock, runs nothing under it.
    fn look(&self, key: &K) -> Result<Look<A>, RegistryError> {
        let inner = &*self.0;
        let now = Instant::now();
        let mut open = inner.lock();
        if open.closed {
            return Err(RegistryError::Closed);
        }
        if let Some(entry) = open.entries.get_mut(key) {
            if let Some(handle) = entry.handle.upgrade() {
                entry.used = now;
                entry.kept = inner.keep(&handle);
                return Ok(Look::Found(handle));
            }
            if !entry.handle.state().is_over() {
                return Ok(Look::Busy(entry.handle.clone()));
            }
            // Its end has not been noted yet.
            open.entries.remove(key);
        }
        if open.entries.len() >= inner.limits.open && !open.has_room(inner.limits.open) {
            return open.make_room(now).map(Look::Busy);
        }
        let (handle, launch) = prepare(inner.role.clone(), inner.limits.places);
        let number = inner.next.fetch_add(1, Ordering::Relaxed);
        let entry = Entry {
            number,
            handle: handle.downgrade(),
            kept: inner.keep(&handle),
            used: now,
        };
        open.entries.insert(key.clone(), entry);
        inner.count.set(open.entries.len() as f64);
        Ok(Look::Made(handle, launch, number))
    }

    fn launch(&self, key: K, launch: Launch<A>, number: u64) {
        let inner = &*self.0;
        let registry = Arc::downgrade(&self.0);
        let make = {
            let (key, make) = (key.clone(), inner.make.clone());
            move |own: &WeakHandle<A>| make(&key, own)
        };
        let ended = move || {
            if let Some(inner) = registry.upgrade() {
                inner.forget(&key, number);
            }
        };
        launch.go(&inner.supervisor, inner.restart, make, ended);
    }

    /// Starts the task that lets unused actors go, unless it runs.
    fn sweep_later(&self) {
        let linger = self.0.limits.linger;
        if linger.is_zero() || std::mem::replace(&mut self.0.lock().sweeping, true) {
            return;
        }
        let sweeper = Sweeper(Arc::downgrade(&self.0));
        // If the runtime ends, the task is dropped, and the next opening starts another one.
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(linger / 2).await;
                match sweeper.0.upgrade() {
                    Some(inner) if inner.sweep() => {}
                    _ => return,
                }
            }
        });
    }
}

/// What opening a key found.
enum Look<A: Actor> {
    Found(Handle<A>),
    Made(Handle<A>, Launch<A>, u64),
    /// Wait for the end of this one.
    Busy(WeakHandle<A>),
}

impl<K, A: Actor> Inner<K, A> {
    /// No user code runs under this lock.
    fn lock(&self) -> MutexGuard<'_, Open<K, A>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, handle: &Handle<A>) -> Option<Handle<A>> {
        (!self.limits.linger.is_zero()).then(|| handle.clone())
    }

    /// Lets go of what has not been used for as long as it may linger. Says whether there is more to come.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let mut open = self.lock();
        let mut more = false;
        for entry in open.entries.values_mut() {
            if !entry.lingers() {
                entry.used = now;
            } else if now.saturating_duration_since(entry.used) >= self.limits.linger {
                entry.kept = None;
            }
            more |= entry.kept.is_some();
        }
        open.sweeping = more;
        more
    }
}

impl<K: Eq + Hash, A: Actor> Inner<K, A> {
    /// Forgets the actor of this number; its successor stays.
    fn forget(&self, key: &K, number: u64) {
        let mut open = self.lock();
        if open
            .entries
            .get(key)
            .is_some_and(|entry| entry.number == number)
        {
            open.entries.remove(key);
            open.full_until = None;
            self.count.set(open.entries.len() as f64);
        }
    }
}

impl<K, A: Actor> Open<K, A> {
    /// How many have not ended. Their ends are noted a moment after they happen.
    fn alive(&self) -> usize {
        let entries = self.entries.values();
        entries
            .filter(|entry| !entry.handle.state().is_over())
            .count()
    }

    /// Whether there is room once those are counted out whose end has not been noted yet.
    fn has_room(&self, limit: usize) -> bool {
        self.full_until.is_none() && self.alive() < limit
    }

    /// Lets go of the actor that has lingered longest. Looking costs a step for each actor, so that a full registry
    /// does it at most once in as many microseconds.
    fn make_room(&mut self, now: Instant) -> Result<WeakHandle<A>, RegistryError> {
        if self.full_until.is_some_and(|until| now < until) {
            return Err(RegistryError::Full);
        }
        let unused = self.entries.values_mut().filter(|entry| entry.lingers());
        let Some(longest) = unused.min_by_key(|entry| entry.used) else {
            let steps = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
            self.full_until = Some(now + Duration::from_micros(steps));
            return Err(RegistryError::Full);
        };
        self.full_until = None;
        longest.kept = None;
        Ok(longest.handle.clone())
    }
}

impl<A: Actor> Entry<A> {
    /// Whether nobody but the registry holds it.
    fn lingers(&self) -> bool {
        self.kept.as_ref().is_some_and(Handle::is_alone)
    }
}

/// Marks the sweeping task as gone when it is.
struct Sweeper<K, A: Actor>(Weak<Inner<K, A>>);

impl<K, A: Actor> Drop for Sweeper<K, A> {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.lock().sweeping = false;
        }
    }
}

impl<K, A: Actor> Clone for Registry<K, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, A: Actor> fmt::Debug for Registry<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Registry");
        out.field("role", &self.0.role.name());
        out.field("open", &self.0.lock().entries.len()).finish()
    }
}
