//! What reaches a connection from outside while it waits for its peer.
//!
//! Signals carry no truth and never queue: each is a mark that the connection finds when it next waits. So a mailbox can
//! mark ten thousand idle connections without waiting for one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

const CHANGED: u8 = 1;
const DRAIN: u8 = 2;
const REVOKED: u8 = 4;
/// As [`REVOKED`], and never taken.
const ENDED: u8 = 8;

/// The marks of one connection. Cheap to clone; all clones are the same marks.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    marks: AtomicU8,
    wake: Notify,
    ended: Notify,
}

/// Which marks somebody looks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Heed {
    /// All of them: between two lines.
    All,
    /// The end of the right to be here alone: in the middle of something.
    Revoked,
}

/// A mark that was set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Signal {
    Changed,
    Drain,
    Revoked,
}

impl Signals {
    /// Something that the session may want to look at has changed.
    pub fn changed(&self) {
        self.mark(CHANGED);
    }

    /// The process is going down.
    pub fn drain(&self) {
        self.mark(DRAIN);
    }

    /// The account's right to be here has ended.
    pub fn revoke(&self) {
        if self.0.marks.fetch_or(ENDED, Ordering::SeqCst) & ENDED == 0 {
            self.mark(REVOKED);
            self.0.ended.notify_one();
        }
    }

    /// Waits until the right to be here has ended, whether the session was told or not. For one at a time. Safe to cancel.
    pub(crate) async fn ended(&self) {
        while self.0.marks.load(Ordering::SeqCst) & ENDED == 0 {
            self.0.ended.notified().await;
        }
    }

    fn mark(&self, mark: u8) {
        if self.0.marks.fetch_or(mark, Ordering::SeqCst) & mark == 0 {
            self.0.wake.notify_one();
        }
    }

    /// The most urgent mark, taken.
    pub(crate) fn take(&self, heed: Heed) -> Option<Signal> {
        let marks = self.0.marks.load(Ordering::SeqCst);
        let (mark, signal) = [
            (REVOKED, Signal::Revoked),
            (DRAIN, Signal::Drain),
            (CHANGED, Signal::Changed),
        ]
        .into_iter()
        .filter(|(mark, _)| heed == Heed::All || *mark == REVOKED)
        .find(|(mark, _)| marks & mark != 0)?;
        self.0.marks.fetch_and(!mark, Ordering::SeqCst);
        Some(signal)
    }

    /// Waits for a mark and takes it. Safe to cancel.
    pub(crate) async fn next(&self, heed: Heed) -> Signal {
        loop {
            if let Some(signal) = self.take(heed) {
                return signal;
            }
            self.0.wake.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mark_waits_for_who_was_not_looking() {
        let signals = Signals::default();
        signals.changed();
        signals.changed();
        signals.drain();
        assert_eq!(signals.next(Heed::All).await, Signal::Drain);
        assert_eq!(signals.next(Heed::All).await, Signal::Changed);
        assert_eq!(signals.take(Heed::All), None);
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let signals = Signals::default();
        let other = signals.clone();
        let (signal, (), ()) = tokio::join!(signals.next(Heed::All), signals.ended(), async move {
            tokio::task::yield_now().await;
            other.revoke();
        });
        assert_eq!(signal, Signal::Revoked);
    }

    #[tokio::test]
    async fn in_the_middle_of_something_only_the_end_counts() {
        let signals = Signals::default();
        signals.changed();
        signals.drain();
        assert_eq!(signals.take(Heed::Revoked), None);
        signals.revoke();
        assert_eq!(signals.next(Heed::Revoked).await, Signal::Revoked);
        // It is told once, and stays true.
        signals.revoke();
        assert_eq!(signals.take(Heed::Revoked), None);
        signals.ended().await;
        assert_eq!(signals.next(Heed::All).await, Signal::Drain);
        assert_eq!(signals.next(Heed::All).await, Signal::Changed);
    }
}
