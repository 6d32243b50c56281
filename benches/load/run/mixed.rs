//! `load imap`: clients that do what mail programs do, each on a connection of its own, for some seconds.
//!
//! Each client logs in and selects once, then draws its next command by weight from a sequence that is the same in
//! every run. Reading never sets flags (`BODY.PEEK`), STORE does and undoes it.

use std::time::{Duration, Instant};

use super::{Mailboxes, none_opened, open_all, run_all};
use crate::client::imap::Client;
use crate::fault::{Fault, Faults};
use crate::random::Random;
use crate::report::Report;
use crate::scope::Scope;
use crate::statistics::Latencies;

/// Options.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    mailboxes: Mailboxes,
    /// Clients, each with its own connection
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    clients: u64,
    /// How long
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Leave out the commands whose names begin with one of these; may be repeated
    #[arg(long, value_name = "COMMAND")]
    without: Vec<String>,
}

/// A command and how often it comes, in so many of a hundred.
struct Kind {
    name: &'static str,
    weight: u64,
    write: fn(&mut Random, u64) -> String,
}

const KINDS: [Kind; 9] = [
    Kind {
        name: "FETCH flags",
        weight: 20,
        write: |random, count| format!("FETCH {} (UID FLAGS)", range(random, count, 100)),
    },
    Kind {
        name: "FETCH envelope",
        weight: 15,
        write: |random, count| {
            format!(
                "FETCH {} (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
                range(random, count, 20)
            )
        },
    },
    Kind {
        name: "FETCH structure",
        weight: 5,
        write: |random, count| format!("FETCH {} (UID BODYSTRUCTURE)", range(random, count, 20)),
    },
    Kind {
        name: "FETCH body",
        weight: 20,
        write: |random, count| format!("FETCH {} BODY.PEEK[]", one(random, count)),
    },
    Kind {
        name: "STORE",
        weight: 10,
        write: |random, count| {
            let sign = if random.below(2) == 0 { '+' } else { '-' };
            format!("STORE {} {sign}FLAGS (\\Seen)", one(random, count))
        },
    },
    Kind {
        name: "SEARCH flags",
        weight: 5,
        write: |_, _| "SEARCH UNSEEN".to_owned(),
    },
    Kind {
        name: "SEARCH header",
        weight: 5,
        write: |random, count| format!("SEARCH SUBJECT \"message {} \"", one(random, count)),
    },
    Kind {
        name: "NOOP",
        weight: 15,
        write: |_, _| "NOOP".to_owned(),
    },
    Kind {
        name: "STATUS",
        weight: 5,
        write: |_, _| "STATUS Load (MESSAGES UIDNEXT UNSEEN)".to_owned(),
    },
];

fn one(random: &mut Random, count: u64) -> u64 {
    random.below(count) + 1
}

fn range(random: &mut Random, count: u64, width: u64) -> String {
    let first = one(random, count.saturating_sub(width).max(1));
    format!("{first}:{}", (first + width - 1).min(count.max(1)))
}

