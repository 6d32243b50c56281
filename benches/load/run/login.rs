//! `load login`: IMAP logins, each on a connection of its own, with every TLS handshake a full one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Mailboxes, run_all};
use crate::client::imap::Client;
use crate::fault::{Fault, Faults};
use crate::net::Target;
use crate::report::Report;
use crate::scope::Scope;
use crate::statistics::Latencies;

/// Options.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    mailboxes: Mailboxes,
    /// Logins under way at once
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    clients: u64,
    /// Logins in all
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    logins: u64,
}

#[derive(Default)]
struct Tally {
    greeting: Latencies,
    login: Latencies,
    all: Latencies,
    faults: Faults,
}

/// Runs it.
pub async fn run(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    let target = arguments.mailboxes.target(scope)?;
    let arguments = Arc::new(arguments);
    let next = Arc::new(AtomicU64::new(0));
    let meter = scope.meter()?;
    let mut sum = Tally::default();
    let clients = vec![target; arguments.clients as usize];
    let panics = run_all(
        clients,
        |_, target| session(arguments.clone(), target, next.clone()),
        |tally: Tally| {
            sum.greeting.merge(&tally.greeting);
            sum.login.merge(&tally.login);
            sum.all.merge(&tally.all);
            sum.faults.merge(tally.faults);
        },
    )
    .await;
    let elapsed = meter.elapsed().as_secs_f64();
    let done = sum.all.count();
    let mut report = Report::new("login", &arguments.mailboxes.connect);
    report.figure("logins", done as f64, "");
    report.figure("logins_per_second", done as f64 / elapsed, "/s");
    meter.report(&mut report, "logins", done as u64)?;
    report.latency("connect_to_greeting", &sum.greeting);
    report.latency("LOGIN", &sum.login);
    report.latency("all", &sum.all);
    report.faults(sum.faults);
    report.faults(panics);
    Ok(report)
}

async fn session(arguments: Arc<Arguments>, target: Target, next: Arc<AtomicU64>) -> Tally {
    let mut tally = Tally::default();
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= arguments.logins {
            return tally;
        }
        if let Err(fault) = once(&arguments.mailboxes, &target, n, &mut tally).await {
            tally.faults.add(&fault);
            if matches!(fault, Fault::Late) {
                return tally;
            }
        }
    }
}

async fn once(
    mailboxes: &Mailboxes,
    target: &Target,
    n: u64,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let started = Instant::now();
    let mut client = Client::open(target).await?;
    tally.greeting.record(started.elapsed());
    let greeted = Instant::now();
    client
        .login(&mailboxes.name(n), &mailboxes.password)
        .await?;
    tally.login.record(greeted.elapsed());
    tally.all.record(started.elapsed());
    client.logout().await
}
