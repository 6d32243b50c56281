//! `load smtp` and `load lmtp`: messages over kept connections, and when the last of them can be seen.
//!
//! Connections are opened before the clock starts. Accepted is not delivered: with `--visible` the clock stops when an
//! IMAP client sees every accepted message in its mailbox, which is asked for only after the last message was
//! accepted, so that asking costs the server nothing while it works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::{none_opened, open_all, run_all, security};
use crate::client::message::{SMALLEST, Shape, Template};
use crate::client::smtp::{Dialect, Rhythm};
use crate::client::{imap, smtp};
use crate::fault::{Fault, Faults};
use crate::pattern::{Pattern, Url};
use crate::report::Report;
use crate::scope::Scope;
use crate::statistics::Latencies;

/// Options of both.
#[derive(clap::Args)]
pub struct Arguments {
    /// The server
    #[arg(long, value_name = "HOST:PORT")]
    connect: String,
    /// TLS from the first octet
    #[arg(long, conflicts_with = "starttls")]
    tls: bool,
    /// TLS after STARTTLS
    #[arg(long)]
    starttls: bool,
    /// Connections, all kept to the end
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=5000))]
    sessions: u64,
    /// Messages in all
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    messages: u64,
    /// Octets of each message
    #[arg(long, value_name = "OCTETS", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(SMALLEST..=128 * 1024 * 1024))]
    size: u64,
    /// What the messages are made of
    #[arg(long, default_value = "text")]
    shape: Shape,
    /// Sender
    #[arg(long, value_name = "ADDRESS", default_value = "load@example.test")]
    from: String,
    /// Recipients; {n} counts from 1
    #[arg(long, value_name = "ADDRESS", default_value = "user{n}@example.test")]
    to: Pattern,
    /// How many recipients there are; messages go to them in turn
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    users: u64,
    /// Recipients of each message
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    recipients: u64,
    /// Send MAIL, RCPT and DATA at once
    #[arg(long)]
    pipelining: bool,
    /// Log in first
    #[arg(long, value_name = "NAME:PASSWORD")]
    login: Option<String>,
    /// Where to see whether the messages have arrived; {n} counts as in --to
    #[arg(long, value_name = "imaps://NAME:PASSWORD@HOST:PORT")]
    visible: Option<Url>,
}

/// Runs it over SMTP.
pub async fn smtp(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    run(scope, arguments, Dialect::Smtp, "smtp").await
}

/// Runs it over LMTP.
pub async fn lmtp(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    run(scope, arguments, Dialect::Lmtp, "lmtp").await
}

/// What all sessions share.
struct Plan {
    arguments: Arguments,
    template: Template,
    next: AtomicU64,
}

/// What one session did.
struct Tally {
    latencies: Latencies,
    /// Accepted messages by recipient.
    accepted: Vec<u64>,
    faults: Faults,
}

