//! The way from an actor's handles to one value of it.
//!
//! tokio's channel would do; it holds a kibibyte while it waits, and of actors that wait there are as many as clients.
//!
//! **Invariants.** What is pushed comes out in order. Nothing goes in once the queue is closed, by either end; what was in it still comes out.
//! **Bounds.** Nobody pushes without one of the actor's places. A queue that waits for asks holds no room for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker, ready};

use actix::Actor;
use tokio::task::coop;

use super::inbox::Envelope;

/// Asks on their way to one value of an actor.
pub(super) struct Queue<A: Actor>(Mutex<Line<A>>);

struct Line<A: Actor> {
    asks: VecDeque<Box<dyn Envelope<A>>>,
    /// Who waits for the next one.
    waiting: Option<Waker>,
    closed: bool,
}

impl<A: Actor> Queue<A> {
    /// An open one.
    pub fn open() -> Arc<Self> {
        let line = Line {
            asks: VecDeque::new(),
            waiting: None,
            closed: false,
        };
        Arc::new(Self(Mutex::new(line)))
    }

    /// Puts an ask in line; hands it back if the queue is closed.
    pub fn push(&self, ask: Box<dyn Envelope<A>>) -> Result<(), Box<dyn Envelope<A>>> {
        let waiting = {
            let mut line = self.lock();
            if line.closed {
                return Err(ask);
            }
            line.asks.push_back(ask);
            line.waiting.take()
        };
        if let Some(waker) = waiting {
            waker.wake();
        }
        Ok(())
    }

    /// Takes nothing more in.
    pub fn close(&self) {
        let waiting = {
            let mut line = self.lock();
            line.closed = true;
            line.waiting.take()
        };
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// The next ask; none once the queue is closed and empty. Takes part in tokio's cooperative budget.
    pub fn poll_next(&self, task: &mut TaskContext<'_>) -> Poll<Option<Box<dyn Envelope<A>>>> {
        let budget = ready!(coop::poll_proceed(task));
        let mut line = self.lock();
        let next = line.asks.pop_front();
        if next.is_none() && !line.closed {
            line.asks = VecDeque::new();
            match &mut line.waiting {
                Some(waker) => waker.clone_from(task.waker()),
                none => *none = Some(task.waker().clone()),
            }
            return Poll::Pending;
        }
        budget.made_progress();
        Poll::Ready(next)
    }

    /// The next ask that is there.
    pub fn pop(&self) -> Option<Box<dyn Envelope<A>>> {
        self.lock().asks.pop_front()
    }

    /// No code of an actor runs under this lock.
    fn lock(&self) -> MutexGuard<'_, Line<A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use actix::Context;
    use futures_util::FutureExt;

    use super::super::AskError;
    use super::super::inbox::Running;
    use super::*;

    struct Nobody;

    impl Actor for Nobody {
        type Context = Context<Self>;
    }

    struct Numbered(u32, std::sync::mpsc::Sender<u32>);

    impl Envelope<Nobody> for Numbered {
        fn deliver(self: Box<Self>, _: &mut Nobody, _: &mut Context<Nobody>, _: &Rc<Running>) {
            unreachable!("nobody takes it")
        }

        fn refuse(self: Box<Self>, _: AskError) {
            let _ = self.1.send(self.0);
        }
    }

    async fn next(queue: &Queue<Nobody>) -> Option<Box<dyn Envelope<Nobody>>> {
        std::future::poll_fn(|task| queue.poll_next(task)).await
    }

    #[tokio::test]
    async fn what_was_in_line_comes_out_after_the_end() {
        let (say, said) = std::sync::mpsc::channel();
        let queue = Queue::open();
        for number in 0..3 {
            assert!(queue.push(Box::new(Numbered(number, say.clone()))).is_ok());
        }
        queue.close();
        let late = queue.push(Box::new(Numbered(3, say.clone())));
        assert!(late.is_err(), "handed back");
        while let Some(ask) = next(&queue).await {
            ask.refuse(AskError::Stopped);
        }
        assert_eq!(said.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[tokio::test]
    async fn who_waits_is_woken_and_holds_nothing() {
        let (say, said) = std::sync::mpsc::channel();
        let queue = Queue::open();
        for number in 0..100 {
            assert!(queue.push(Box::new(Numbered(number, say.clone()))).is_ok());
        }
        while let Some(Some(ask)) = next(&queue).now_or_never() {
            ask.refuse(AskError::Stopped);
        }
        // The runtime lets a task take so many at a time.
        tokio::task::yield_now().await;
        while let Some(Some(ask)) = next(&queue).now_or_never() {
            ask.refuse(AskError::Stopped);
        }
        assert_eq!(said.try_iter().count(), 100);
        assert_eq!(queue.lock().asks.capacity(), 0);
        let (ask, ()) = tokio::join!(next(&queue), async {
            tokio::task::yield_now().await;
            assert!(queue.push(Box::new(Numbered(7, say.clone()))).is_ok());
        });
        assert!(ask.is_some());
        let (ask, ()) = tokio::join!(next(&queue), async {
            tokio::task::yield_now().await;
            queue.close();
        });
        assert!(ask.is_none());
    }
}
