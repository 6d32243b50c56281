//! `load`: puts a bounded, counted load on any mail server and says how fast it was.
//!
//! It speaks SMTP, LMTP, IMAP and POP3 as clients do, against this server or another one, so that both are measured
//! with the same ruler; and S3, so that a server's work is known apart from that of the store below it. Results go to standard output as a table, or with `--json` as one JSON document.
//!
//! **Bounds.** Every count has a maximum, every run ends by itself (`--limit`), and targets that are not on this
//! machine are refused unless `--allow-remote` is given: this is a measuring tool, not a weapon.
//! **On failure.** What went wrong is counted by its text, printed with the figures, and makes the exit status 1.

mod client;
mod fault;
mod net;
mod pattern;
mod process;
mod random;
mod report;
mod run;
mod scope;
mod statistics;
mod tls;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::fault::Fault;
use crate::report::Report;
use crate::scope::{Common, Scope};

/// Load generator for mail servers.
#[derive(Parser)]
#[command(name = "load", version, about)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    load: Load,
}

/// The loads there are.
#[derive(Subcommand)]
enum Load {
    /// Deliver messages over SMTP on kept connections, and wait until they are visible
    Smtp(run::deliver::Arguments),
    /// Deliver messages over LMTP on kept connections, and wait until they are visible
    Lmtp(run::deliver::Arguments),
    /// Many IMAP clients doing what mail programs do, for some seconds
    Imap(run::mixed::Arguments),
    /// SELECT and list one large mailbox, first and again
    ImapList(run::list::Arguments),
    /// STORE, COPY and EXPUNGE of all messages of a mailbox
    ImapBulk(run::bulk::Arguments),
    /// FETCH of all bodies of a mailbox, in one command
    ImapBodies(run::bodies::Arguments),
    /// Many IMAP clients that APPEND
    ImapAppend(run::append::Arguments),
    /// Many clients waiting in IDLE: what each costs the server
    Idle(run::idle::Arguments),
    /// Time from the 250 of a delivery to the EXISTS of a waiting client
    DeliverToIdle(run::notify::Arguments),
    /// POP3 clients that RETR all they find
    Pop3(run::retrieve::Arguments),
    /// IMAP logins, each on a connection of its own
    Login(run::login::Arguments),
    /// PUT objects into an S3-compatible store, as fast as it takes them
    S3Put(run::store::Arguments),
    /// GET the objects that s3-put has put
    S3Get(run::store::Arguments),
    /// Clients that never log in: silent, slow, flooding, and shaking hands only
    Hostile(run::hostile::Arguments),
}

impl Load {
    async fn run(self, scope: &Scope) -> Result<Report, Fault> {
        match self {
            Self::Smtp(arguments) => run::deliver::smtp(scope, arguments).await,
            Self::Lmtp(arguments) => run::deliver::lmtp(scope, arguments).await,
            Self::Imap(arguments) => run::mixed::run(scope, arguments).await,
            Self::ImapList(arguments) => run::list::run(scope, arguments).await,
            Self::ImapBulk(arguments) => run::bulk::run(scope, arguments).await,
            Self::ImapBodies(arguments) => run::bodies::run(scope, arguments).await,
            Self::ImapAppend(arguments) => run::append::run(scope, arguments).await,
            Self::Idle(arguments) => run::idle::run(scope, arguments).await,
            Self::DeliverToIdle(arguments) => run::notify::run(scope, arguments).await,
            Self::Pop3(arguments) => run::retrieve::run(scope, arguments).await,
            Self::Login(arguments) => run::login::run(scope, arguments).await,
            Self::S3Put(arguments) => run::store::put(scope, arguments).await,
            Self::S3Get(arguments) => run::store::get(scope, arguments).await,
            Self::Hostile(arguments) => run::hostile::run(scope, arguments).await,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let format = arguments.common.format();
    // One thread: the generator takes at most one core from the server it measures.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Fault::from(error)),
    };
    let outcome = runtime.block_on(async {
        let scope = Scope::new(&arguments.common)?;
        arguments.load.run(&scope).await
    });
    match outcome {
        Ok(report) => {
            print!("{}", report.render(format));
            if report.is_clean() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(fault) => failed(&fault),
    }
}

fn failed(fault: &Fault) -> ExitCode {
    eprintln!("load: {fault}");
    ExitCode::FAILURE
}
