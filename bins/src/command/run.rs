//! `postrider run`: everything in one process.

use std::cell::RefCell;

use postrider::{
    config::{Config, Program},
    telemetry::init_log,
};

use super::{Output, block_on, print};
use crate::{
    Failure, Place, Report,
    cli::RunArgs,
    first_start,
    ports_file::PortsFile,
    report::count,
    serve::{self, Ended, Serving},
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
    let welcome = match place {
        Place::Embedded(_) => Some(block_on(first_start::prepare(&config))?),
        Place::File(_) => None,
    };
    let shown: Config = config.clone();
    // Taken when it was printed: the password in it is not kept while the server runs.
    let welcome = RefCell::new(welcome);
    let serving = Serving {
        config,
        place: place.clone(),
        ports_file,
        on_ready: &|ports| {
            let report = match welcome.take() {
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
