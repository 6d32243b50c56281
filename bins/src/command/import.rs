//! `postrider import`: mail of other servers comes in.

use std::{path::Path, sync::Arc};

use postrider::{
    actor::ServiceRuntime,
    admin::Admin,
    blob::{BlobPool, PoolLimits},
    config::Config,
    moving::{Import, ImportError, ImportReport, Imported, Merge, Note},
};
use postrider_storage::{blob::BlobStore, index::Index};
use serde_json::{Value, json};

use super::Output;
use crate::{
    Failure, Place, Report,
    cli::ImportCommand,
    open::{self, Missing},
    progress::Progress,
    report::{Align, Table, count, printable, size},
};

/// Threads for the store's work.
const BLOCKING: usize = 32;

pub(super) async fn run(
    place: &Place,
    command: ImportCommand,
    output: Output,
) -> Result<Report, Failure> {
    let ImportCommand::Maildir { dir, email, merge } = command;
    let config = place.config()?;
    let index = open::index(&config, Missing::Refuse).await?;
    let account = Admin::new(index.clone()).find_user(&email).await?;
    let store = open::store_to_write(&config).await?;
    let merge = match merge {
        true => Merge::NewUids,
        false => Merge::Refuse,
    };
    let import = prepare(&config, index, store, merge)?;
    let progress = Progress::new("import", output);
    let done = import.run(dir.clone(), &account.email, &progress).await;
    progress.end();
    let report = done.map_err(|error| failure(&dir, error))?;
    Ok(render(&account.email, &report))
}

fn prepare(
    config: &Config,
    index: Arc<dyn Index>,
    store: Arc<dyn BlobStore>,
    merge: Merge,
) -> Result<Import, Failure> {
    let runtime = ServiceRuntime::start(2, BLOCKING)
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let blobs = BlobPool::new(store, runtime, PoolLimits::default());
    Ok(Import::new(index, blobs, &config.limits, merge))
}

fn failure(dir: &Path, error: ImportError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        ImportError::Occupied(_) => failure.hint(format!(
            "nothing was imported; to add the messages of {} with new UIDs: --merge",
            dir.display()
        )),
        ImportError::Storage(error) => {
            Failure::from(error).hint("what was brought stays; run it again to go on")
        }
        _ => failure,
    }
}

fn render(email: &str, report: &ImportReport) -> Report {
    let mut text = String::new();
    for note in &report.notes {
        text.push_str(&line("note", note));
    }
    for note in &report.left_out {
        text.push_str(&line("left out", note));
    }
    let mut table = Table::new(&[
        ("MAILBOX", Align::Left),
        ("UIDVALIDITY", Align::Right),
        ("BROUGHT", Align::Right),
        ("BEFORE", Align::Right),
    ]);
    for it in &report.mailboxes {
        table.row([
            it.mailbox.clone(),
            it.uid_validity.to_string(),
            it.brought.to_string(),
            it.before.to_string(),
        ]);
    }
    text.push_str(&table.text_or("no mailboxes"));
    let brought = count(report.brought(), "message", "messages");
    let octets = size(report.octets);
    text.push_str(&format!("{email}: {brought} brought ({octets})"));
    if report.before() > 0 {
        text.push_str(&format!(", {} were here already", report.before()));
    }
    let renumbered: u64 = report.mailboxes.iter().map(|it| it.renumbered).sum();
    if renumbered > 0 {
        text.push_str(&format!(", {renumbered} of them with new UIDs"));
    }
    let all = |of: fn(&Imported) -> u64| -> u64 { report.mailboxes.iter().map(of).sum() };
    for (number, what) in [
        (all(|it| it.updated), "got the flags they have there by now"),
        (all(|it| it.kept), "keep the flags they were given here"),
        (all(|it| it.gone), "are gone there and stay here"),
    ] {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    if !report.left_out.is_empty() {
        text.push_str(&format!(", {} left out", report.left_out.len()));
    }
    text.push('\n');
    Report {
        text,
        json: document(email, report),
        good: report.left_out.is_empty(),
    }
}

/// A line about a path.
pub(super) fn line(what: &str, note: &Note) -> String {
    let path = note.path.display().to_string();
    format!("{what}: {}: {}\n", printable(&path), printable(&note.what))
}

/// Notes for a program.
pub(super) fn notes(notes: &[Note]) -> Value {
    let note = |it: &Note| json!({ "path": it.path.to_string_lossy(), "what": it.what });
    notes.iter().map(note).collect()
}

fn document(email: &str, report: &ImportReport) -> Value {
    let mailboxes = report.mailboxes.iter().map(|it| {
        json!({
            "name": it.mailbox,
            "uid_validity": it.uid_validity,
            "brought": it.brought,
            "before": it.before,
            "renumbered": it.renumbered,
            "updated": it.updated,
            "kept": it.kept,
            "gone": it.gone,
        })
    });
    json!({
        "email": email,
        "mailboxes": mailboxes.collect::<Value>(),
        "brought": report.brought(),
        "before": report.before(),
        "octets": report.octets,
        "left_out": notes(&report.left_out),
        "notes": notes(&report.notes),
    })
}
