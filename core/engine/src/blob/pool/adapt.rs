//! How many operations a store can do at a time, learnt from how long it takes: a window that shrinks when answers come later than
//! usual and grows while they do not.
//!
//! What is usual moves slowly up and quickly down, so a store that is slow by nature is soon taken as it is, and one that recovers is
//! used at once. Failures cut the window, once for what was asked before the last cut.
//!
//! **Bounds.** From an eighth of the configured number to all of it. No clock: who asks says when.

use tokio::time::Instant;

/// Seconds over which the usual time is learnt.
const MEMORY: f64 = 30.0;
/// Answers over which the present time is.
const RECENT: f64 = 10.0;
/// How many times the usual an answer may take.
const TOLERANCE: f64 = 2.0;
/// How much of the way to its goal the window goes with each answer.
const STEP: f64 = 0.2;
/// What is left of the window after a failure.
const CUT: f64 = 0.7;
/// Shorter answers are all the same: noise of our own.
const SHORTEST: f64 = 0.005;

/// The window of one kind of operations.
#[derive(Debug)]
pub(super) struct Adapt {
    least: f64,
    most: f64,
    window: f64,
    /// Seconds.
    usual: f64,
    /// Seconds, of late.
    recent: f64,
    /// Up to [`RECENT`].
    answers: f64,
    last: Option<Instant>,
    cut: Option<Instant>,
}

