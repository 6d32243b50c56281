//! The service runtime: one multi-threaded tokio runtime that owns the pools.
//!
//! A pooled connection works only while the runtime that made it does, and stalls while the arbiter that made it is
//! busy (measured). So SQL, object store, LDAP and DNS live here, and arbiters ask for their work by
//! [`ServiceRuntime::spawn`]. Blocking work (SQLite files, hashing, spool files) goes to threads of this runtime, with
//! permits, so that a flood of it waits for its turn and not for threads.
//!
//! **Bounds.** Worker threads; blocking jobs, running or handed over.
//!
//! **On failure.** A task that panics is [`Gone::Panicked`] for who waits for it and nothing for anybody else.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use metrics::{Gauge, gauge};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinError, JoinHandle};
use tracing::{Instrument, Span};

use super::life::text;
use crate::telemetry::metrics::BLOCKING_JOBS;

/// Why work brought no result.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Gone {
    /// It panicked; the panic is in the log. Whether anything happened is unknown.
    #[error("the work panicked")]
    Panicked,
    /// The runtime has stopped. Whether anything happened is unknown.
    #[error("the service runtime has stopped")]
    Stopped,
}

/// A multi-threaded runtime for pools and blocking work, cheap to clone.
///
/// Metric: [`BLOCKING_JOBS`].
#[derive(Clone)]
pub struct ServiceRuntime(Arc<Inner>);

struct Inner {
    handle: Handle,
    /// None once it was stopped. The last clone may be dropped on any thread, one of its own included.
    runtime: Mutex<Ending>,
    permits: Arc<Semaphore>,
    jobs: Gauge,
}

impl ServiceRuntime {
    /// Starts `workers` threads for tasks and allows `blocking` jobs at a time; at least one of each.
    ///
    /// # Errors
    /// When threads cannot be made.
    pub fn start(workers: usize, blocking: usize) -> io::Result<Self> {
        let blocking = blocking.clamp(1, Semaphore::MAX_PERMITS);
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers.max(1))
            // What libraries hand over without our permits must not wait for ours.
            .max_blocking_threads(blocking.saturating_add(SPARE_THREADS))
            .thread_name("service")
            .enable_all()
            .build()?;
        Ok(Self(Arc::new(Inner {
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Ending(Some(runtime))),
            permits: Arc::new(Semaphore::new(blocking)),
            jobs: gauge!(BLOCKING_JOBS),
        })))
    }

    /// Runs `work` here, in the caller's span. It starts at once and goes on if the returned future is dropped.
    pub fn spawn<F>(&self, work: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Task(self.0.handle.spawn(work.in_current_span()))
    }

    /// Waits for a permit, then runs `work` on a thread where it may block, in the caller's span.
    ///
    /// Dropping the future while it waits undoes it; afterwards `work` runs to its end and keeps its permit.
    ///
    /// # Errors
    /// See [`Gone`].
    pub async fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let permit = self.0.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Gone::Stopped)?;
        let job = Job::begin(&self.0.jobs);
        let span = Span::current();
        let work = move || {
            let _held = (permit, job);
            span.in_scope(work)
        };
        Task(self.0.handle.spawn_blocking(work)).await
    }

    /// Runs `work` on a thread where it may block, in the caller's span, without a permit: for those who bound such work by permits of
    /// their own. It goes on if the returned future is dropped.
    pub fn block<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Task<T> {
        let span = Span::current();
        Task(self.0.handle.spawn_blocking(move || span.in_scope(work)))
    }

    /// The runtime's own handle, for libraries that want one.
    pub fn handle(&self) -> &Handle {
        &self.0.handle
    }

    /// Ends the runtime: tasks are dropped at their next await, blocking jobs get `patience` to end. All that is
    /// asked of it afterwards is [`Gone::Stopped`].
    pub async fn stop(&self, patience: Duration) {
        self.0.permits.close();
        let Some(runtime) = self.0.take() else { return };
        // `shutdown_timeout` blocks, which no thread of a runtime may do.
        let (done, finished) = oneshot::channel::<()>();
        let mut ending = Ending(Some(runtime));
        let thread = std::thread::Builder::new().name("service-stop".to_owned());
        let spawned = thread.spawn(move || {
            if let Some(runtime) = ending.0.take() {
                runtime.shutdown_timeout(patience);
            }
            drop(done);
        });
        match spawned {
            Ok(_) => drop(finished.await),
            Err(error) => tracing::error!(%error, "no thread to stop the service runtime on"),
        }
    }
}

/// A runtime that may be dropped anywhere: a plain one panics where it may not block.
struct Ending(Option<Runtime>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Threads beyond the permits, for blocking calls that libraries make on their own (name look-ups, files).
const SPARE_THREADS: usize = 16;

impl Inner {
    fn take(&self) -> Option<Runtime> {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        runtime.0.take()
    }
}

impl fmt::Debug for ServiceRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceRuntime(..)")
    }
}

/// Counts a blocking job.
struct Job(Gauge);

impl Job {
    fn begin(jobs: &Gauge) -> Self {
        jobs.increment(1.0);
        Self(jobs.clone())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Work on the service runtime; may be awaited on any runtime. Dropping it does not end the work.
#[derive(Debug)]
pub struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    /// Drops the work at its next await.
    pub fn abort(&self) {
        self.0.abort();
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, Gone>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(task)).map_err(gone))
    }
}

fn gone(error: JoinError) -> Gone {
    match error.try_into_panic() {
        Ok(payload) => {
            tracing::error!(
                panic = text(payload),
                "work on the service runtime panicked"
            );
            Gone::Panicked
        }
        Err(_) => Gone::Stopped,
    }
}