async fn run(
    scope: &Scope,
    arguments: Arguments,
    dialect: Dialect,
    name: &'static str,
) -> Result<Report, Fault> {
    let target = scope.target(
        &arguments.connect,
        security(arguments.tls, arguments.starttls),
    )?;
    let rhythm = if arguments.pipelining {
        Rhythm::Pipelined
    } else {
        Rhythm::Stepwise
    };
    let login = match &arguments.login {
        None => None,
        Some(login) => Some(
            login
                .split_once(':')
                .ok_or_else(|| Fault::Usage("--login needs NAME:PASSWORD".to_owned()))?,
        ),
    };
    let login = login.map(|(name, password)| (name.to_owned(), password.to_owned()));
    let mut witness = match &arguments.visible {
        Some(url) => Some(Witness::open(scope, url, arguments.users).await?),
        None => None,
    };
    let (sessions, mut faults) = open_all(arguments.sessions, |_| {
        let (target, login) = (target.clone(), login.clone());
        async move {
            let login = login
                .as_ref()
                .map(|(name, password)| (name.as_str(), password.as_str()));
            smtp::Client::open(&target, dialect, rhythm, login).await
        }
    })
    .await;
    if sessions.is_empty() {
        return Err(none_opened(&faults));
    }
    let opened = sessions.len();
    let size = usize::try_from(arguments.size)
        .map_err(|_| Fault::Usage("--size is too large".to_owned()))?;
    let plan = Arc::new(Plan {
        template: Template::new(size, arguments.shape),
        next: AtomicU64::new(0),
        arguments,
    });

    let meter = scope.meter()?;
    let mut latencies = Latencies::default();
    let mut accepted = vec![0; plan.arguments.users as usize];
    let mut session_faults = Faults::default();
    let work = |_, client| session(plan.clone(), client);
    let panics = run_all(sessions, work, |tally: Tally| {
        latencies.merge(&tally.latencies);
        for (sum, more) in accepted.iter_mut().zip(&tally.accepted) {
            *sum += more;
        }
        session_faults.merge(tally.faults);
    })
    .await;
    faults.merge(session_faults);
    faults.merge(panics);
    let to_accept = meter.elapsed().as_secs_f64();
    let copies: u64 = accepted.iter().sum();

    let mut report = Report::new(name, &plan.arguments.connect);
    report.figure("sessions", opened as f64, "");
    report.figure("message_size", plan.arguments.size as f64, "octets");
    report.figure("messages", latencies.count() as f64, "");
    report.figure("copies", copies as f64, "");
    report.figure("seconds_to_accepted", to_accept, "s");
    report.figure(
        "accepted_per_second",
        latencies.count() as f64 / to_accept,
        "/s",
    );
    if let Some(witness) = &mut witness {
        match witness.wait(&accepted).await {
            Ok(()) => {
                let to_visible = meter.elapsed().as_secs_f64();
                report.figure("seconds_to_visible", to_visible, "s");
                report.figure(
                    "visible_per_second",
                    latencies.count() as f64 / to_visible,
                    "/s",
                );
            }
            Err(fault) => faults.add(&fault),
        }
    }
    meter.report(&mut report, "messages", latencies.count() as u64)?;
    report.latency("message", &latencies);
    report.faults(faults);
    Ok(report)
}

async fn session(plan: Arc<Plan>, mut client: smtp::Client) -> Tally {
    let arguments = &plan.arguments;
    let mut tally = Tally {
        latencies: Latencies::default(),
        accepted: vec![0; arguments.users as usize],
        faults: Faults::default(),
    };
    let mut message = Vec::new();
    loop {
        let n = plan.next.fetch_add(1, Ordering::Relaxed);
        if n >= arguments.messages {
            break;
        }
        let places: Vec<u64> = (0..arguments.recipients)
            .map(|k| (n + k) % arguments.users)
            .collect();
        let to: Vec<String> = places
            .iter()
            .map(|place| arguments.to.name(place + 1))
            .collect();
        message.clear();
        plan.template
            .write(n, &arguments.from, &to[0], &mut message);
        let started = std::time::Instant::now();
        match client.send(&arguments.from, &to, &message).await {
            Ok(taken) => {
                tally.latencies.record(started.elapsed());
                for place in taken {
                    tally.accepted[places[place] as usize] += 1;
                }
            }
            Err(fault) => {
                tally.faults.add(&fault);
                if !fault.spares_connection() {
                    return tally;
                }
            }
        }
    }
    // A server may take its time to say goodbye: that is not what is measured.
    tokio::spawn(client.quit());
    tally
}

/// One IMAP connection a recipient, and how many messages each mailbox held before.
struct Witness {
    mailboxes: Vec<(imap::Client, u64)>,
}

impl Witness {
    const PAUSE: Duration = Duration::from_millis(20);

    async fn open(scope: &Scope, url: &Url, users: u64) -> Result<Self, Fault> {
        let target = scope.target(&url.connect, url.security)?;
        let mut mailboxes = Vec::new();
        for n in 1..=users {
            let mut client =
                imap::Client::log_in(&target, &url.user.name(n), &url.password).await?;
            let before = client.messages("INBOX").await?;
            mailboxes.push((client, before));
        }
        Ok(Self { mailboxes })
    }

    /// Looks until every mailbox holds so many messages more than before.
    async fn wait(&mut self, more: &[u64]) -> Result<(), Fault> {
        for ((client, before), more) in self.mailboxes.iter_mut().zip(more) {
            let wanted = *before + more;
            loop {
                let seen = client
                    .messages("INBOX")
                    .await
                    .map_err(|fault| match fault {
                        Fault::Late => Fault::Protocol(
                            "not all accepted messages became visible in time".to_owned(),
                        ),
                        other => other,
                    })?;
                if seen >= wanted {
                    break;
                }
                sleep(Self::PAUSE).await;
            }
        }
        Ok(())
    }
}
