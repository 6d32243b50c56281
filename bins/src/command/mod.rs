//! The commands of `postrider`, one file a group.

mod alias;
mod check_config;
mod copy;
mod domain;
mod export;
mod fsck;
mod import;
mod ldap;
mod migrate;
mod run;
mod undelete;
mod user;
mod user_import;

use std::{
    future::Future,
    io::{self, Write},
    process::ExitCode,
};

use crate::{
    Failure, Place, Report,
    cli::{Cli, Command},
};

/// How output is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// Does what the command line says, to its end.
pub fn main(cli: Cli) -> ExitCode {
    let output = match cli.json {
        true => Output::Json,
        false => Output::Text,
    };
    let place = Place::of(&cli.place);
    let explicit = cli.place.config.is_some() || cli.place.data.is_some();
    let done = match cli.command {
        Command::Run(arguments) => return finish(run::run(&place, &arguments, output), output),
        Command::CheckConfig => check_config::run(&place, output),
        Command::Migrate => block_on(migrate::run(&place)),
        Command::Domain(command) => block_on(domain::run(&place, command)),
        Command::User(command) => block_on(user::run(&place, command, output)),
        Command::Alias(command) => block_on(alias::run(&place, command)),
        Command::Ldap(command) => block_on(ldap::run(&place, command)),
        Command::Import(command) => block_on(import::run(&place, command, output)),
        Command::Export(command) => block_on(export::run(&place, command, output)),
        Command::Copy(arguments) => block_on(copy::run(&arguments, output)),
        Command::Undelete(arguments) => block_on(undelete::run(&place, &arguments)),
        Command::Fsck(arguments) => block_on(fsck::run(&place, &arguments)),
    };
    let done = done.map_err(|failure| match (&place, explicit) {
        // Who did not say which server may have meant another.
        (Place::File(file), false) => failure.about(file),
        _ => failure,
    });
    finish(done.map(Some), output)
}

fn finish(done: Result<Option<Report>, Failure>, output: Output) -> ExitCode {
    match done {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(report)) => {
            let good = report.good;
            match print(&report, output) {
                Ok(()) if good => ExitCode::SUCCESS,
                // Who closed our output has read enough.
                Err(error) if good && error.kind() == io::ErrorKind::BrokenPipe => {
                    ExitCode::SUCCESS
                }
                _ => ExitCode::FAILURE,
            }
        }
        Err(failure) => {
            match output {
                Output::Text => eprintln!("{failure}"),
                Output::Json => eprintln!("{}", failure.json()),
            }
            ExitCode::FAILURE
        }
    }
}

/// Prints a report to standard output.
pub(crate) fn print(report: &Report, output: Output) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match output {
        Output::Text => stdout.write_all(report.text.as_bytes())?,
        Output::Json => writeln!(stdout, "{:#}", report.json)?,
    }
    stdout.flush()
}

/// The index works on a runtime with threads of its own.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    runtime.block_on(work)
}
