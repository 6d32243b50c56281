//! Whether an engine is alive: a supervised actor on every arbiter answers, and the service runtime turns.
//!
//! It asks nobody on the network: a database or a store that is away makes a server unready, and building the process anew would not
//! bring it back.
//!
//! **Bounds.** One ask at a time for each arbiter, however long it is silent.

use std::time::Duration;

use actix::{Actor, Context, Handler, Message};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout, timeout_at};

use crate::actor::{Arbiters, Gone, Handle, Restart, ServiceRuntime, State, Supervisor};
use crate::net::limit::Limiter;

/// How often a heart may fail before the process ends.
const RESTART: Restart = Restart {
    limit: 5,
    window: Duration::from_secs(60),
    pause: Duration::from_millis(200),
};

/// Who did not answer in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Silent {
    /// So many arbiters: threads that connections live on.
    #[error("{silent} of {of} arbiters do not answer")]
    Arbiters {
        /// How many do not.
        silent: usize,
        /// How many there are.
        of: usize,
    },
    /// The runtime of database, store and directory.
    #[error("the service runtime does not answer")]
    ServiceRuntime,
}

/// How long a heart that does not hear of its end is waited for.
const END: Duration = Duration::from_secs(1);

/// Feels whether an engine is alive, and how many it serves. Cheap to clone, and may outlive the engine: one that ended in order is not
/// missed.
#[derive(Clone)]
pub struct Pulse {
    hearts: Vec<Handle<Heart>>,
    runtime: ServiceRuntime,
    limiter: Limiter,
}

impl Pulse {
    pub(super) fn start(
        arbiters: &Arbiters,
        supervisor: &Supervisor,
        runtime: &ServiceRuntime,
        limiter: &Limiter,
    ) -> Self {
        let heart = |arbiter| {
            supervisor
                .on(arbiter)
                .supervise("heart", 1, RESTART, || Heart)
        };
        Self {
            hearts: arbiters.each().map(heart).collect(),
            runtime: runtime.clone(),
            limiter: limiter.clone(),
        }
    }

    /// Whether all of them answer in this time.
    ///
    /// # Errors
    /// Who does not.
    pub async fn feel(&self, patience: Duration) -> Result<(), Silent> {
        let deadline = Instant::now() + patience;
        let beats = self.hearts.iter().map(|heart| async move {
            let beat = timeout_at(deadline, heart.ask_before(deadline, Beat));
            matches!(beat.await, Ok(Ok(()))) || heart.state() == State::Stopped
        });
        let silent = join_all(beats).await;
        let silent = silent.iter().filter(|beat| !**beat).count();
        if silent > 0 {
            let of = self.hearts.len();
            return Err(Silent::Arbiters { silent, of });
        }
        let turn = timeout_at(deadline, self.runtime.spawn(async {}));
        match turn.await {
            Ok(Ok(()) | Err(Gone::Stopped)) => Ok(()),
            _ => Err(Silent::ServiceRuntime),
        }
    }

    /// Ends it in order, before its arbiters go.
    pub(super) async fn stop(&self) {
        for heart in &self.hearts {
            heart.stop();
        }
        let ends = join_all(self.hearts.iter().map(Handle::ended));
        // Whose arbiter hangs goes with it.
        let _in_time = timeout(END, ends).await;
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.limiter.open()
    }
}

impl std::fmt::Debug for Pulse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Pulse");
        out.field("hearts", &self.hearts.len())
            .finish_non_exhaustive()
    }
}

/// Answers as long as its arbiter turns and its supervisor minds it.
struct Heart;

impl Actor for Heart {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Beat;

impl Handler<Beat> for Heart {
    type Result = ();

    fn handle(&mut self, Beat: Beat, _: &mut Context<Self>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Escalation;

    const SHORT: Duration = Duration::from_millis(200);
    /// For what must come, on a machine that has much else to do.
    const LONG: Duration = Duration::from_secs(30);

    #[actix_rt::test]
    async fn who_ended_in_order_is_not_missed() {
        let arbiters = Arbiters::start(2).expect("threads");
        let runtime = ServiceRuntime::start(1, 1).expect("threads");
        let (escalation, mut failures) = Escalation::channel();
        let supervisor = Supervisor::new(escalation);
        let limiter = Limiter::new(crate::net::limit::Limits::default());
        let pulse = Pulse::start(&arbiters, &supervisor, &runtime, &limiter);
        pulse.stop().await;
        arbiters.join();
        runtime.stop(LONG).await;
        assert_eq!(pulse.feel(LONG).await, Ok(()));
        drop((pulse, supervisor));
        let failed = timeout(LONG, failures.next()).await;
        assert!(failed.is_ok_and(|it| it.is_none()), "nothing failed");
    }

    #[actix_rt::test]
    async fn who_hangs_is_silent_until_it_goes_on() {
        let arbiters = Arbiters::start(2).expect("threads");
        let runtime = ServiceRuntime::start(1, 1).expect("threads");
        let supervisor = Supervisor::new(Escalation::log_only());
        let limiter = Limiter::new(crate::net::limit::Limits::default());
        let pulse = Pulse::start(&arbiters, &supervisor, &runtime, &limiter);
        assert_eq!(pulse.feel(LONG).await, Ok(()));
        assert_eq!(pulse.connections(), 0);

        // Until the other end goes.
        let hang = |told: std::sync::mpsc::Receiver<()>| {
            move || {
                let _gone = told.recv();
            }
        };
        let (go_on, told) = std::sync::mpsc::channel();
        let hang_arbiter = hang(told);
        let arbiter = arbiters.pick().expect("alive");
        assert!(arbiter.spawn_fn(hang_arbiter));
        let silent = Silent::Arbiters { silent: 1, of: 2 };
        assert_eq!(pulse.feel(SHORT).await, Err(silent));
        assert_eq!(pulse.feel(SHORT).await, Err(silent), "still");
        drop(go_on);
        assert_eq!(pulse.feel(LONG).await, Ok(()));

        let (go_on, told) = std::sync::mpsc::channel();
        let hang_runtime = hang(told);
        drop(runtime.spawn(async move { hang_runtime() }));
        assert_eq!(pulse.feel(SHORT).await, Err(Silent::ServiceRuntime));
        drop(go_on);
        assert_eq!(pulse.feel(LONG).await, Ok(()));

        arbiters.stop();
        let gone = async {
            while pulse.feel(SHORT).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LONG, gone)
            .await
            .expect("an engine that lost its threads is silent");
    }
}