impl Adapt {
    /// Opens with all of `most`.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self {
            least: (most / 8.0).max(2.0).min(most),
            most,
            window: most,
            usual: 0.0,
            recent: 0.0,
            answers: 0.0,
            last: None,
            cut: None,
        }
    }

    /// How many operations there may be now.
    pub(super) fn window(&self) -> usize {
        self.window.round() as usize
    }

    /// The store has answered at `now` what was asked at `begun`, while it had so many operations.
    pub(super) fn answered(&mut self, begun: Instant, now: Instant, working: usize) {
        let took = now
            .saturating_duration_since(begun)
            .as_secs_f64()
            .max(SHORTEST);
        self.answers = (self.answers + 1.0).min(RECENT);
        self.recent += (took - self.recent) / self.answers;
        let gap = self.last.map_or(0.0, |last| {
            now.saturating_duration_since(last).as_secs_f64()
        });
        self.last = Some(now);
        if self.answers < RECENT {
            self.usual = self.recent;
        }
        if self.usual > TOLERANCE * self.recent {
            // Better than we remember.
            self.usual *= 0.9;
        }
        self.usual += (self.recent - self.usual) * (1.0 - (-gap / MEMORY).exp());
        let gradient = (TOLERANCE * self.usual / self.recent).clamp(0.5, 1.0);
        let goal = self.window * gradient + self.window.sqrt();
        // A window that nobody fills says nothing about a larger one.
        if goal < self.window || working as f64 * 2.0 >= self.window {
            self.window = self.window * (1.0 - STEP) + goal * STEP;
        }
        self.bound();
    }

    /// The store has failed at what was asked at `begun`.
    pub(super) fn failed(&mut self, begun: Instant, now: Instant) {
        if self.cut.is_none_or(|cut| begun >= cut) {
            self.window *= CUT;
            self.cut = Some(now);
            self.bound();
        }
    }

    fn bound(&mut self) {
        self.window = self.window.clamp(self.least, self.most);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BinaryHeap, time::Duration};

    use super::*;

    /// A store that serves so many at a time, each in `time` seconds; more than that share it. Asked as much as the window allows.
    struct Model {
        places: f64,
        time: f64,
        now: f64,
        zero: Instant,
    }

    impl Model {
        fn new(places: f64, time: f64) -> Self {
            Self {
                places,
                time,
                now: 0.0,
                zero: Instant::now(),
            }
        }

        /// Goes on for some seconds; operations done, and the window at the end.
        fn run(&mut self, adapt: &mut Adapt, seconds: f64) -> (usize, usize) {
            let (until, mut done) = (self.now + seconds, 0);
            let at = |seconds: f64| Duration::from_secs_f64(seconds);
            // Nanoseconds, the ends negated: the earliest comes first.
            let mut ends: BinaryHeap<(i64, i64)> = BinaryHeap::new();
            loop {
                while ends.len() < adapt.window() {
                    let crowd = (ends.len() as f64 + 1.0) / self.places;
                    let end = self.now + self.time * crowd.max(1.0);
                    ends.push((-(end * 1e9) as i64, (self.now * 1e9) as i64));
                }
                let (end, begun) = ends.pop().expect("the window is never empty");
                self.now = -end as f64 / 1e9;
                if self.now > until {
                    return (done, adapt.window());
                }
                done += 1;
                let begun = self.zero + at(begun as f64 / 1e9);
                adapt.answered(begun, self.zero + at(self.now), ends.len() + 1);
            }
        }
    }

    #[test]
    fn a_store_that_keeps_up_gets_everything() {
        let mut adapt = Adapt::new(64);
        let mut store = Model::new(1000.0, 0.01);
        assert_eq!(store.run(&mut adapt, 5.0).1, 64);
    }

    #[test]
    fn a_crowded_store_is_asked_for_less_and_does_as_much() {
        let mut adapt = Adapt::new(64);
        let mut store = Model::new(1000.0, 0.01);
        store.run(&mut adapt, 5.0);
        store.places = 8.0;
        let (done, window) = store.run(&mut adapt, 5.0);
        assert!(window <= 16, "{window}");
        assert!(done >= 3900, "{done} of 4000");
    }

    #[test]
    fn a_store_that_slows_is_spared_then_taken_as_it_is() {
        let mut adapt = Adapt::new(64);
        let mut store = Model::new(1000.0, 0.01);
        store.run(&mut adapt, 5.0);
        store.time = 2.0;
        let (_, window) = store.run(&mut adapt, 5.0);
        assert_eq!(window, 8);
        let (_, window) = store.run(&mut adapt, 35.0);
        assert!(window >= 48, "slow by nature: {window}");
        // Well again: at once as before.
        store.time = 0.01;
        let (done, window) = store.run(&mut adapt, 1.0);
        assert!(window == 64 && done > 3000, "{window}, {done} done");
    }

    #[test]
    fn back_within_a_second_from_the_least() {
        let mut adapt = Adapt::new(64);
        let mut store = Model::new(1000.0, 0.01);
        store.run(&mut adapt, 1.0);
        let mut now = Instant::now();
        for _ in 0..20 {
            adapt.failed(now, now);
            now += Duration::from_secs(1);
        }
        assert_eq!(adapt.window(), 8);
        assert_eq!(store.run(&mut adapt, 1.0).1, 64);
    }

    #[test]
    fn failures_of_one_crowd_count_once() {
        let mut adapt = Adapt::new(64);
        let begun = Instant::now();
        for _ in 0..64 {
            adapt.failed(begun, begun + Duration::from_secs(1));
        }
        assert_eq!(adapt.window(), 45);
        adapt.failed(
            begun + Duration::from_secs(1),
            begun + Duration::from_secs(2),
        );
        assert_eq!(adapt.window(), 31);
    }

    #[test]
    fn an_idle_window_stays_and_small_ones_work() {
        let mut adapt = Adapt::new(64);
        let begun = Instant::now();
        adapt.failed(begun, begun);
        let window = adapt.window();
        for _ in 0..1000 {
            adapt.answered(begun, begun + Duration::from_millis(10), 1);
        }
        assert_eq!(adapt.window(), window, "nobody needed more");
        for most in [0, 1, 2, 3] {
            let mut adapt = Adapt::new(most);
            adapt.failed(begun, begun);
            adapt.answered(begun, begun + Duration::from_secs(60), 1);
            assert!(adapt.window() >= 1);
        }
    }
}
