//! Work that hides which work was done.
//!
//! A unit is a round of bcrypt's key schedule, 60 µs of a core of 2020: cost 12 is 4096 of them. What the other schemes take in units was
//! measured once, for a password of common length, and stands beside them.
//!
//! **Invariants.** A comparison that brought no yes and the filling behind it are [`WHOLE`] together, less at most what bcrypt cannot do
//! (15 units, a millisecond). Nothing here looks at a clock: load shows in both alike.

use std::hint::black_box;

use super::COST;

/// What a comparison with a hash of ours costs.
pub(super) const WHOLE: u64 = 1 << COST;
/// Lowest cost that bcrypt knows.
const LOWEST: u32 = 4;

/// Does what is missing to [`WHOLE`] when `done` units are done.
pub(super) fn fill(done: u64) {
    for cost in costs(done) {
        // What is hashed makes no difference to how long it takes.
        black_box(::bcrypt::bcrypt(
            cost,
            black_box([7; 16]),
            black_box(b"nobody\0"),
        ));
        #[cfg(test)]
        note(1 << cost);
    }
}

/// Costs of bcrypt that are the missing units together.
fn costs(done: u64) -> impl Iterator<Item = u32> {
    let missing = WHOLE.saturating_sub(done);
    (LOWEST..=COST)
        .rev()
        .filter(move |cost| missing & (1 << cost) != 0)
}

#[cfg(test)]
thread_local! {
    static DONE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts units.
#[cfg(test)]
pub(super) fn note(units: u64) {
    DONE.with(|done| done.set(done.get() + units));
}

/// The units that this thread has done since the last call.
#[cfg(test)]
pub(super) fn done() -> u64 {
    DONE.with(|done| done.replace(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_filled_whole() {
        for done in 0..=WHOLE + 10 {
            let filled: u64 = costs(done).map(|cost| 1u64 << cost).sum();
            let missing = WHOLE.saturating_sub(done);
            assert!(filled <= missing && missing - filled < 16, "{done}");
        }
        assert_eq!(costs(0).collect::<Vec<_>>(), [COST]);
        assert_eq!(costs(1 << 10).collect::<Vec<_>>(), [11, 10]);
        assert_eq!(costs(WHOLE).count() + costs(1 << 16).count(), 0);
    }
}
