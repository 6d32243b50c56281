//! `load idle`: many clients that wait in IDLE, and what each costs the server in memory.
//!
//! Every client logs in, selects its INBOX and says IDLE. Memory of the server's processes (`--pid`) is taken before
//! the first and, after a rest, behind the last. In the end each client says DONE: those that get no answer are failures.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Mailboxes, none_opened, open_all, run_all};
use crate::client::imap::Client;
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
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    clients: u64,
    /// How long all of them wait before memory is taken
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=600))]
    rest: u64,
}

/// Runs it.
pub async fn run(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    let Arguments {
        mailboxes,
        clients,
        rest,
    } = arguments;
    let target = mailboxes.target(scope)?;
    let meter = scope.meter()?;
    let before = meter.memory()?;
    let (opened, mut faults) = open_all(clients, |n| {
        let (target, user, password) = (
            target.clone(),
            mailboxes.name(n),
            mailboxes.password.clone(),
        );
        async move {
            let started = Instant::now();
            let mut client = Client::log_in(&target, &user, &password).await?;
            client.select("INBOX").await?;
            // The waiting end is taken up again below.
            client.idle().await?.rest();
            Ok((client, started.elapsed()))
        }
    })
    .await;
    if opened.is_empty() {
        return Err(none_opened(&faults));
    }
    let seconds = meter.elapsed().as_secs_f64();
    let count = opened.len();
    let mut latencies = Latencies::default();
    for (_, latency) in &opened {
        latencies.record(*latency);
    }
    let mut report = Report::new("idle", &mailboxes.connect);
    report.figure("clients", count as f64, "");
    report.figure("seconds_to_idle", seconds, "s");
    meter.report(&mut report, "clients_opened", count as u64)?;

    let resting = scope.meter()?;
    sleep(Duration::from_secs(rest)).await;
    if let Some(cpu) = resting.cpu()? {
        report.figure(
            "server_cpu_at_rest",
            cpu / resting.elapsed().as_secs_f64() * 100.0,
            "% of a core",
        );
    }
    if let (Some((before, _)), Some((after, processes))) = (before, meter.memory()?) {
        report.figure("server_pss_before", before as f64 / 1024.0, "KiB");
        report.figure("server_pss_idle", after as f64 / 1024.0, "KiB");
        report.figure("server_processes_idle", processes as f64, "");
        report.figure(
            "pss_per_client",
            after.saturating_sub(before) as f64 / 1024.0 / count as f64,
            "KiB",
        );
    }

    let mut client_faults = Faults::default();
    let panics = run_all(
        opened,
        |_, (client, _)| leave(client),
        |outcome: Result<(), Fault>| {
            if let Err(fault) = outcome {
                client_faults.add(&fault);
            }
        },
    )
    .await;
    faults.merge(client_faults);
    faults.merge(panics);
    report.latency("connect_to_idle", &latencies);
    report.faults(faults);
    Ok(report)
}

async fn leave(mut client: Client) -> Result<(), Fault> {
    if let Some(idle) = client.resume_idle() {
        idle.done().await?;
    }
    client.logout().await
}