/// Runs it.
pub async fn run(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    let Arguments {
        mailboxes,
        clients,
        seconds,
        without,
    } = arguments;
    let target = mailboxes.target(scope)?;
    let kinds: Vec<usize> = (0..KINDS.len())
        .filter(|kind| {
            !without
                .iter()
                .any(|name| KINDS[*kind].name.starts_with(name.as_str()))
        })
        .collect();
    if kinds.is_empty() {
        return Err(Fault::Usage("--without leaves no command".to_owned()));
    }
    let (opened, mut faults) = open_all(clients, |n| {
        let (target, user, password) = (
            target.clone(),
            mailboxes.name(n),
            mailboxes.password.clone(),
        );
        async move {
            let mut client = Client::log_in(&target, &user, &password).await?;
            // For STATUS; it is there from an earlier run, or made by a neighbour of the same account.
            client.create("Load").await?;
            let count = client.select("INBOX").await?;
            if count == 0 {
                return Err(Fault::Usage(format!(
                    "INBOX of {user} is empty: nothing to read"
                )));
            }
            Ok((client, count))
        }
    })
    .await;
    if opened.is_empty() {
        return Err(none_opened(&faults));
    }
    let count = opened.len();

    let meter = scope.meter()?;
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut sums = vec![Latencies::default(); KINDS.len()];
    let mut octets = 0;
    let mut client_faults = Faults::default();
    let panics = run_all(
        opened,
        |index, (client, count)| session(client, count, index, kinds.clone(), until),
        |tally: Tally| {
            for (sum, more) in sums.iter_mut().zip(&tally.latencies) {
                sum.merge(more);
            }
            octets += tally.octets;
            client_faults.merge(tally.faults);
        },
    )
    .await;
    let elapsed = meter.elapsed().as_secs_f64();
    faults.merge(client_faults);
    faults.merge(panics);

    let mut all = Latencies::default();
    for latencies in &sums {
        all.merge(latencies);
    }
    let mut report = Report::new("imap", &mailboxes.connect);
    report.figure("clients", count as f64, "");
    report.figure("seconds", elapsed, "s");
    report.figure("commands", all.count() as f64, "");
    report.figure("commands_per_second", all.count() as f64 / elapsed, "/s");
    report.figure("received_per_second", octets as f64 / elapsed / 1e6, "MB/s");
    meter.report(&mut report, "commands", all.count() as u64)?;
    report.latency("all", &all);
    for (kind, latencies) in KINDS.iter().zip(&sums) {
        report.latency(kind.name, latencies);
    }
    report.faults(faults);
    Ok(report)
}

struct Tally {
    latencies: Vec<Latencies>,
    octets: u64,
    faults: Faults,
}

async fn session(
    mut client: Client,
    count: u64,
    index: u64,
    kinds: Vec<usize>,
    until: Instant,
) -> Tally {
    let mut tally = Tally {
        latencies: vec![Latencies::default(); KINDS.len()],
        octets: 0,
        faults: Faults::default(),
    };
    let mut random = Random::new(index + 1);
    let total = kinds.iter().map(|kind| KINDS[*kind].weight).sum();
    while Instant::now() < until {
        let kind = draw(&kinds, random.below(total));
        let command = (KINDS[kind].write)(&mut random, count);
        let started = Instant::now();
        match client.command(&command).await {
            Ok(brought) => {
                tally.latencies[kind].record(started.elapsed());
                tally.octets += brought.octets;
            }
            Err(fault) => {
                tally.faults.add(&fault);
                if !fault.spares_connection() {
                    return tally;
                }
            }
        }
    }
    tally
}

/// The kind at this place when each takes as many places as its weight.
fn draw(kinds: &[usize], place: u64) -> usize {
    let mut left = place;
    for kind in kinds {
        match left.checked_sub(KINDS[*kind].weight) {
            Some(rest) => left = rest,
            None => return *kind,
        }
    }
    kinds[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_of_a_hundred_and_every_kind_is_drawn() {
        assert_eq!(KINDS.iter().map(|kind| kind.weight).sum::<u64>(), 100);
        let kinds: Vec<usize> = (0..KINDS.len()).collect();
        let mut drawn = [0; KINDS.len()];
        for place in 0..100 {
            drawn[draw(&kinds, place)] += 1;
        }
        for (kind, drawn) in KINDS.iter().zip(drawn) {
            assert_eq!(kind.weight, drawn, "{}", kind.name);
        }
    }

    #[test]
    fn ranges_lie_inside_the_mailbox() {
        let mut random = Random::new(1);
        for count in [1, 2, 20, 21, 5000] {
            for _ in 0..200 {
                let text = range(&mut random, count, 20);
                let (first, last) = text.split_once(':').expect("a range");
                let (first, last): (u64, u64) = (
                    first.parse().expect("number"),
                    last.parse().expect("number"),
                );
                assert!(
                    1 <= first && first <= last && last <= count,
                    "{text} of {count}"
                );
            }
        }
    }
}
