//! `smtpd`, `imapd`, `pop3d`: one program, its services, one configuration file.

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser};
use postrider::{
    config::{DEFAULT_FILE, Program},
    telemetry::init_log,
};

use crate::{
    Failure, Place,
    ports_file::PortsFile,
    serve::{self, Ended, Serving},
};

/// Command line of a daemon.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// Write the ports taken to this file, as JSON by service, once all listeners are ready.
    #[arg(long, value_name = "FILE")]
    ports_file: Option<PathBuf>,
}

/// Runs a daemon to its end.
pub fn main(program: Program) -> ExitCode {
    let services: Vec<&str> = program.services().iter().map(|it| it.name()).collect();
    let about = format!(
        "Serves {}. Reloads on SIGHUP; finishes what is open and leaves on SIGTERM, at once on the second one; on SIGUSR1 takes no new \
         connections and leaves after the last one.",
        services.join(", ")
    );
    let matches = Arguments::command()
        .name(program.name())
        .about(about)
        .get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(program, &arguments) {
        Ok(Ended::Drained) => ExitCode::SUCCESS,
        Ok(Ended::AtOnce) => ExitCode::FAILURE,
        Err(failure) => {
            let text = failure.to_string();
            // The name of the program that failed is this one's.
            eprintln!(
                "{}",
                text.replacen("postrider: ", &format!("{program}: "), 1)
            );
            ExitCode::FAILURE
        }
    }
}

fn run(program: Program, arguments: &Arguments) -> Result<Ended, Failure> {
    let place = Place::File(arguments.config.clone());
    let config = place.config()?;
    if config.listeners_of(program).next().is_none() {
        let message = format!(
            "{} has no listener for {program}",
            arguments.config.display()
        );
        return Err(Failure::new(message));
    }
    init_log(&config.log).map_err(|error| Failure::new(error.to_string()))?;
    for warning in &config.warnings {
        tracing::warn!(%warning, "configuration");
    }
    let ports_file = arguments
        .ports_file
        .as_deref()
        .map(PortsFile::claim)
        .transpose()?;
    let serving = Serving {
        config,
        place,
        ports_file,
        prepare: Box::new(|| Ok(())),
        on_ready: &|_| {},
    };
    serve::run(program, serving)
}
