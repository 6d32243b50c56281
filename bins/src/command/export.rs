//! `postrider export`: mail goes to other servers.

use postrider::{
    actor::ServiceRuntime,
    admin::Admin,
    blob::{BlobPool, PoolLimits},
    moving::{Export, ExportError, ExportReport},
};
use serde_json::json;

use super::{
    Output,
    import::{line, notes},
};
use crate::{
    Failure, Place, Report,
    cli::ExportCommand,
    open::{self, Missing},
    progress::Progress,
    report::{count, size},
};

/// Threads for the store's work.
const BLOCKING: usize = 32;

pub(super) async fn run(
    place: &Place,
    command: ExportCommand,
    output: Output,
) -> Result<Report, Failure> {
    let ExportCommand::Maildir { email, dir } = command;
    let config = place.config()?;
    let index = open::index(&config, Missing::Refuse).await?;
    let account = Admin::new(index.clone()).find_user(&email).await?;
    let store = open::store_to_write(&config).await?;
    let runtime = ServiceRuntime::start(2, BLOCKING)
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let blobs = BlobPool::new(store, runtime, PoolLimits::default());
    let progress = Progress::new("export", output);
    let export = Export::new(index, blobs);
    let done = export.run(&account.email, dir, &progress).await;
    progress.end();
    Ok(render(&account.email, &done.map_err(failure)?))
}

fn failure(error: ExportError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        ExportError::Storage(error) => {
            Failure::from(error).hint("what was written stays; run it again to go on")
        }
        _ => failure,
    }
}

fn render(email: &str, report: &ExportReport) -> Report {
    let lines = report.left_out.iter().map(|it| line("left out", it));
    let mut text: String = lines.collect();
    let mailboxes = count(report.mailboxes, "mailbox", "mailboxes");
    let written = count(report.written, "message", "messages");
    let octets = size(report.octets);
    text.push_str(&format!(
        "{email}: {mailboxes}, {written} written ({octets})"
    ));
    if report.before > 0 {
        text.push_str(&format!(", {} were there already", report.before));
    }
    if report.removed > 0 {
        text.push_str(&format!(", {} removed that are gone here", report.removed));
    }
    if !report.left_out.is_empty() {
        text.push_str(&format!(", {} left out", report.left_out.len()));
    }
    text.push('\n');
    Report {
        text,
        json: json!({
            "email": email,
            "mailboxes": report.mailboxes,
            "written": report.written,
            "before": report.before,
            "removed": report.removed,
            "octets": report.octets,
            "left_out": notes(&report.left_out),
        }),
        good: report.left_out.is_empty(),
    }
}
