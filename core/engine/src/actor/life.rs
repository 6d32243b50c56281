//! One value of an actor from start to end, its panics kept inside.
//!
//! actix polls a context once more while a panic unwinds through it, which runs `stopping` and `stopped` on a half
//! broken actor; a second panic there aborts the process. Here that cannot happen, by construction:
//!
//! 1. A panic in `started`, a handler, a future of the context, `stopping` or `stopped` unwinds to [`Life::poll`] and
//!    ends there, before the context is dropped.
//! 2. The context is then terminated, so that its destructor does not poll it: `stopping` and `stopped` do not run.
//! 3. Only then is it dropped, outside of any unwinding and inside a `catch_unwind` of its own: a destructor that
//!    panics is one more panic that is caught. (Two destructors of one value that both panic still abort: a `Drop`
//!    must not panic.)
//!
//! The same holds if the arbiter ends under the actor: `stopped` runs at an orderly end only.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::dev::ContextFut;
use actix::{Actor, ActorContext, AsyncContext, Context};

use super::AskError;
use super::inbox::{Inbox, Orphan};
use super::queue::Queue;
use super::status::Status;

/// The text of a panic.
pub(super) type Panic = String;

/// A future that ends when the value does: in order, or with a panic.
pub(super) struct Life<A: Actor<Context = Context<A>>> {
    context: Option<ContextFut<A, Context<A>>>,
    refusal: Rc<Cell<AskError>>,
}

impl<A: Actor<Context = Context<A>>> Life<A> {
    /// Builds the value with `make` and puts it behind `queue`.
    pub fn begin(
        make: impl FnOnce() -> A,
        queue: Arc<Queue<A>>,
        status: Arc<Status>,
        orphan: Orphan,
    ) -> Result<Self, Panic> {
        // Until the end proves to be an orderly one.
        let refusal = Rc::new(Cell::new(AskError::Restarted));
        let inbox = Inbox::new(queue, status, orphan, refusal.clone());
        let actor = contain(make)?;
        let mut context = Context::new();
        context.spawn(inbox);
        Ok(Self {
            context: Some(context.into_future(actor)),
            refusal,
        })
    }

    fn bury(&mut self) -> Result<(), Panic> {
        let Some(mut context) = self.context.take() else {
            return Ok(());
        };
        context.ctx().terminate();
        contain(move || drop(context))
    }
}

impl<A: Actor<Context = Context<A>>> Future for Life<A> {
    type Output = Result<(), Panic>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(context) = &mut this.context else {
            return Poll::Ready(Ok(()));
        };
        match contain(|| Pin::new(context).poll(task)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => {
                this.refusal.set(AskError::Stopped);
                Poll::Ready(this.bury())
            }
            Err(panic) => {
                // What the destructors add is a consequence; the first panic is the reason.
                if let Err(second) = this.bury() {
                    tracing::error!(panic = second, "an actor's destructor panicked");
                }
                Poll::Ready(Err(panic))
            }
        }
    }
}

impl<A: Actor<Context = Context<A>>> Drop for Life<A> {
    fn drop(&mut self) {
        if let Err(panic) = self.bury() {
            tracing::error!(panic, "an actor's destructor panicked");
        }
    }
}

/// Runs `work` and turns a panic into its text.
pub(super) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(work)).map_err(text)
}

/// What a panic said.
pub(super) fn text(payload: Box<dyn Any + Send>) -> Panic {
    let text = match payload.downcast::<String>() {
        Ok(text) => return *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => return (*text).to_owned(),
            Err(payload) => contain_drop(payload),
        },
    };
    text.to_owned()
}

/// A payload may be any value, with a destructor that panics in its turn.
fn contain_drop(payload: Box<dyn Any + Send>) -> &'static str {
    match catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        Ok(()) => "a panic without text",
        Err(second) => {
            std::mem::forget(second);
            "a panic without text, and one in its payload"
        }
    }
}
