//! Memory in flight: one number of bytes for a process, handed out in shares.
//!
//! What a process holds for its clients (bodies on their way, read buffers, literals) is taken from here before it is
//! allocated. When nothing is left, takers wait in line, their sockets are not read, and TCP tells the peers.
//!
//! **Invariants.** The bytes out never exceed the limit, and every byte comes back when its share is dropped. Waiting
//! takers are served in order: a large one is not starved by small ones behind it. Only who holds nothing waits: a
//! share that grows gets the bytes at once or not at all, so holders never wait for each other.
//!
//! **Bounds.** The limit of the process; a maximum for each [`Taker`], so that one peer cannot starve the rest.
//!
//! **On failure.** A [`BudgetError`] means that nothing was taken; it is temporary unless it says otherwise.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Gauge, gauge};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::limits::{self, Limit};
use crate::telemetry::metrics::{MEMORY_IN_FLIGHT, MEMORY_LIMIT, MEMORY_WAITING};

pub use crate::config::ByteCount;

impl ByteCount {
    /// None.
    pub const ZERO: Self = Self(0);

    /// This many bytes.
    pub const fn bytes(count: u64) -> Self {
        Self(count)
    }

    /// This many times 1024 bytes, or as many as can be said.
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// This many times 1024 KiB, or as many as can be said.
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// This many times 1024 MiB, or as many as can be said.
    pub const fn gib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 30))
    }

    /// As a plain number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<usize> for ByteCount {
    fn from(count: usize) -> Self {
        Self(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

/// Why bytes were not given. Nothing was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BudgetError {
    /// Not enough was free in time. Temporary.
    #[error("memory budget exhausted")]
    Exhausted,
    /// The taker holds too much already to get this in addition. Temporary.
    #[error("this taker holds its part of the memory budget")]
    Held,
    /// More than the taker, or the whole process, may ever hold.
    #[error("more than the memory budget allows at all")]
    TooLarge,
}

/// The memory in flight of a process, cheap to clone.
///
/// Metrics: [`MEMORY_IN_FLIGHT`], [`MEMORY_LIMIT`] and [`MEMORY_WAITING`].
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    limit: u64,
    state: Mutex<State>,
    used: Gauge,
    waiting: Gauge,
}

struct State {
    free: u64,
    next_ticket: u64,
    line: BTreeMap<u64, Waiting>,
}

/// Somebody in line.
struct Waiting {
    bytes: u64,
    account: Account,
    granted: oneshot::Sender<Share>,
}

impl Budget {
    /// What a process may hold if nobody says otherwise.
    pub const DEFAULT_LIMIT: ByteCount = ByteCount::gib(1);

    /// Allows `limit` bytes in flight.
    pub fn new(limit: ByteCount) -> Self {
        gauge!(MEMORY_LIMIT).set(limit.0 as f64);
        let state = State {
            free: limit.0,
            next_ticket: 0,
            line: BTreeMap::new(),
        };
        Self(Arc::new(Inner {
            limit: limit.0,
            state: Mutex::new(state),
            used: gauge!(MEMORY_IN_FLIGHT),
            waiting: gauge!(MEMORY_WAITING),
        }))
    }

    /// Somebody who may hold at most `maximum` bytes at a time: a connection, an account, an uploader.
    pub fn taker(&self, maximum: ByteCount) -> Taker {
        let account = Account {
            maximum: maximum.0.min(self.0.limit),
            held: Arc::new(AtomicU64::new(0)),
        };
        Taker {
            budget: self.clone(),
            account,
        }
    }

    /// What may be in flight in all.
    pub fn limit(&self) -> ByteCount {
        ByteCount(self.0.limit)
    }

    /// What is in flight now.
    pub fn in_flight(&self) -> ByteCount {
        ByteCount(self.0.limit - self.lock().free)
    }

    /// How many takers wait in line now.
    pub fn waiting(&self) -> usize {
        self.lock().line.len()
    }

    /// No user code runs under this lock, and nothing that panics.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes free bytes. `polite` leaves them to those who wait in line.
    fn take_free(&self, bytes: u64, polite: bool) -> bool {
        let mut state = self.lock();
        let taken = bytes <= state.free && (!polite || state.line.is_empty() || bytes == 0);
        if taken {
            state.free -= bytes;
            self.0.used.increment(bytes as f64);
        }
        taken
    }

    fn give_back(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.lock().free += bytes;
        self.0.used.decrement(bytes as f64);
        self.serve();
    }

    /// Serves those in line, as far as the bytes go.
    fn serve(&self) {
        loop {
            let mut state = self.lock();
            let Some(first) = state.line.first_entry() else {
                return;
            };
            let bytes = first.get().bytes;
            if bytes > state.free {
                return;
            }
            let Some((_, waiting)) = state.line.pop_first() else {
                return;
            };
            state.free -= bytes;
            drop(state);
            self.0.used.increment(bytes as f64);
            self.0.waiting.decrement(1.0);
            let share = Share {
                budget: self.clone(),
                account: waiting.account,
                bytes,
            };
            // Who has left meanwhile has left the line as well, or does so now: the share comes back by its `drop`.
            if let Err(mut share) = waiting.granted.send(share) {
                let (bytes, account) = (std::mem::take(&mut share.bytes), &share.account);
                account.held.fetch_sub(bytes, Ordering::Relaxed);
                self.lock().free += bytes;
                self.0.used.decrement(bytes as f64);
            }
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Self::DEFAULT_LIMIT)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Budget");
        out.field("limit", &self.limit());
        out.field("in_flight", &self.in_flight()).finish()
    }
}

