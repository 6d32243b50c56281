//! What happened within a window of time, in constant memory.
//!
//! The window is cut into [`PARTS`], and one part more is kept: what happens counts for at least the window, and for at most one part longer.

use std::time::Duration;

use tokio::time::Instant;

/// Parts of a window.
const PARTS: u32 = 7;
const SLOTS: usize = PARTS as usize + 1;

/// The clock of all windows of one length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    start: Instant,
    length: Duration,
}

impl Parts {
    pub(crate) fn of(window: Duration) -> Self {
        Self {
            start: Instant::now(),
            length: (window / PARTS).max(Duration::from_millis(1)),
        }
    }

    /// The number of the part that a moment lies in.
    pub(crate) fn at(&self, now: Instant) -> u64 {
        let parts = now.saturating_duration_since(self.start).as_nanos() / self.length.as_nanos();
        u64::try_from(parts).unwrap_or(u64::MAX)
    }
}

/// What was counted lately.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    counts: [u32; SLOTS],
    newest: u64,
}

impl Window {
    /// Counts one more.
    pub(crate) fn add(&mut self, part: u64) {
        self.forget(part);
        let slot = &mut self.counts[slot(self.newest)];
        *slot = slot.saturating_add(1);
    }

    /// What counts now.
    pub(crate) fn total(&self, part: u64) -> u32 {
        let mut now = *self;
        now.forget(part);
        now.counts.iter().fold(0, |sum, it| sum.saturating_add(*it))
    }

    fn forget(&mut self, part: u64) {
        let gone = part.saturating_sub(self.newest).min(SLOTS as u64);
        for step in 1..=gone {
            self.counts[slot(self.newest.wrapping_add(step))] = 0;
        }
        // After a pause longer than all slots every slot was emptied, wherever the newest lies.
        self.newest = self.newest.max(part);
    }
}

fn slot(part: u64) -> usize {
    // The remainder is smaller than SLOTS.
    (part % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_happens_counts_for_the_window_and_little_longer() {
        let parts = Parts::of(Duration::from_secs(70));
        let start = Instant::now();
        let mut window = Window::default();
        window.add(parts.at(start));
        let total = |after| window.total(parts.at(start + Duration::from_secs(after)));
        assert_eq!((total(0), total(69), total(70), total(79)), (1, 1, 1, 1));
        assert_eq!((total(80), total(100_000)), (0, 0));
    }

    proptest! {
        #[test]
        fn counts_like_a_list_of_moments(steps in prop::collection::vec((0u64..12, any::<bool>()), 0..200)) {
            let (mut window, mut all, mut now) = (Window::default(), Vec::new(), 0);
            for (step, fails) in steps {
                now += step;
                if fails {
                    window.add(now);
                    all.push(now);
                }
                let expected = all.iter().filter(|at| now - **at < SLOTS as u64).count();
                prop_assert_eq!(window.total(now) as usize, expected);
            }
        }
    }
}
