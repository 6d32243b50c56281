//! What is deleted goes for good when its time has come (I10): rounds of the reaper, and of what sweeps up after crashes. What POP3 has
//! retrieved is deleted when its own time has come.
//!
//! **On failure.** A job that panics is begun anew after a pause; it waits for nobody, and nobody for it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;

use crate::actor::Drain;
use crate::blob::{Reaper, ReaperSettings};
use crate::clock;
use crate::engine::Services;

use super::maildrop;

/// How often the reaper goes round, and how often it does where mail is kept for less.
const EVERY: Duration = Duration::from_secs(600);
const OFTEN: Duration = Duration::from_secs(1);
/// Rounds of five hundred bodies at a time.
const ROUNDS: u32 = 200;

/// How long a job that panicked is left alone.
const PAUSE: Duration = Duration::from_secs(10);

/// Goes round until `drain`.
pub(crate) async fn run(services: Services, drain: Drain) {
    let (for_maildrops, until) = (services.clone(), drain.clone());
    let reap = supervised("reaper", drain.clone(), move || {
        reap(services.clone(), drain.clone())
    });
    let expire = supervised("maildrops", until.clone(), move || {
        expire(for_maildrops.clone(), until.clone())
    });
    tokio::join!(reap, expire);
}

/// Begins a job anew when it panics.
async fn supervised<F: Future<Output = ()>>(
    name: &'static str,
    drain: Drain,
    mut job: impl FnMut() -> F,
) {
    while AssertUnwindSafe(job()).catch_unwind().await.is_err() {
        tracing::error!(job = name, "panicked, begins anew");
        tokio::select! {
            () = drain.begun() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// What POP3 has retrieved goes when its time has come.
async fn expire(services: Services, drain: Drain) {
    let default = services.config.retention.retrieved.0;
    let is_held = |account| services.maildrops.is_held(account);
    loop {
        let round = async {
            let now = services.maildrops.now().await?;
            let (index, mailboxes) = (&services.index, &services.mailboxes);
            maildrop::round(index, mailboxes, default, now, is_held).await
        };
        match round.await {
            Ok(0) => {}
            Ok(messages) => tracing::info!(messages, "retrieved mail has gone"),
            Err(error) => tracing::warn!(%error, "retrieved mail stays for its next round"),
        }
        tokio::select! {
            () = drain.begun() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// What is deleted goes for good.
async fn reap(services: Services, drain: Drain) {
    let settings = ReaperSettings {
        retention: services.config.retention.expunged,
        ..ReaperSettings::default()
    };
    let index = services.index.raw().clone();
    let every = settings.retention.clamp(OFTEN, EVERY);
    let reaper = Reaper::new(index, services.blobs.clone(), settings);
    loop {
        tokio::select! {
            () = drain.begun() => return,
            () = tokio::time::sleep(every) => {}
        }
        match reaper.run(clock::now(), ROUNDS).await {
            Ok(reaped) if reaped.doomed > 0 => tracing::info!(?reaped, "retention"),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "retention waits for its next round"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::{Stage, Stages};

    #[tokio::test(start_paused = true)]
    async fn a_job_that_panics_begins_anew() {
        let drain = Stages::new().drain(Stage::Listeners);
        let mut begun = 0;
        supervised("test", drain, || {
            begun += 1;
            let well = begun > 2;
            async move { assert!(well, "on purpose") }
        })
        .await;
        assert_eq!(begun, 3);
    }
}
