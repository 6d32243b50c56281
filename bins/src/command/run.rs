//! `postrider run`: everything in one process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postrider::{
    config::{Config, Program},
    telemetry::init_log,
};

use super::{Output, block_on, print};
use crate::{
    Failure, Place, Report,
    cli::RunArgs,
    first_start::{self, Welcome},
    ports_file::PortsFile,
    report::count,
    serve::{self, Ended, Prepare, Serving},
};

pub(super) fn run(
    place: &Place,
    arguments: &RunArgs,
    output: Output,
) -> Result<Option<Report>, Failure> {
    let config = place.config()?;
    init_log(&config.log).map_err(|error| Failure::new(error.to_string()))?;
    for warning in &config.warnings {
        tracing::warn!(%warning, "configuration");
    }
    let ports_file = arguments
        .ports_file
        .as_deref()
        .map(PortsFile::claim)
        .transpose()?;
    let shown: Config = config.clone();
    // Made when the engine has started, so that no password is made up for a start that fails, and taken when it is printed, so that
    // the server does not keep it.
    let welcome: Arc<Mutex<Option<Welcome>>> = Arc::default();
    let prepare: Prepare = match place {
        Place::Embedded(_) => {
            let (config, welcome) = (config.clone(), Arc::clone(&welcome));
            Box::new(move || {
                let made = block_on(first_start::prepare(&config))?;
                *locked(&welcome) = Some(made);
                Ok(())
            })
        }
        Place::File(_) => Box::new(|| Ok(())),
    };
    let serving = Serving {
        config,
        place: place.clone(),
        ports_file,
        prepare,
        on_ready: &|ports| {
            let report = match locked(&welcome).take() {
                Some(welcome) => welcome.report(&shown, ports),
                None => {
                    let listeners = count(ports.len() as u64, "service", "services");
                    let json = serde_json::json!({ "data_dir": shown.data_dir, "ports": ports });
                    Report::line(format!("ready: {listeners}"), json)
                }
            };
            if let Err(error) = print(&report, output) {
                tracing::warn!(%error, "cannot print");
            }
        },
    };
    match serve::run(Program::Postrider, serving)? {
        Ended::Drained => Ok(None),
        Ended::AtOnce => Err(Failure::new("stopped at once, by a second signal")),
    }
}

/// What it holds is set and taken in one step each, so a panic leaves it whole.
fn locked(welcome: &Mutex<Option<Welcome>>) -> MutexGuard<'_, Option<Welcome>> {
    welcome.lock().unwrap_or_else(PoisonError::into_inner)
}
