//! What is deleted goes for good when its time has come (I10): rounds of the reaper, and of what sweeps up after crashes.

use std::time::Duration;

use crate::actor::Drain;
use crate::blob::{Reaper, ReaperSettings};
use crate::clock;
use crate::engine::Services;

/// How often the reaper goes round, and how often it does where mail is kept for less.
const EVERY: Duration = Duration::from_secs(600);
const OFTEN: Duration = Duration::from_secs(1);
/// Rounds of five hundred bodies at a time.
const ROUNDS: u32 = 200;

/// Goes round until `drain`.
pub(crate) async fn run(services: Services, drain: Drain) {
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
