//! `postrider copy`: a whole server moves to another index and store.

use std::path::Path;

use postrider::{
    actor::ServiceRuntime,
    blob::{BlobPool, PoolLimits},
    config::Config,
    moving::{Copy, CopyError, CopyReport, Site},
};
use serde_json::json;

use super::Output;
use crate::{
    Failure, Report,
    cli::CopyArgs,
    open::{self, Missing},
    progress::Progress,
    report::{count, size},
};

/// Threads for the work of both stores.
const BLOCKING: usize = 32;

pub(super) async fn run(arguments: &CopyArgs, output: Output) -> Result<Report, Failure> {
    let (from, to) = (config(&arguments.from)?, config(&arguments.to)?);
    let source = format!("{:?}", from.database.url);
    if source == format!("{:?}", to.database.url) {
        return Err(Failure::new("both configurations name the same database"));
    }
    let runtime = ServiceRuntime::start(2, BLOCKING)
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let from = site(&from, Missing::Refuse, &runtime).await?;
    let to = site(&to, Missing::Make, &runtime).await?;
    let progress = Progress::new("copy", output);
    let done = Copy::new(from, to, &source).run(&progress).await;
    progress.end();
    Ok(render(&done.map_err(failure)?))
}

fn config(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(|problems| Failure::configuration(&problems).about(path))
}

async fn site(
    config: &Config,
    missing: Missing,
    runtime: &ServiceRuntime,
) -> Result<Site, Failure> {
    let index = open::index(config, missing).await?;
    let store = open::store_to_write(config).await?;
    let blobs = BlobPool::new(store, runtime.clone(), PoolLimits::default());
    Ok(Site {
        index,
        blobs,
        retention: config.retention.expunged,
    })
}

fn failure(error: CopyError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        CopyError::Served(_) => failure.hint(
            "stop it, on all hosts, and copy then: what it is sent meanwhile would be missing; \
             behind a pooler, without database.listen_url, its end is known after a minute",
        ),
        CopyError::Occupied => failure.hint("copy into a database that has no domains"),
        CopyError::Other => failure.hint("go on with that one, or take an empty database"),
        CopyError::Differs(_) => failure.hint(
            "stop the server that is copied from, empty the target's database, and copy again",
        ),
        CopyError::Storage(error) => {
            Failure::from(error).hint("what was copied stays; run it again to go on")
        }
    }
}

fn render(report: &CopyReport) -> Report {
    let CopyReport {
        domains,
        accounts,
        aliases,
        mailboxes,
        messages,
        deleted,
        before,
        octets,
    } = *report;
    let line = format!(
        "copied and compared: {}, {}, {}, {}, {}, {} ({} now, {})",
        count(domains, "domain", "domains"),
        count(accounts, "account", "accounts"),
        count(aliases, "alias", "aliases"),
        count(mailboxes, "mailbox", "mailboxes"),
        count(messages, "message", "messages"),
        count(deleted, "deleted message", "deleted messages"),
        (messages + deleted).saturating_sub(before),
        size(octets),
    );
    let json = json!({
        "domains": domains,
        "accounts": accounts,
        "aliases": aliases,
        "mailboxes": mailboxes,
        "messages": messages,
        "deleted": deleted,
        "before": before,
        "octets": octets,
    });
    Report::line(line, json)
}
