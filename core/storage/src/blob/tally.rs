//! What stores count about themselves, for the whole process: requests that were repeated, and what the cache had.
//!
//! A store knows nothing of metrics. Whoever shows them reads these numbers when they are asked for.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a request to a store was repeated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repeat {
    /// The store asked to be left alone (429, 503).
    Busy,
    /// The store failed (other 5yz).
    Failed,
    /// The octets suffered on the way, or were too slow for it.
    Spoiled,
    /// No connection, or it broke.
    Broken,
    /// No answer in time.
    TimedOut,
    /// What was put is not there yet.
    Late,
}

impl Repeat {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Busy,
        Self::Failed,
        Self::Spoiled,
        Self::Broken,
        Self::TimedOut,
        Self::Late,
    ];

    /// One word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Spoiled => "spoiled",
            Self::Broken => "broken",
            Self::TimedOut => "timed_out",
            Self::Late => "late",
        }
    }
}

/// The numbers of a process.
#[derive(Debug)]
pub struct Tally {
    repeats: [AtomicU64; Repeat::ALL.len()],
    hits: AtomicU64,
    misses: AtomicU64,
    hit_octets: AtomicU64,
    held: AtomicU64,
}

static TALLY: Tally = Tally {
    repeats: [const { AtomicU64::new(0) }; Repeat::ALL.len()],
    hits: AtomicU64::new(0),
    misses: AtomicU64::new(0),
    hit_octets: AtomicU64::new(0),
    held: AtomicU64::new(0),
};

/// Those of this process.
pub fn tally() -> &'static Tally {
    &TALLY
}

impl Tally {
    /// Requests repeated for this reason.
    pub fn repeats(&self, why: Repeat) -> u64 {
        self.repeats[why as usize].load(Relaxed)
    }

    /// Bodies that were asked of a cache and lay there.
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// Bodies that were asked of a cache and did not.
    pub fn misses(&self) -> u64 {
        self.misses.load(Relaxed)
    }

    /// Octets asked of a cache that lay there.
    pub fn hit_octets(&self) -> u64 {
        self.hit_octets.load(Relaxed)
    }

    /// Octets that lie in caches now.
    pub fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    pub(super) fn repeated(&self, why: Repeat) {
        self.repeats[why as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn hit(&self, octets: u64) {
        self.hits.fetch_add(1, Relaxed);
        self.hit_octets.fetch_add(octets, Relaxed);
    }

    pub(super) fn missed(&self) {
        self.misses.fetch_add(1, Relaxed);
    }

    pub(super) fn came(&self, octets: u64) {
        self.held.fetch_add(octets, Relaxed);
    }

    pub(super) fn went(&self, octets: u64) {
        self.held.fetch_sub(octets, Relaxed);
    }
}
