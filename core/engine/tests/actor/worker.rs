//! An actor that does what it is told, and remembers how much of it at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use actix::dev::MessageResponse;
use actix::prelude::*;
use postrider::actor::{AskError, Handle, Restart};

/// What all values of a worker have done.
#[derive(Default)]
pub struct Log {
    pub built: AtomicUsize,
    pub begun: AtomicUsize,
    pub finished: AtomicUsize,
    pub running: AtomicUsize,
    pub most: AtomicUsize,
    pub stopped: AtomicUsize,
    pub dropped: AtomicUsize,
}

pub struct Worker {
    log: Arc<Log>,
    seen: usize,
}

impl Worker {
    pub fn new(log: &Arc<Log>) -> Self {
        log.built.fetch_add(1, SeqCst);
        let log = log.clone();
        Self { log, seen: 0 }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.log.dropped.fetch_add(1, SeqCst);
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        self.log.stopped.fetch_add(1, SeqCst);
    }
}

/// How a piece of work is done.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// In the handler.
    Now,
    /// As a future of the actor's context.
    InContext(Duration),
    /// As a future of the context, alone.
    Alone(Duration),
    /// As a task that knows nothing of the actor.
    AsTask(Duration),
    /// The handler panics.
    Panic,
    /// The future of the context panics after a while.
    PanicLater(Duration),
    /// The task panics after a while.
    PanicAsTask(Duration),
    /// Ends of its own accord.
    Stop,
}

/// Work; the answer is how many pieces this value has begun.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct Work(pub How);

/// Counts itself while it runs, also if it is dropped.
struct Running(Arc<Log>);

impl Running {
    fn begin(log: &Arc<Log>) -> Self {
        log.begun.fetch_add(1, SeqCst);
        let now = log.running.fetch_add(1, SeqCst) + 1;
        log.most.fetch_max(now, SeqCst);
        Self(log.clone())
    }

    fn finish(self) {
        self.0.finished.fetch_add(1, SeqCst);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

/// Any kind of answer an actor may give.
pub enum Reply {
    Value(usize),
    InContext(ResponseActFuture<Worker, usize>),
    Alone(AtomicResponse<Worker, usize>),
    AsTask(ResponseFuture<usize>),
}

impl MessageResponse<Worker, Work> for Reply {
    fn handle(
        self,
        context: &mut Context<Worker>,
        answer: Option<actix::dev::OneshotSender<usize>>,
    ) {
        match self {
            Self::Value(value) => MessageResponse::<Worker, Work>::handle(
                MessageResult::<Work>(value),
                context,
                answer,
            ),
            Self::InContext(future) => {
                MessageResponse::<Worker, Work>::handle(future, context, answer)
            }
            Self::Alone(future) => MessageResponse::<Worker, Work>::handle(future, context, answer),
            Self::AsTask(future) => {
                MessageResponse::<Worker, Work>::handle(future, context, answer)
            }
        }
    }
}

impl Handler<Work> for Worker {
    type Result = Reply;

    fn handle(&mut self, Work(how): Work, context: &mut Context<Self>) -> Reply {
        self.seen += 1;
        let (seen, running) = (self.seen, Running::begin(&self.log));
        let wait = move |time: Duration| async move {
            tokio::time::sleep(time).await;
            running.finish();
            seen
        };
        match how {
            How::Now => Reply::Value(seen),
            How::InContext(time) => Reply::InContext(Box::pin(wait(time).into_actor(self))),
            How::Alone(time) => {
                Reply::Alone(AtomicResponse::new(Box::pin(wait(time).into_actor(self))))
            }
            How::AsTask(time) => Reply::AsTask(Box::pin(wait(time))),
            How::Panic => panic!("expected in this test"),
            How::PanicLater(time) => Reply::InContext(Box::pin(
                async move {
                    wait(time).await;
                    panic!("expected later in this test")
                }
                .into_actor(self),
            )),
            How::PanicAsTask(time) => Reply::AsTask(Box::pin(async move {
                wait(time).await;
                panic!("expected in a task in this test")
            })),
            How::Stop => {
                context.stop();
                Reply::Value(seen)
            }
        }
    }
}

pub const RESTART: Restart = Restart {
    limit: 2,
    window: Duration::from_secs(60),
    pause: Duration::from_secs(5),
};

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Lets everything run that can.
pub async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// Asks in a task of its own.
pub fn ask_aside(
    handle: &Handle<Worker>,
    how: How,
) -> tokio::task::JoinHandle<Result<usize, AskError>> {
    let handle = handle.clone();
    actix::spawn(async move { handle.ask(Work(how)).await })
}
