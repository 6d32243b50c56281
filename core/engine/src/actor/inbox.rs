//! An actor's queue: takes admitted asks to their handlers and gives each place back when its work has ended.
//!
//! The queue is a future inside the actor's own context. It holds to the context's rules (an `AtomicResponse` or
//! `ctx.wait` pauses it) and to the runtime's: it takes part in tokio's cooperative budget, so that a long
//! queue does not keep the neighbours on the arbiter waiting.
//!
//! **Invariants.** Every admitted ask reaches its handler, or is refused when the queue is dropped. Its place is
//! given back before its answer can be seen. An ask nobody waits for any more is handled all the same.
//!
//! **On failure.** A future that a handler returns as `ResponseFuture` is a task of its own: its panic loses its own
//! ask ([`AskError::Restarted`] for the asker) and leaves the actor alone.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use actix::dev::MessageResponse;
use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::AskError;
use super::queue::Queue;
use super::status::{Place, State, Status};

/// An admitted ask, its kind forgotten.
pub(super) trait Envelope<A: Actor>: Send {
    /// Hands the ask to the actor.
    fn deliver(self: Box<Self>, actor: &mut A, context: &mut A::Context, running: &Rc<Running>);
    /// Answers instead of the actor.
    fn refuse(self: Box<Self>, why: AskError);
}

/// An admitted ask.
pub(super) struct Ask<M: Message> {
    message: M,
    place: Place,
    answer: oneshot::Sender<Result<M::Result, AskError>>,
}

impl<M: Message> Ask<M> {
    pub fn new(message: M, place: Place) -> (Self, oneshot::Receiver<Result<M::Result, AskError>>) {
        let (answer, answered) = oneshot::channel();
        let ask = Self {
            message,
            place,
            answer,
        };
        (ask, answered)
    }
}

impl<A, M> Envelope<A> for Ask<M>
where
    A: Actor + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn deliver(self: Box<Self>, actor: &mut A, context: &mut A::Context, running: &Rc<Running>) {
        let Self {
            message,
            mut place,
            answer,
        } = *self;
        place.begin();
        let (ours, mut theirs) = oneshot::channel();
        Handler::handle(actor, message, context).handle(context, Some(ours));
        match theirs.try_recv() {
            Ok(value) => {
                place.done();
                let _ = answer.send(Ok(value));
            }
            Err(TryRecvError::Closed) => drop(place),
            // A future works on it, in the context or as a task. A task of ours waits for it: were the waiting
            // part of the context, it would end with the context and give back the place of a task still running.
            Err(TryRecvError::Empty) => {
                let open = Running::begin(running);
                actix::spawn(async move {
                    let Ok(value) = theirs.await else {
                        return drop((place, open));
                    };
                    place.done();
                    drop(open);
                    let _ = answer.send(Ok(value));
                });
            }
        }
    }

    fn refuse(self: Box<Self>, why: AskError) {
        let Self {
            message,
            place,
            answer,
        } = *self;
        drop(place);
        let _ = answer.send(Err(why));
        drop(message);
    }
}

/// Counts the asks of one value of an actor whose futures have not ended.
#[derive(Default)]
pub(super) struct Running {
    count: Cell<usize>,
    waiting: RefCell<Option<Waker>>,
}

/// One of them.
struct Open(Rc<Running>);

impl Running {
    fn begin(running: &Rc<Self>) -> Open {
        running.count.set(running.count.get() + 1);
        Open(running.clone())
    }

    fn poll_idle(&self, task: &TaskContext<'_>) -> Poll<()> {
        if self.count.get() == 0 {
            return Poll::Ready(());
        }
        *self.waiting.borrow_mut() = Some(task.waker().clone());
        Poll::Pending
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let left = self.0.count.get().saturating_sub(1);
        self.0.count.set(left);
        let waiting = if left == 0 {
            self.0.waiting.take()
        } else {
            None
        };
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

/// What becomes of an actor whose last handle is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Orphan {
    /// It stops: nobody can ask it anything.
    Stops,
    /// It goes on until its own work ends.
    WorksOn,
}

/// The queue of one value of an actor.
pub(super) struct Inbox<A: Actor> {
    queue: Arc<Queue<A>>,
    running: Rc<Running>,
    status: Arc<Status>,
    orphan: Orphan,
    /// How asks still queued at the end are refused.
    refusal: Rc<Cell<AskError>>,
}

impl<A: Actor> Inbox<A> {
    pub fn new(
        queue: Arc<Queue<A>>,
        status: Arc<Status>,
        orphan: Orphan,
        refusal: Rc<Cell<AskError>>,
    ) -> Self {
        Self {
            queue,
            running: Rc::default(),
            status,
            orphan,
            refusal,
        }
    }
}

impl<A: Actor<Context = Context<A>>> ActorFuture<A> for Inbox<A> {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        context: &mut Context<A>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let this = self.get_mut();
        while !context.waiting() {
            match this.queue.poll_next(task) {
                Poll::Ready(Some(ask)) => ask.deliver(actor, context, &this.running),
                Poll::Ready(None) => {
                    let stops =
                        this.orphan == Orphan::Stops || this.status.state() == State::Stopping;
                    if stops {
                        std::task::ready!(this.running.poll_idle(task));
                        context.stop();
                    }
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Pending
    }
}

impl<A: Actor> Drop for Inbox<A> {
    fn drop(&mut self) {
        self.queue.close();
        while let Some(ask) = self.queue.pop() {
            ask.refuse(self.refusal.get());
        }
    }
}
