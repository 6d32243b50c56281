//! The loads, one a file.

pub mod append;
pub mod bodies;
pub mod bulk;
pub mod deliver;
pub mod hostile;
pub mod idle;
pub mod list;
pub mod login;
pub mod mixed;
pub mod notify;
pub mod retrieve;
pub mod store;

use std::future::Future;
use std::time::Instant;

use clap::Args;
use tokio::task::JoinSet;

use crate::fault::{Fault, Faults};
use crate::net::Target;
use crate::pattern::{Pattern, Security};
use crate::scope::Scope;

/// Where mailboxes are read and as whom.
#[derive(Args)]
pub struct Mailboxes {
    /// The server
    #[arg(long, value_name = "HOST:PORT")]
    connect: String,
    /// TLS from the first octet
    #[arg(long, conflicts_with = "starttls")]
    tls: bool,
    /// TLS after STARTTLS (POP3: STLS)
    #[arg(long)]
    starttls: bool,
    /// Login names; {n} counts from 1
    #[arg(long, value_name = "NAME", default_value = "user{n}@example.test")]
    user: Pattern,
    /// How many login names there are
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    users: u64,
    /// The password of all of them
    #[arg(long, value_name = "PASSWORD", default_value = "secret")]
    password: String,
}

impl Mailboxes {
    fn target(&self, scope: &Scope) -> Result<Target, Fault> {
        scope.target(&self.connect, security(self.tls, self.starttls))
    }

    /// The login name of the `index`th client, counted from 0.
    fn name(&self, index: u64) -> String {
        self.user.shared(index, self.users)
    }
}

fn security(tls: bool, starttls: bool) -> Security {
    match (tls, starttls) {
        (true, _) => Security::Implicit,
        (false, true) => Security::StartTls,
        (false, false) => Security::Plain,
    }
}

/// Logins that may be under way at once: servers limit connections that have not logged in yet.
const OPENING: usize = 20;

/// Opens `count` connections, some at once, and returns those that came about.
async fn open_all<T, F>(count: u64, open: impl Fn(u64) -> F) -> (Vec<T>, Faults)
where
    T: Send + 'static,
    F: Future<Output = Result<T, Fault>> + Send + 'static,
{
    let mut opened = Vec::new();
    let mut faults = Faults::default();
    let mut opening = JoinSet::new();
    let mut next = 0;
    loop {
        while next < count && opening.len() < OPENING {
            opening.spawn(open(next));
            next += 1;
        }
        match opening.join_next().await {
            Some(Ok(Ok(connection))) => opened.push(connection),
            Some(Ok(Err(fault))) => faults.add(&fault),
            Some(Err(panic)) => faults.add(&Fault::Protocol(panic.to_string())),
            None => return (opened, faults),
        }
    }
}

/// Runs one task for each of `clients` and gives what each returned to `take`.
async fn run_all<T, C, F>(
    clients: Vec<C>,
    work: impl Fn(u64, C) -> F,
    mut take: impl FnMut(T),
) -> Faults
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (index, client) in (0..).zip(clients) {
        tasks.spawn(work(index, client));
    }
    let mut faults = Faults::default();
    while let Some(outcome) = tasks.join_next().await {
        match outcome {
            Ok(tally) => take(tally),
            Err(panic) => faults.add(&Fault::Protocol(panic.to_string())),
        }
    }
    faults
}

fn none_opened(faults: &Faults) -> Fault {
    let why = faults.iter().next().map_or("", |(text, _)| text);
    Fault::Usage(format!("no connection came about: {why}"))
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
