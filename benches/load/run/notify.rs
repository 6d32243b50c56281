//! `load deliver-to-idle`: how long after the 250 of a delivery a waiting client hears EXISTS.
//!
//! A server may tell the waiting client before it answers the sender; that counts as zero, and how often it happened is told.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout_at};

use super::Mailboxes;
use crate::client::imap;
use crate::client::message::{SMALLEST, Shape, Template};
use crate::client::smtp::{self, Dialect, Rhythm};
use crate::fault::{Fault, Faults};
use crate::pattern::Security;
use crate::report::Report;
use crate::scope::Scope;
use crate::statistics::Latencies;

/// Options.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    mailboxes: Mailboxes,
    /// Deliver over LMTP to this address
    #[arg(
        long,
        value_name = "HOST:PORT",
        required_unless_present = "smtp",
        conflicts_with = "smtp"
    )]
    lmtp: Option<String>,
    /// Deliver over SMTP to this address
    #[arg(long, value_name = "HOST:PORT")]
    smtp: Option<String>,
    /// Messages, one after the other
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    messages: u64,
    /// Pause between two messages
    #[arg(long, value_name = "MS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pause: u64,
    /// Octets of each message
    #[arg(long, value_name = "OCTETS", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(SMALLEST..=1024 * 1024))]
    size: u64,
    /// Sender
    #[arg(long, value_name = "ADDRESS", default_value = "load@example.test")]
    from: String,
}

/// Runs it.
pub async fn run(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    let Arguments {
        mailboxes,
        lmtp,
        smtp,
        messages,
        pause,
        size,
        from,
    } = arguments;
    let (connect, dialect) = match (&lmtp, &smtp) {
        (Some(connect), _) => (connect, Dialect::Lmtp),
        (None, Some(connect)) => (connect, Dialect::Smtp),
        (None, None) => {
            return Err(Fault::Usage(
                "one of --lmtp and --smtp is needed".to_owned(),
            ));
        }
    };
    let user = mailboxes.name(0);
    let mut reader =
        imap::Client::log_in(&mailboxes.target(scope)?, &user, &mailboxes.password).await?;
    let mut count = reader.select("INBOX").await?;
    let mut sender = smtp::Client::open(
        &scope.target(connect, Security::Plain)?,
        dialect,
        Rhythm::Stepwise,
        None,
    )
    .await?;
    let (heard, mut news) = mpsc::unbounded_channel();
    let listening = tokio::spawn(async move {
        let mut idle = reader.idle().await?;
        loop {
            let exists = idle.exists().await?;
            if heard.send((exists, Instant::now())).is_err() {
                return idle.done().await;
            }
        }
    });
    // Until the server waits too.
    sleep(Duration::from_millis(200)).await;

    let meter = scope.meter()?;
    let template = Template::new(size as usize, Shape::Text);
    let to = [user];
    let mut message = Vec::new();
    let (mut from_reply, mut from_end) = (Latencies::default(), Latencies::default());
    let mut faults = Faults::default();
    let mut early = 0u64;
    for n in 0..messages {
        message.clear();
        template.write(n, &from, &to[0], &mut message);
        let started = Instant::now();
        if let Err(fault) = sender.send(&from, &to, &message).await {
            faults.add(&fault);
            if fault.spares_connection() {
                continue;
            } else {
                break;
            }
        }
        let replied = Instant::now();
        count += 1;
        let seen = loop {
            match timeout_at(scope.deadline(), news.recv()).await {
                Ok(Some((exists, at))) if exists >= count => break Some(at),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break None,
            }
        };
        let Some(seen) = seen else { break };
        early += u64::from(seen < replied);
        from_reply.record(seen.saturating_duration_since(replied));
        from_end.record(seen.saturating_duration_since(started));
        sleep(Duration::from_millis(pause)).await;
    }
    if from_reply.count() as u64 != messages && faults.is_empty() {
        faults.add(&Fault::Protocol(
            "a delivered message was not announced in time".to_owned(),
        ));
    }
    if listening.is_finished() {
        match listening.await {
            Ok(Err(fault)) => faults.add(&fault),
            Ok(Ok(())) => {}
            Err(panic) => faults.add(&Fault::Protocol(panic.to_string())),
        }
    } else {
        listening.abort();
    }
    let mut report = Report::new("deliver-to-idle", connect);
    report.figure("messages", from_reply.count() as f64, "");
    report.figure("heard_before_reply", early as f64, "");
    meter.report(&mut report, "messages", from_reply.count() as u64)?;
    report.latency("reply_to_exists", &from_reply);
    report.latency("mail_to_exists", &from_end);
    report.faults(faults);
    Ok(report)
}
