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

/// The marks of one connection. Cheap to clone; all clones are the same marks.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    marks: AtomicU8,
    wake: Notify,
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
        self.mark(REVOKED);
    }

    fn mark(&self, mark: u8) {
        if self.0.marks.fetch_or(mark, Ordering::SeqCst) & mark == 0 {
            self.0.wake.notify_one();
        }
    }

    /// The most urgent mark, taken.
    pub(crate) fn take(&self) -> Option<Signal> {
        let marks = self.0.marks.load(Ordering::SeqCst);
        let (mark, signal) = [
            (REVOKED, Signal::Revoked),
            (DRAIN, Signal::Drain),
            (CHANGED, Signal::Changed),
        ]
        .into_iter()
        .find(|(mark, _)| marks & mark != 0)?;
        self.0.marks.fetch_and(!mark, Ordering::SeqCst);
        Some(signal)
    }

    /// Waits for a mark and takes it. Safe to cancel.
    pub(crate) async fn next(&self) -> Signal {
        loop {
            if let Some(signal) = self.take() {
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
        assert_eq!(signals.next().await, Signal::Drain);
        assert_eq!(signals.next().await, Signal::Changed);
        assert_eq!(signals.take(), None);
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let signals = Signals::default();
        let other = signals.clone();
        let (signal, ()) = tokio::join!(signals.next(), async move {
            tokio::task::yield_now().await;
            other.revoke();
        });
        assert_eq!(signal, Signal::Revoked);
    }
}
