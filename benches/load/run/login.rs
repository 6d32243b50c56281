//! `load login`: IMAP logins, each on a connection of its own, with every TLS handshake a full one; as many at once as are asked for, or
//! each at its time, as people come to work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    /// Spread the beginnings of all logins evenly over these seconds, however many are under way then; who is in stays to the end
    #[arg(long, value_name = "SECONDS", conflicts_with = "clients", value_parser = clap::value_parser!(u64).range(1..=600))]
    over: Option<u64>,
}

#[derive(Default)]
struct Tally {
    greeting: Latencies,
    login: Latencies,
    all: Latencies,
    /// From LOGIN to a no.
    refused: Latencies,
    faults: Faults,
}

impl Tally {
    fn merge(&mut self, other: Self) {
        self.greeting.merge(&other.greeting);
        self.login.merge(&other.login);
        self.all.merge(&other.all);
        self.refused.merge(&other.refused);
        self.faults.merge(other.faults);
    }
}

/// Runs it.
pub async fn run(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    let target = arguments.mailboxes.target(scope)?;
    let arguments = Arc::new(arguments);
    let meter = scope.meter()?;
    let mut sum = Tally::default();
    let mut stay = Vec::new();
    let panics = match arguments.over {
        None => {
            let next = Arc::new(AtomicU64::new(0));
            let clients = vec![target; arguments.clients as usize];
            run_all(
                clients,
                |_, target| session(arguments.clone(), target, next.clone()),
                |tally: Tally| sum.merge(tally),
            )
            .await
        }
        Some(seconds) => {
            let begun = tokio::time::Instant::now();
            let pace =
                Duration::from_secs(seconds) / u32::try_from(arguments.logins).unwrap_or(u32::MAX);
            let clients = vec![target; arguments.logins as usize];
            run_all(
                clients,
                |n, target| paced(arguments.clone(), target, n, begun + pace * n as u32),
                |(tally, client): (Tally, Option<Client>)| {
                    sum.merge(tally);
                    stay.extend(client);
                },
            )
            .await
        }
    };
    let elapsed = meter.elapsed().as_secs_f64();
    let done = sum.all.count();
    if arguments.over.is_some() {
        say_goodbye(stay, &mut sum.faults).await;
    }
    let mut report = Report::new("login", &arguments.mailboxes.connect);
    report.figure("logins", done as f64, "");
    report.figure("logins_per_second", done as f64 / elapsed, "/s");
    if arguments.over.is_some() {
        report.figure("seconds", elapsed, "s");
        report.figure("refused", sum.refused.count() as f64, "");
    }
    meter.report(&mut report, "logins", done as u64)?;
    report.latency("connect_to_greeting", &sum.greeting);
    report.latency("LOGIN", &sum.login);
    report.latency("all", &sum.all);
    report.latency("LOGIN, refused", &sum.refused);
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
        let outcome = match once(&arguments.mailboxes, &target, n, &mut tally).await {
            Ok(client) => client.logout().await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = outcome {
            tally.faults.add(&fault);
            if matches!(fault, Fault::Late) {
                return tally;
            }
        }
    }
}

/// One login when its time has come; the client stays.
async fn paced(
    arguments: Arc<Arguments>,
    target: Target,
    n: u64,
    at: tokio::time::Instant,
) -> (Tally, Option<Client>) {
    let mut tally = Tally::default();
    tokio::time::sleep_until(at).await;
    match once(&arguments.mailboxes, &target, n, &mut tally).await {
        Ok(client) => (tally, Some(client)),
        Err(fault) => {
            tally.faults.add(&fault);
            (tally, None)
        }
    }
}

/// Also shows that the server has not forgotten who stayed.
async fn say_goodbye(clients: Vec<Client>, faults: &mut Faults) {
    for client in clients {
        if let Err(fault) = client.logout().await {
            faults.add(&fault);
        }
    }
}

async fn once(
    mailboxes: &Mailboxes,
    target: &Target,
    n: u64,
    tally: &mut Tally,
) -> Result<Client, Fault> {
    let started = Instant::now();
    let mut client = Client::open(target).await?;
    tally.greeting.record(started.elapsed());
    let greeted = Instant::now();
    let outcome = client.login(&mailboxes.name(n), &mailboxes.password).await;
    match outcome {
        Ok(()) => {
            tally.login.record(greeted.elapsed());
            tally.all.record(started.elapsed());
            Ok(client)
        }
        Err(fault) => {
            if matches!(fault, Fault::Refused(_)) {
                tally.refused.record(greeted.elapsed());
            }
            Err(fault)
        }
    }
}
