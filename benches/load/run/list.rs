//! `load imap-list`: what a client does when it opens a large mailbox, first and again.
//!
//! The first round meets whatever the server has not prepared; each further round runs on a new connection.

use std::time::Instant;

use super::{Mailboxes, millis};
use crate::client::imap::Client;
use crate::fault::{Fault, Faults};
use crate::report::Report;
use crate::scope::Scope;

/// Options.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    mailboxes: Mailboxes,
    /// The mailbox
    #[arg(long, value_name = "NAME", default_value = "INBOX")]
    mailbox: String,
    /// Rounds, each on a new connection
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
}

/// Name of the figure, and the command.
const STEPS: [(&str, &str); 3] = [
    (
        "envelopes",
        "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
    ),
    ("flags", "FETCH 1:* (UID FLAGS)"),
    ("structures", "FETCH 1:* (UID BODYSTRUCTURE)"),
];

/// Runs it.
pub async fn run(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    let Arguments {
        mailboxes,
        mailbox,
        rounds,
    } = arguments;
    let target = mailboxes.target(scope)?;
    let meter = scope.meter()?;
    let mut report = Report::new("imap-list", &mailboxes.connect);
    let mut faults = Faults::default();
    for round in 1..=rounds {
        let which = if round == 1 {
            "first".to_owned()
        } else {
            format!("again_{}", round - 1)
        };
        let mut client = Client::log_in(&target, &mailboxes.name(0), &mailboxes.password).await?;
        let started = Instant::now();
        let count = client.select(&mailbox).await?;
        if round == 1 {
            report.figure("messages", count as f64, "");
        }
        report.figure(format!("{which}_select"), millis(started), "ms");
        for (name, command) in STEPS {
            let started = Instant::now();
            let brought = client.command(command).await?;
            report.figure(format!("{which}_{name}"), millis(started), "ms");
            if brought.responses < count {
                faults.add(&Fault::Protocol(format!(
                    "{name}: fewer answers than messages"
                )));
            }
            if round == 1 {
                report.figure(
                    format!("{name}_received"),
                    brought.octets as f64 / 1024.0,
                    "KiB",
                );
            }
        }
        client.logout().await?;
    }
    meter.report(&mut report, "rounds", rounds)?;
    report.faults(faults);
    Ok(report)
}
