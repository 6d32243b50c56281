//! How often an actor may fail, and how long it rests in between.

use std::time::Duration;

/// How often an actor may fail before its supervisor gives up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Restart {
    /// Failures tolerated within `window`.
    pub limit: usize,
    /// Length of the window the failures are counted in.
    pub window: Duration,
    /// Pause before the first restart. It doubles with every further failure in the window, but never so far that
    /// an actor which fails at once each time would escape the limit.
    pub pause: Duration,
}

impl Restart {
    /// Not at all.
    pub const NEVER: Self = Self {
        limit: 0,
        window: Duration::ZERO,
        pause: Duration::ZERO,
    };

    /// The pause after the `failures`th failure within the window.
    pub(super) fn back_off(&self, failures: usize) -> Duration {
        let doubled = u32::try_from(failures.saturating_sub(1))
            .ok()
            .and_then(|shift| 1_u32.checked_shl(shift))
            .map_or(Duration::MAX, |factor| self.pause.saturating_mul(factor));
        let limit = u32::try_from(self.limit).unwrap_or(u32::MAX);
        let share = self.window / limit.saturating_add(1);
        doubled.min(share.max(self.pause))
    }
}