/// What one taker holds, and what it waits for.
#[derive(Clone)]
struct Account {
    maximum: u64,
    held: Arc<AtomicU64>,
}

impl Account {
    fn reserve(&self, bytes: u64) -> Result<(), BudgetError> {
        if bytes > self.maximum {
            return Err(BudgetError::TooLarge);
        }
        let fits = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= self.maximum);
        match self
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
        {
            Ok(_) => Ok(()),
            Err(_) => Err(BudgetError::Held),
        }
    }

    fn release(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Somebody who takes from a [`Budget`], up to a maximum of its own. Clones share the maximum.
#[derive(Clone)]
pub struct Taker {
    budget: Budget,
    account: Account,
}

impl Taker {
    /// Takes `bytes`, waiting in line until `deadline`. Dropping the future leaves the line.
    ///
    /// Call it with empty hands: who holds a share and waits for another may wait for somebody that does the same.
    /// [`Share::grow`] is for those who hold one.
    ///
    /// # Errors
    /// [`BudgetError::Held`] and [`BudgetError::TooLarge`] at once, [`BudgetError::Exhausted`] at `deadline`.
    pub async fn take(&self, bytes: ByteCount, deadline: Instant) -> Result<Share, BudgetError> {
        if let Some(share) = self.take_now(bytes)? {
            return Ok(share);
        }
        limits::reached(Limit::Memory);
        let (place, granted) = InLine::join(self, bytes.0)?;
        let share = timeout_at(deadline, granted).await;
        drop(place);
        match share {
            Ok(Ok(share)) => Ok(share),
            _ => Err(BudgetError::Exhausted),
        }
    }

    /// Takes `bytes` if they are free now and nobody waits for them.
    ///
    /// # Errors
    /// As [`take`](Self::take), all of them at once.
    pub fn try_take(&self, bytes: ByteCount) -> Result<Share, BudgetError> {
        self.take_now(bytes)?.ok_or(BudgetError::Exhausted)
    }

    /// What this taker holds and waits for.
    pub fn held(&self) -> ByteCount {
        ByteCount(self.account.held.load(Ordering::Relaxed))
    }

    /// What it may hold at most.
    pub fn maximum(&self) -> ByteCount {
        ByteCount(self.account.maximum)
    }

    /// The budget it takes from.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    fn take_now(&self, bytes: ByteCount) -> Result<Option<Share>, BudgetError> {
        self.account.reserve(bytes.0)?;
        if !self.budget.take_free(bytes.0, true) {
            self.account.release(bytes.0);
            return Ok(None);
        }
        Ok(Some(Share {
            budget: self.budget.clone(),
            account: self.account.clone(),
            bytes: bytes.0,
        }))
    }
}

impl fmt::Debug for Taker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Taker");
        out.field("held", &self.held());
        out.field("maximum", &self.maximum()).finish()
    }
}

/// A place in line; dropping it leaves the line.
struct InLine {
    budget: Budget,
    ticket: u64,
}

impl InLine {
    fn join(taker: &Taker, bytes: u64) -> Result<(Self, oneshot::Receiver<Share>), BudgetError> {
        taker.account.reserve(bytes)?;
        let (granted, receiver) = oneshot::channel();
        let budget = taker.budget.clone();
        let mut state = budget.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let account = taker.account.clone();
        let waiting = Waiting {
            bytes,
            account,
            granted,
        };
        state.line.insert(ticket, waiting);
        drop(state);
        budget.0.waiting.increment(1.0);
        // Bytes may have come back between the try and the joining.
        budget.serve();
        Ok((Self { budget, ticket }, receiver))
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let left = self.budget.lock().line.remove(&self.ticket);
        if let Some(left) = left {
            self.budget.0.waiting.decrement(1.0);
            left.account.release(left.bytes);
            // A large one may have stood before small ones.
            self.budget.serve();
        }
    }
}

/// Bytes taken from a [`Budget`]; dropping it gives them back.
#[must_use = "a share that is dropped is given back"]
pub struct Share {
    budget: Budget,
    account: Account,
    bytes: u64,
}

impl Share {
    /// How many bytes it covers.
    pub fn bytes(&self) -> ByteCount {
        ByteCount(self.bytes)
    }

    /// Takes `more` at once or not at all, before those who wait in line: who holds something can finish and give it
    /// back, who waits holds nothing.
    ///
    /// # Errors
    /// As [`Taker::try_take`]; the share stays as it is.
    pub fn grow(&mut self, more: ByteCount) -> Result<(), BudgetError> {
        self.account.reserve(more.0)?;
        if !self.budget.take_free(more.0, false) {
            self.account.release(more.0);
            return Err(BudgetError::Exhausted);
        }
        self.bytes += more.0;
        Ok(())
    }

    /// Gives back what is above `bytes`; does nothing if there is not so much.
    pub fn shrink_to(&mut self, bytes: ByteCount) {
        let back = self.bytes.saturating_sub(bytes.0);
        self.bytes -= back;
        self.account.release(back);
        self.budget.give_back(back);
    }

    /// Cuts off a share of `bytes`, which then lives on its own; `None` if there is not so much.
    #[must_use = "the part cut off is given back if it is dropped"]
    pub fn split(&mut self, bytes: ByteCount) -> Option<Share> {
        self.bytes = self.bytes.checked_sub(bytes.0)?;
        Some(Share {
            budget: self.budget.clone(),
            account: self.account.clone(),
            bytes: bytes.0,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.account.release(bytes);
        self.budget.give_back(bytes);
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Share").field(&self.bytes()).finish()
    }
}
