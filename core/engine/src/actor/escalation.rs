//! Where a failure goes that restarting did not mend: to the one that can end the process with a reason.
//!
//! The service manager is the last supervisor. The engine turns a [`Failure`] into an orderly end of the process and
//! an exit status; who embeds a part of the engine decides for itself.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::mpsc;

use super::life::contain;

/// An actor failed for good.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("actor {actor} failed {failures} times within {window:?}, last: {reason}")]
pub struct Failure {
    /// The role of the actor.
    pub actor: Arc<str>,
    /// Failures within `window`, the last one included.
    pub failures: usize,
    /// The window they were counted in.
    pub window: Duration,
    /// What the last panic said, or what else it died of.
    pub reason: String,
}

/// Takes failures, from any thread, without waiting.
#[derive(Clone)]
pub struct Escalation(Arc<dyn Fn(Failure) + Send + Sync>);

/// The other end of [`Escalation::channel`].
#[derive(Debug)]
pub struct Failures(mpsc::Receiver<Failure>);

/// Exit status for a fault of our own (`EX_SOFTWARE` of sysexits.h).
const EX_SOFTWARE: i32 = 70;

/// Failures that wait to be read. The first is the one that ends the process.
const WAITING: usize = 16;

impl Escalation {
    /// Calls `report` for each failure, on the failed actor's arbiter. It must not block.
    pub fn new(report: impl Fn(Failure) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    /// Hands failures to whoever awaits [`Failures::next`]. Those that find 16 others waiting are only logged.
    pub fn channel() -> (Self, Failures) {
        let (send, receive) = mpsc::channel(WAITING);
        let escalation = Self::new(move |failure| {
            let _ = send.try_send(failure);
        });
        (escalation, Failures(receive))
    }

    /// Ends the actix `System` that the failed actor ran in, with exit code 70.
    pub fn end_system() -> Self {
        Self::new(|_| {
            if let Some(system) = actix::System::try_current() {
                system.stop_with_code(EX_SOFTWARE);
            }
        })
    }

    /// Logs and nothing else: for actors whose end concerns nobody but their own clients.
    pub fn log_only() -> Self {
        static NOBODY: LazyLock<Escalation> = LazyLock::new(|| Escalation::new(|_| {}));
        NOBODY.clone()
    }

    pub(super) fn report(&self, failure: Failure) {
        tracing::error!(
            actor = &*failure.actor,
            failures = failure.failures,
            reason = failure.reason,
            "actor failed for good"
        );
        if let Err(panic) = contain(|| (self.0)(failure)) {
            tracing::error!(panic, "escalation panicked");
        }
    }
}

impl Failures {
    /// Waits for the next failure; `None` once nobody is left who could report one.
    pub async fn next(&mut self) -> Option<Failure> {
        self.0.recv().await
    }
}

impl fmt::Debug for Escalation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Escalation(..)")
    }
}
