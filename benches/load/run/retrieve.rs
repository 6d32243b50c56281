//! `load pop3`: clients that RETR everything in their maildrop.
//!
//! A maildrop has one client at a time (RFC 1939 section 4): use as many login names as clients.

use std::time::{Duration, Instant};

use super::{Mailboxes, none_opened, open_all, run_all};
use crate::client::pop3::Client;
use crate::fault::{Fault, Faults};
use crate::report::Report;
use crate::scope::Scope;
use crate::statistics::Latencies;

/// Options.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    mailboxes: Mailboxes,
    /// Clients, each with its own connection
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=5000))]
    clients: u64,
    /// How long; each reads its maildrop again and again
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

struct Tally {
    latencies: Latencies,
    octets: u64,
    faults: Faults,
}

/// Runs it.
pub async fn run(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    let Arguments {
        mailboxes,
        clients,
        seconds,
    } = arguments;
    if clients > mailboxes.users {
        return Err(Fault::Usage(format!(
            "{clients} clients need as many maildrops: --users {clients}"
        )));
    }
    let target = mailboxes.target(scope)?;
    let (opened, mut faults) = open_all(clients, |n| {
        let (target, user, password) = (
            target.clone(),
            mailboxes.name(n),
            mailboxes.password.clone(),
        );
        async move {
            let mut client = Client::log_in(&target, &user, &password).await?;
            match client.stat().await? {
                0 => Err(Fault::Usage(format!(
                    "maildrop of {user} is empty: nothing to read"
                ))),
                count => Ok((client, count)),
            }
        }
    })
    .await;
    if opened.is_empty() {
        return Err(none_opened(&faults));
    }
    let count = opened.len();
    let meter = scope.meter()?;
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut latencies = Latencies::default();
    let mut octets = 0;
    let mut client_faults = Faults::default();
    let panics = run_all(
        opened,
        |_, (client, count)| session(client, count, until),
        |tally: Tally| {
            latencies.merge(&tally.latencies);
            octets += tally.octets;
            client_faults.merge(tally.faults);
        },
    )
    .await;
    let elapsed = meter.elapsed().as_secs_f64();
    faults.merge(client_faults);
    faults.merge(panics);
    let mut report = Report::new("pop3", &mailboxes.connect);
    report.figure("clients", count as f64, "");
    report.figure("messages", latencies.count() as f64, "");
    report.figure(
        "messages_per_second",
        latencies.count() as f64 / elapsed,
        "/s",
    );
    report.figure(
        "megabytes_per_second",
        octets as f64 / elapsed / 1e6,
        "MB/s",
    );
    meter.report(&mut report, "messages", latencies.count() as u64)?;
    report.latency("RETR", &latencies);
    report.faults(faults);
    Ok(report)
}

async fn session(mut client: Client, count: u64, until: Instant) -> Tally {
    let mut tally = Tally {
        latencies: Latencies::default(),
        octets: 0,
        faults: Faults::default(),
    };
    for number in (1..=count).cycle() {
        if Instant::now() >= until {
            break;
        }
        let started = Instant::now();
        match client.retrieve(number).await {
            Ok(octets) => {
                tally.latencies.record(started.elapsed());
                tally.octets += octets;
            }
            Err(fault) => {
                tally.faults.add(&fault);
                return tally;
            }
        }
    }
    if let Err(fault) = client.quit().await {
        tally.faults.add(&fault);
    }
    tally
}
