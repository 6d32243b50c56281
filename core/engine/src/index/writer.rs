//! The index writer: takes changes one by one, applies what waits in one transaction.
//!
//! While as many batches commit as the index takes at once (SQLite one, PostgreSQL some), the next one gathers; so the more arrives
//! together, the fewer commits each change costs. Where the index takes several, what comes while one is under way gathers too, for
//! [`GATHER`] or until there are [`MANY`]: a commit costs the database about the same for one change as for some. Nobody waits for the
//! batch of another for longer: that one may stand before an account that somebody holds.
//!
//! **Bounds.** The places of its handle bound what waits; a batch has at most [`BATCH`] changes.
//! **On failure.** Open asks become [`Error::Unavailable`]: unknown, and harmless to repeat.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture,
};
use futures_util::{FutureExt, future::BoxFuture};
use postrider_storage::Error;
use postrider_storage::index::{Change, Index, Outcome};
use tokio::sync::oneshot;

use crate::actor::ServiceRuntime;
use crate::telemetry::metrics::{INDEX_BATCH, INDEX_SECONDS};

/// Changes that share a transaction at most.
const BATCH: usize = 256;
/// Changes that need not wait for more.
const MANY: usize = 8;
/// How long changes gather beside a batch that is under way.
const GATHER: Duration = Duration::from_millis(5);

/// Apply one change.
#[derive(Debug, Message)]
#[rtype(result = "Result<Outcome, Error>")]
pub(super) struct Apply(pub Change);

type Waiting = (Change, oneshot::Sender<Result<Outcome, Error>>);

/// Applies a batch.
type Batch = Arc<dyn Fn(Vec<Change>) -> BoxFuture<'static, Answers> + Send + Sync>;
/// One for each change.
type Answers = Vec<Result<Outcome, Error>>;

/// The actor.
pub(super) struct Writer {
    apply: Batch,
    runtime: ServiceRuntime,
    waiting: Vec<Waiting>,
    /// Batches on their way, and how many there may be.
    busy: usize,
    writers: usize,
    /// Whether a timer runs for those that gather.
    timed: bool,
}

impl Writer {
    pub fn new(index: Arc<dyn Index>, runtime: ServiceRuntime) -> Self {
        let writers = index.writers();
        let apply = move |changes| {
            let index = index.clone();
            async move { index.apply(changes).await }.boxed()
        };
        Self::over(Arc::new(apply), writers, runtime)
    }

    fn over(apply: Batch, writers: usize, runtime: ServiceRuntime) -> Self {
        Self {
            writers: writers.max(1),
            apply,
            runtime,
            waiting: Vec::new(),
            busy: 0,
            timed: false,
        }
    }

    /// Lets what waits go in a moment, unless it goes before.
    fn gather(&mut self, context: &mut Context<Self>) {
        if self.timed {
            return;
        }
        self.timed = true;
        context.run_later(GATHER, |this, context| {
            this.timed = false;
            if this.busy < this.writers {
                this.commit(context);
            }
        });
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
        let began = Instant::now();
        metrics::histogram!(INDEX_BATCH).record(changes.len() as f64);
        let apply = self.runtime.spawn((self.apply)(changes));
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
            match self.busy == 0 || self.waiting.len() >= MANY {
                true => self.commit(context),
                false => self.gather(context),
            }
        }
        Box::pin(async move {
            waits
                .await
                .unwrap_or_else(|_| Err(Error::Unavailable("index writer restarted".into())))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use postrider_storage::index::{AccountId, SetQuota, Timestamp};
    use tokio::sync::Semaphore;

    use super::*;

    type Asked = Vec<tokio::task::JoinHandle<Result<Outcome, Error>>>;

    /// An index that answers when it is let.
    #[derive(Clone)]
    struct Slow {
        /// The sizes of the batches that came.
        batches: Arc<Mutex<Vec<usize>>>,
        leave: Arc<Semaphore>,
    }

    impl Slow {
        fn new() -> Self {
            Self {
                batches: Arc::default(),
                leave: Arc::new(Semaphore::new(0)),
            }
        }

        fn writer(&self, writers: usize) -> actix::Addr<Writer> {
            let Self { batches, leave } = self.clone();
            let apply = move |changes: Vec<Change>| {
                batches.lock().expect("no panic").push(changes.len());
                let leave = leave.clone();
                async move {
                    leave.acquire().await.expect("never closed").forget();
                    let missing = |_: Change| Err(Error::NotFound("account"));
                    changes.into_iter().map(missing).collect()
                }
                .boxed()
            };
            let runtime = ServiceRuntime::start(1, 1).expect("threads");
            Writer::over(Arc::new(apply), writers, runtime).start()
        }

        /// The sizes, when nothing moves any longer: the clock stands still otherwise.
        async fn batches(&self) -> Vec<usize> {
            tokio::time::sleep(GATHER * 4).await;
            self.batches.lock().expect("no panic").clone()
        }

        /// Lets so many batches be answered, and hears the answers.
        async fn answer(&self, batches: usize, asked: Asked) {
            self.leave.add_permits(batches);
            for answer in asked {
                let answer = answer.await.expect("it runs");
                assert_eq!(answer, Err(Error::NotFound("account")));
            }
        }
    }

    /// Without a handle, whose places are not what is tested.
    #[allow(clippy::disallowed_methods)]
    fn ask(writer: &actix::Addr<Writer>, count: usize) -> Asked {
        let change = SetQuota {
            account: AccountId(1),
            quota: None,
            now: Timestamp(0),
        };
        let ask = |_| {
            let sent = writer.send(Apply(Change::SetQuota(change.clone())));
            actix::spawn(async move { sent.await.expect("it lives") })
        };
        (0..count).map(ask).collect()
    }

    #[actix::test]
    async fn what_comes_beside_a_batch_gathers_for_a_moment() {
        tokio::time::pause();
        let slow = Slow::new();
        let writer = slow.writer(4);
        let mut asked = ask(&writer, 1);
        assert_eq!(slow.batches().await, [1], "nobody to wait for");
        asked.extend(ask(&writer, MANY - 1));
        assert_eq!(slow.batches().await, [1, MANY - 1], "nobody answered");
        asked.extend(ask(&writer, MANY + 1));
        let all = [1, MANY - 1, MANY, 1];
        assert_eq!(slow.batches().await, all, "many do not wait");
        asked.extend(ask(&writer, MANY * 3));
        assert_eq!(slow.batches().await, all, "as many as the index takes");
        slow.answer(5, asked).await;
        assert_eq!(slow.batches().await[4..], [MANY * 3]);
    }

    #[actix::test]
    async fn one_writer_waits_for_none_but_itself() {
        tokio::time::pause();
        let slow = Slow::new();
        let writer = slow.writer(1);
        let mut asked = ask(&writer, 1);
        assert_eq!(slow.batches().await, [1]);
        asked.extend(ask(&writer, MANY + 1));
        assert_eq!(slow.batches().await, [1]);
        slow.answer(2, asked).await;
        assert_eq!(slow.batches().await, [1, MANY + 1]);
    }
}
