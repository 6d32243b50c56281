//! A value that others wait for.
//!
//! What tokio's `watch` does, in a tenth of its room, and in half of it for who waits: there is one for each actor, and each connection waits
//! for one all its life.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A value that others wait for.
pub(super) struct Watched<T> {
    value: Mutex<T>,
    moved: Notify,
}

impl<T: Copy> Watched<T> {
    pub fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            moved: Notify::new(),
        }
    }

    /// The value now.
    pub fn get(&self) -> T {
        *self.lock()
    }

    /// Moves on to `next` from the values that `from` names. Says whether it moved.
    pub fn shift(&self, from: impl FnOnce(T) -> bool, next: T) -> bool {
        let moves = {
            let mut value = self.lock();
            let moves = from(*value);
            if moves {
                *value = next;
            }
            moves
        };
        if moves {
            self.moved.notify_waiters();
        }
        moves
    }

    /// Waits for a value; the one that it is. Safe to cancel.
    pub async fn wait_for(&self, mut reached: impl FnMut(T) -> bool) -> T {
        loop {
            let mut moved = pin!(self.moved.notified());
            // From here on no move is missed.
            moved.as_mut().enable();
            let value = self.get();
            if reached(value) {
                return value;
            }
            moved.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn who_waits_hears_of_every_move_until_it_has_what_it_waits_for() {
        let watched = Arc::new(Watched::new(0));
        assert_eq!(watched.wait_for(|value| value == 0).await, 0);
        let waiters: Vec<_> = (0..10)
            .map(|_| {
                let watched = watched.clone();
                tokio::spawn(async move { watched.wait_for(|value| value >= 3).await })
            })
            .collect();
        for next in 1..4 {
            tokio::task::yield_now().await;
            assert!(watched.shift(|value| value < next, next));
            assert!(!watched.shift(|value| value < next, 0), "it is there");
        }
        for waiter in waiters {
            assert_eq!(waiter.await.expect("no panic"), 3);
        }
    }

    #[test]
    fn it_is_small_and_so_is_who_waits() {
        let watched = Watched::new(0_u64);
        assert!(std::mem::size_of_val(&watched) <= 64);
        assert!(std::mem::size_of_val(&watched.wait_for(|_| true)) <= 128);
    }
}
