//! The password hashers: threads of their own, since one password is a quarter of a second of a core.
//!
//! **Bounds.** One thread a core; [`PLACES`] jobs a thread wait, each until its deadline. What finds no place, or is not begun in time, is
//! [`HasherError::Overloaded`]: nothing was computed, the client may come back. A job whose asker has gone is not begun.
//! **On failure.** A job that panics fails alone ([`HasherError::Failed`]); its thread goes on.

use std::{
    fmt, io,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use postrider_protocol::secret::Secret;
use tokio::sync::oneshot;

use super::password::{VerifyError, hash_password, verify_evenly, verify_nobody};
use crate::telemetry::metrics::{PASSWORD_JOBS_REFUSED, PASSWORD_JOBS_WAITING, PASSWORD_SECONDS};

/// Jobs that usually may wait for each thread.
pub const PLACES: usize = 64;

/// Why the hashers gave no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HasherError {
    /// Too many wait; come back later.
    #[error("too many passwords wait to be hashed")]
    Overloaded,
    /// The password is none, or the hash cannot be verified.
    #[error(transparent)]
    Unverifiable(#[from] VerifyError),
    /// A hasher failed at this job.
    #[error("a password hasher failed")]
    Failed,
}

/// The password hashers; clones share them. They end when the last clone is gone.
#[derive(Clone)]
pub struct Hasher {
    queue: Sender<Job>,
    wait: Duration,
}

type Answer<T> = oneshot::Sender<Result<T, HasherError>>;

struct Job {
    deadline: Instant,
    task: Task,
}

enum Task {
    Verify {
        hash: String,
        password: Secret<String>,
        answer: Answer<bool>,
    },
    VerifyNobody {
        answer: Answer<bool>,
    },
    Hash {
        password: Secret<String>,
        answer: Answer<String>,
    },
    #[cfg(test)]
    Run {
        work: Box<dyn FnOnce() -> bool + Send>,
        answer: Answer<bool>,
    },
}

impl Hasher {
    /// Starts `threads` hashers; a job waits at most `wait` for its begin.
    ///
    /// # Errors
    /// A thread that cannot be started.
    pub fn start(threads: NonZeroUsize, wait: Duration) -> io::Result<Self> {
        Self::with_places(threads, PLACES, wait)
    }

    /// The same, with so many places for each thread.
    ///
    /// # Errors
    /// A thread that cannot be started.
    pub fn with_places(threads: NonZeroUsize, places: usize, wait: Duration) -> io::Result<Self> {
        let (queue, jobs) = bounded(threads.get().saturating_mul(places.max(1)));
        for number in 0..threads.get() {
            let jobs: Receiver<Job> = jobs.clone();
            thread::Builder::new()
                .name(format!("hasher-{number}"))
                .spawn(move || work(&jobs))?;
        }
        Ok(Self { queue, wait })
    }

    /// As many hashers as cores, with so many places for each.
    ///
    /// # Errors
    /// A thread that cannot be started.
    pub fn start_on_all_cores(places: usize, wait: Duration) -> io::Result<Self> {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self::with_places(threads, places, wait)
    }

    /// Whether this is the password of the hash. Every answer but yes takes as long as [`Hasher::verify_nobody`].
    ///
    /// # Errors
    /// Overload, a hash that cannot be verified, a password that is none.
    pub async fn verify(
        &self,
        hash: String,
        password: Secret<String>,
    ) -> Result<bool, HasherError> {
        self.ask(|answer| Task::Verify {
            hash,
            password,
            answer,
        })
        .await
    }

    /// Takes as long as [`Hasher::verify`] does, for a user that does not exist. Always false.
    ///
    /// # Errors
    /// Overload.
    pub async fn verify_nobody(&self) -> Result<bool, HasherError> {
        self.ask(|answer| Task::VerifyNobody { answer }).await
    }

    /// Makes the hash of a password.
    ///
    /// # Errors
    /// Overload, a password that is none.
    pub async fn hash(&self, password: Secret<String>) -> Result<String, HasherError> {
        self.ask(|answer| Task::Hash { password, answer }).await
    }

    async fn ask<T>(&self, task: impl FnOnce(Answer<T>) -> Task) -> Result<T, HasherError> {
        let (answer, result) = oneshot::channel();
        let job = Job {
            deadline: Instant::now() + self.wait,
            task: task(answer),
        };
        match self.queue.try_send(job) {
            Ok(()) => self.note_waiting(),
            Err(TrySendError::Full(_)) => {
                metrics::counter!(PASSWORD_JOBS_REFUSED).increment(1);
                return Err(HasherError::Overloaded);
            }
            // Threads outlive the queue unless all of them failed to the last.
            Err(TrySendError::Disconnected(_)) => return Err(HasherError::Failed),
        }
        let result = result.await.unwrap_or(Err(HasherError::Failed));
        self.note_waiting();
        result
    }

    fn note_waiting(&self) {
        metrics::gauge!(PASSWORD_JOBS_WAITING).set(self.queue.len() as f64);
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("waiting", &self.queue.len())
            .finish_non_exhaustive()
    }
}

fn work(jobs: &Receiver<Job>) {
    for job in jobs {
        // The panic hook has told about it; the asker is told by the answer that never comes.
        let _ = catch_unwind(AssertUnwindSafe(|| job.run()));
    }
}

impl Job {
    fn run(self) {
        let late = Instant::now() >= self.deadline;
        match self.task {
            Task::Verify {
                hash,
                password,
                answer,
            } => settle(answer, late, || Ok(verify_evenly(&hash, &password)?)),
            Task::VerifyNobody { answer } => settle(answer, late, || {
                verify_nobody();
                Ok(false)
            }),
            Task::Hash { password, answer } => {
                settle(answer, late, || Ok(hash_password(&password)?));
            }
            #[cfg(test)]
            Task::Run { work, answer } => settle(answer, late, || Ok(work())),
        }
    }
}

fn settle<T>(answer: Answer<T>, late: bool, work: impl FnOnce() -> Result<T, HasherError>) {
    if answer.is_closed() {
        return;
    }
    if late {
        metrics::counter!(PASSWORD_JOBS_REFUSED).increment(1);
        let _ = answer.send(Err(HasherError::Overloaded));
        return;
    }
    let begin = Instant::now();
    let result = work();
    metrics::histogram!(PASSWORD_SECONDS).record(begin.elapsed().as_secs_f64());
    // Who asked may have gone meanwhile.
    let _ = answer.send(result);
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    const WAIT: Duration = Duration::from_secs(60);

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn one_thread(wait: Duration) -> Hasher {
        Hasher::start(NonZeroUsize::MIN, wait).expect("a thread")
    }

    impl Hasher {
        async fn run(
            &self,
            work: impl FnOnce() -> bool + Send + 'static,
        ) -> Result<bool, HasherError> {
            let work = Box::new(work);
            self.ask(|answer| Task::Run { work, answer }).await
        }
    }

    #[tokio::test]
    async fn verifies_and_hashes() {
        let hasher = one_thread(WAIT);
        let hash = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert_eq!(
            hasher.verify(hash.to_owned(), secret("U*U")).await,
            Ok(true)
        );
        assert_eq!(
            hasher.verify(hash.to_owned(), secret("U*V")).await,
            Ok(false)
        );
        let unknown = hasher.verify("{ROT13}x".to_owned(), secret("x")).await;
        assert_eq!(
            unknown,
            Err(VerifyError::UnknownScheme("{ROT13}".to_owned()).into())
        );
        let made = hasher.hash(secret("new")).await.expect("a hash");
        assert_eq!(hasher.verify(made, secret("new")).await, Ok(true));
        assert_eq!(hasher.verify_nobody().await, Ok(false));
    }

    #[tokio::test]
    async fn a_panic_costs_one_job_and_no_thread() {
        let hasher = one_thread(WAIT);
        for _ in 0..3 {
            let answer = hasher.run(|| panic!("planted")).await;
            assert_eq!(answer, Err(HasherError::Failed));
        }
        assert_eq!(hasher.run(|| true).await, Ok(true));
    }

    #[tokio::test]
    async fn overload_is_said_at_once_and_late_jobs_are_not_begun() {
        let hasher = one_thread(Duration::from_millis(50));
        let (release, blocked) = mpsc::channel::<()>();
        let begun = Arc::new(AtomicUsize::new(0));
        let busy = {
            let hasher = hasher.clone();
            let begun = Arc::clone(&begun);
            tokio::spawn(async move {
                hasher
                    .run(move || {
                        begun.fetch_add(1, Ordering::SeqCst);
                        blocked.recv().is_ok()
                    })
                    .await
            })
        };
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let waiting: Vec<_> = (0..PLACES)
            .map(|_| {
                let hasher = hasher.clone();
                let begun = Arc::clone(&begun);
                tokio::spawn(async move {
                    hasher
                        .run(move || begun.fetch_add(1, Ordering::SeqCst) > 0)
                        .await
                })
            })
            .collect();
        while hasher.queue.len() < PLACES {
            tokio::task::yield_now().await;
        }
        assert_eq!(hasher.run(|| true).await, Err(HasherError::Overloaded));
        thread::sleep(Duration::from_millis(60));
        release.send(()).expect("the job waits for it");
        assert_eq!(busy.await.expect("no panic"), Ok(true));
        for job in waiting {
            assert_eq!(job.await.expect("no panic"), Err(HasherError::Overloaded));
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1, "no late job was begun");
        assert_eq!(
            hasher.run(|| true).await,
            Ok(true),
            "and then there is room again"
        );
    }

    #[tokio::test]
    async fn who_has_gone_costs_nothing() {
        let hasher = one_thread(WAIT);
        let (release, blocked) = mpsc::channel::<()>();
        let ran = Arc::new(AtomicUsize::new(0));
        let first = hasher.run(move || blocked.recv().is_ok());
        let flag = Arc::clone(&ran);
        {
            let gone = hasher.run(move || flag.fetch_add(1, Ordering::SeqCst) > 0);
            tokio::pin!(first);
            tokio::select! {
                biased;
                _ = &mut first => panic!("it waits"),
                _ = gone => panic!("it waits behind"),
                () = tokio::task::yield_now() => {}
            }
            release.send(()).expect("the job waits for it");
            assert_eq!(first.await, Ok(true));
        }
        assert_eq!(hasher.run(|| true).await, Ok(true));
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    }
}
