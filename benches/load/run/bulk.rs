//! `load imap-bulk`: commands that touch every message of a mailbox: STORE, COPY, EXPUNGE.
//!
//! The mailbox itself is as it was in the end: its flags are taken back, and what is expunged are the copies, in a mailbox that
//! is made for them and removed again.

use std::time::Instant;

use super::{Mailboxes, millis};
use crate::client::imap::{Client, quoted};
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
    /// Where its copies go; must not be there
    #[arg(long, value_name = "NAME", default_value = "Load copies")]
    copies: String,
}

/// Runs it.
pub async fn run(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    let Arguments {
        mailboxes,
        mailbox,
        copies,
    } = arguments;
    let target = mailboxes.target(scope)?;
    let mut client = Client::log_in(&target, &mailboxes.name(0), &mailboxes.password).await?;
    client
        .command(&format!("CREATE {}", quoted(&copies)))
        .await?;
    let count = client.select(&mailbox).await?;
    if count == 0 {
        return Err(Fault::Usage(format!("{mailbox} is empty: nothing to do")));
    }
    let mut report = Report::new("imap-bulk", &mailboxes.connect);
    let mut faults = Faults::default();
    report.figure("messages", count as f64, "");
    let meter = scope.meter()?;
    let copy = format!("COPY 1:* {}", quoted(&copies));
    // Name of the figure, the command, and how many answers it must bring.
    let here = [
        ("store", "STORE 1:* +FLAGS (\\Flagged)", count),
        ("store_silent", "STORE 1:* -FLAGS.SILENT (\\Flagged)", 0),
        ("copy", copy.as_str(), 0),
    ];
    let there = [
        ("store_deleted", "STORE 1:* +FLAGS.SILENT (\\Deleted)", 0),
        ("expunge", "EXPUNGE", count),
    ];
    steps(&mut client, &here, &mut report, &mut faults).await?;
    let started = Instant::now();
    let copied = client.select(&copies).await?;
    report.figure("select_copies", millis(started), "ms");
    if copied != count {
        faults.add(&Fault::Protocol(format!("{copied} copies of {count}")));
    }
    steps(&mut client, &there, &mut report, &mut faults).await?;
    let left = client.select(&copies).await?;
    if left != 0 {
        faults.add(&Fault::Protocol(format!("{left} left after EXPUNGE")));
    }
    meter.report(&mut report, "messages", count)?;
    client.select(&mailbox).await?;
    client
        .command(&format!("DELETE {}", quoted(&copies)))
        .await?;
    client.logout().await?;
    report.faults(faults);
    Ok(report)
}

async fn steps(
    client: &mut Client,
    steps: &[(&str, &str, u64)],
    report: &mut Report,
    faults: &mut Faults,
) -> Result<(), Fault> {
    for (name, command, answers) in steps {
        let started = Instant::now();
        let brought = client.command(command).await?;
        report.figure(*name, millis(started), "ms");
        if brought.responses < *answers {
            faults.add(&Fault::Protocol(format!(
                "{name}: fewer answers than messages"
            )));
        }
    }
    Ok(())
}
