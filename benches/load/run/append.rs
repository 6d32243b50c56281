//! `load imap-append`: clients that APPEND, as programs do that keep what they sent or move mail from one server to another.
//!
//! The clock stops with the last OK: what is acknowledged must be there, so the mailboxes are counted after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Mailboxes, none_opened, open_all, run_all};
use crate::client::imap::Client;
use crate::client::message::{SMALLEST, Shape, Template};
use crate::fault::{Fault, Faults};
use crate::report::Report;
use crate::scope::Scope;
use crate::statistics::Latencies;

/// Options.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    mailboxes: Mailboxes,
    /// The mailbox; made if it is not there
    #[arg(long, value_name = "NAME", default_value = "Load")]
    mailbox: String,
    /// Clients, each with its own connection
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=5000))]
    clients: u64,
    /// Messages in all
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    messages: u64,
    /// Octets of each message
    #[arg(long, value_name = "OCTETS", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(SMALLEST..=64 * 1024 * 1024))]
    size: u64,
}

struct Plan {
    template: Template,
    mailbox: String,
    messages: u64,
    next: AtomicU64,
}

struct Tally {
    client: Option<Client>,
    latencies: Latencies,
    faults: Faults,
}

/// Runs it.
pub async fn run(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    let Arguments {
        mailboxes,
        mailbox,
        clients,
        messages,
        size,
    } = arguments;
    let target = mailboxes.target(scope)?;
    // Clients that share a name share a mailbox: it is counted once.
    let names = clients.min(mailboxes.users);
    let (opened, mut faults) = open_all(clients, |n| {
        let (target, user, password, mailbox) = (
            target.clone(),
            mailboxes.name(n),
            mailboxes.password.clone(),
            mailbox.clone(),
        );
        async move {
            let mut client = Client::log_in(&target, &user, &password).await?;
            client.create(&mailbox).await?;
            let before = client.messages(&mailbox).await?;
            Ok((n, client, before))
        }
    })
    .await;
    if opened.is_empty() {
        return Err(none_opened(&faults));
    }
    let size = usize::try_from(size).map_err(|_| Fault::Usage("--size is too large".to_owned()))?;
    let plan = Arc::new(Plan {
        template: Template::new(size, Shape::Text),
        mailbox,
        messages,
        next: AtomicU64::new(0),
    });
    let count = opened.len();
    let mut before = 0;
    let mut witnesses = Vec::new();
    let mut working = Vec::new();
    for (n, client, held) in opened {
        let witness = n < names;
        if witness {
            before += held;
        }
        working.push((client, witness));
    }
    let meter = scope.meter()?;
    let mut latencies = Latencies::default();
    let mut client_faults = Faults::default();
    let panics = run_all(
        working,
        |_, (client, witness)| {
            let plan = plan.clone();
            async move { (session(plan, client).await, witness) }
        },
        |(tally, witness): (Tally, bool)| {
            latencies.merge(&tally.latencies);
            client_faults.merge(tally.faults);
            witnesses.extend(tally.client.filter(|_| witness));
        },
    )
    .await;
    let elapsed = meter.elapsed().as_secs_f64();
    faults.merge(client_faults);
    faults.merge(panics);
    let done = latencies.count() as u64;
    let mut report = Report::new("imap-append", &mailboxes.connect);
    report.figure("clients", count as f64, "");
    report.figure("messages", done as f64, "");
    report.figure("appends_per_second", done as f64 / elapsed, "/s");
    meter.report(&mut report, "messages", done)?;
    report.latency("APPEND", &latencies);
    if faults.is_empty() {
        let mut after = 0;
        for witness in &mut witnesses {
            after += witness.messages(&plan.mailbox).await?;
        }
        if after - before != done {
            faults.add(&Fault::Protocol(format!(
                "{} messages are there of {done} that were acknowledged",
                after - before
            )));
        }
    }
    report.faults(faults);
    Ok(report)
}

async fn session(plan: Arc<Plan>, mut client: Client) -> Tally {
    let mut tally = Tally {
        client: None,
        latencies: Latencies::default(),
        faults: Faults::default(),
    };
    let mut message = Vec::new();
    loop {
        let n = plan.next.fetch_add(1, Ordering::Relaxed);
        if n >= plan.messages {
            break;
        }
        message.clear();
        plan.template
            .write(n, "load@example.test", "load@example.test", &mut message);
        let started = Instant::now();
        match client.append(&plan.mailbox, &message).await {
            Ok(()) => tally.latencies.record(started.elapsed()),
            Err(fault) => {
                tally.faults.add(&fault);
                if !fault.spares_connection() {
                    return tally;
                }
            }
        }
    }
    tally.client = Some(client);
    tally
}
