//! The index writer: takes changes one by one, applies what waits in one transaction.
//!
//! While as many batches commit as the index takes at once (SQLite one, PostgreSQL some), the next one gathers; so the more arrives
//! together, the fewer commits each change costs.
//!
//! **Bounds.** The places of its handle bound what waits; a batch has at most [`BATCH`] changes.
//! **On failure.** Open asks become [`Error::Unavailable`]: unknown, and harmless to repeat.

use std::sync::Arc;
use std::time::Instant;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture,
};
use postrider_storage::Error;
use postrider_storage::index::{Change, Index, Outcome};
use tokio::sync::oneshot;

use crate::actor::ServiceRuntime;
use crate::telemetry::metrics::{INDEX_BATCH, INDEX_SECONDS};

/// Changes that share a transaction at most.
const BATCH: usize = 256;

/// Apply one change.
#[derive(Debug, Message)]
#[rtype(result = "Result<Outcome, Error>")]
pub(super) struct Apply(pub Change);

type Waiting = (Change, oneshot::Sender<Result<Outcome, Error>>);

/// The actor.
pub(super) struct Writer {
    index: Arc<dyn Index>,
    runtime: ServiceRuntime,
    waiting: Vec<Waiting>,
    /// Batches on their way, and how many there may be.
    busy: usize,
    writers: usize,
}

impl Writer {
    pub fn new(index: Arc<dyn Index>, runtime: ServiceRuntime) -> Self {
        Self {
            writers: index.writers().max(1),
            index,
            runtime,
            waiting: Vec::new(),
            busy: 0,
        }
    }

    fn commit(&mut self, context: &mut Context<Self>) {
        if self.waiting.is_empty() {
            return;
        }
        self.busy += 1;
        let rest = self.waiting.split_off(self.waiting.len().min(BATCH));
        let (changes, answers): (Vec<_>, Vec<_>) = std::mem::replace(&mut self.waiting, rest)
            .into_iter()
            .unzip();
        let (index, began) = (self.index.clone(), Instant::now());
        metrics::histogram!(INDEX_BATCH).record(changes.len() as f64);
        let apply = self
            .runtime
            .spawn(async move { index.apply(changes).await });
        context.spawn(apply.into_actor(self).map(move |results, this, context| {
            metrics::histogram!(INDEX_SECONDS, "operation" => "commit")
                .record(began.elapsed().as_secs_f64());
            match results {
                Ok(results) => {
                    for (answer, result) in answers.into_iter().zip(results) {
                        // Who no longer waits needs no answer.
                        let _ = answer.send(result);
                    }
                }
                Err(gone) => {
                    let error = Error::Unavailable(gone.to_string());
                    for answer in answers {
                        let _ = answer.send(Err(error.clone()));
                    }
                }
            }
            this.busy -= 1;
            this.commit(context);
        }));
    }
}

impl Actor for Writer {
    type Context = Context<Self>;
}

impl Handler<Apply> for Writer {
    type Result = ResponseFuture<Result<Outcome, Error>>;

    fn handle(&mut self, Apply(change): Apply, context: &mut Self::Context) -> Self::Result {
        let (answer, waits) = oneshot::channel();
        self.waiting.push((change, answer));
        if self.busy < self.writers {
            self.commit(context);
        }
        Box::pin(async move {
            waits
                .await
                .unwrap_or_else(|_| Err(Error::Unavailable("index writer restarted".into())))
        })
    }
}
