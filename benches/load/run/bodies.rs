//! `load imap-bodies`: what a client does that keeps all mail at home: FETCH of every message, whole, in one command.

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
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
}

/// Runs it.
pub async fn run(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    let Arguments {
        mailboxes,
        mailbox,
        rounds,
    } = arguments;
    let target = mailboxes.target(scope)?;
    let mut report = Report::new("imap-bodies", &mailboxes.connect);
    let mut faults = Faults::default();
    let meter = scope.meter()?;
    let (mut octets, mut seconds, mut messages) = (0, 0.0, 0);
    for round in 1..=rounds {
        let mut client = Client::log_in(&target, &mailboxes.name(0), &mailboxes.password).await?;
        let count = client.select(&mailbox).await?;
        if count == 0 {
            return Err(Fault::Usage(format!("{mailbox} is empty: nothing to read")));
        }
        let started = Instant::now();
        let brought = client.command("FETCH 1:* (UID BODY.PEEK[])").await?;
        let took = started.elapsed().as_secs_f64();
        report.figure(format!("round_{round}"), millis(started), "ms");
        if brought.responses < count {
            faults.add(&Fault::Protocol("fewer bodies than messages".to_owned()));
        }
        octets += brought.octets;
        messages += count;
        seconds += took;
        client.logout().await?;
    }
    report.figure("messages", messages as f64, "");
    report.figure("messages_per_second", messages as f64 / seconds, "/s");
    report.figure(
        "megabytes_per_second",
        octets as f64 / seconds / 1e6,
        "MB/s",
    );
    meter.report(&mut report, "messages", messages)?;
    report.faults(faults);
    Ok(report)
}
