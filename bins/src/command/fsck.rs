//! `postrider fsck`: do index and store agree?

use postrider::admin::{Finding, FsckReport, Repair, fsck};
use postrider_storage::{blob::MemoryStore, index::BlobId};
use serde_json::{Value, json};

use crate::{
    Failure, Place, Report,
    cli::FsckArgs,
    open::{self, Missing},
    report::{count, printable, size},
};

pub(super) async fn run(place: &Place, arguments: &FsckArgs) -> Result<Report, Failure> {
    let config = place.config()?;
    let index = open::index(&config, Missing::Refuse).await?;
    let repair = match arguments.repair {
        true => Repair::Yes,
        false => Repair::No,
    };
    let report = match open::store(&config).await? {
        Some(store) => fsck(index.as_ref(), store.as_ref(), repair).await?,
        // A server that never got mail has no store yet; one that did has lost it, and nothing is mended then.
        None if index.all_blobs(BlobId(0), 1).await?.is_empty() => {
            fsck(index.as_ref(), &MemoryStore::new(), repair).await?
        }
        None => {
            return Err(Failure::new(
                "the store is not there, though the index names bodies in it",
            )
            .hint("is its file system mounted?"));
        }
    };
    Ok(render(&report))
}

fn render(report: &FsckReport) -> Report {
    let open = report
        .findings
        .iter()
        .filter(|it| !it.is_repaired())
        .count();
    let mut text: String = report.findings.iter().map(|it| line(it) + "\n").collect();
    let bodies = count(report.bodies, "body in the index", "bodies in the index");
    let objects = count(
        report.objects,
        "object in the store",
        "objects in the store",
    );
    let verdict = match (report.findings.len(), open) {
        (0, _) => "they agree".to_owned(),
        (found, 0) => format!(
            "{}, all repaired",
            count(found as u64, "finding", "findings")
        ),
        (found, open) if found == open => count(found as u64, "finding", "findings"),
        (found, open) => format!(
            "{}, {open} not repaired",
            count(found as u64, "finding", "findings")
        ),
    };
    text.push_str(&format!("{bodies}, {objects}: {verdict}\n"));
    Report {
        text,
        json: json!({
            "bodies": report.bodies,
            "objects": report.objects,
            "agree": report.findings.is_empty(),
            "findings": report.findings.iter().map(document).collect::<Vec<_>>(),
        }),
        good: open == 0,
    }
}

fn line(finding: &Finding) -> String {
    match finding {
        Finding::Missing {
            key,
            email,
            mailbox,
            uid,
            repaired,
        } => {
            let mailbox = printable(mailbox);
            let done = match repaired {
                true => "; expunged",
                false => "",
            };
            format!("missing: {key}, the body of {email} {mailbox} {uid}{done}")
        }
        Finding::LeftOver {
            key,
            size: octets,
            repair,
        } => {
            let octets = size(*octets);
            let done = match repair {
                None => String::new(),
                Some(Ok(to)) => {
                    format!("; now {} {} {}", to.email, printable(&to.mailbox), to.uid)
                }
                Some(Err(why)) => format!("; not repaired: {why}"),
            };
            format!("left over: {key} ({octets}), which no message names{done}")
        }
        Finding::Damaged {
            key,
            expected,
            found,
        } => format!(
            "damaged: {key} has {found} octets where the index says {expected}; bring it back from a backup"
        ),
        Finding::Quota { email, used, sum } => {
            format!("quota: {email} counts {used} octets as used, its messages have {sum}")
        }
    }
}

fn document(finding: &Finding) -> Value {
    match finding {
        Finding::Missing {
            key,
            email,
            mailbox,
            uid,
            repaired,
        } => json!({
            "kind": "missing", "key": key, "email": email, "mailbox": mailbox, "uid": uid.0, "repaired": repaired,
        }),
        Finding::LeftOver { key, size, repair } => {
            let mut document = json!({
                "kind": "left_over", "key": key, "size": size, "repaired": finding.is_repaired(),
            });
            match repair {
                Some(Ok(to)) => {
                    document["email"] = json!(to.email);
                    document["mailbox"] = json!(to.mailbox);
                    document["uid"] = json!(to.uid.0);
                }
                Some(Err(why)) => document["error"] = json!(why),
                None => {}
            }
            document
        }
        Finding::Damaged {
            key,
            expected,
            found,
        } => json!({
            "kind": "damaged", "key": key, "expected": expected, "found": found, "repaired": false,
        }),
        Finding::Quota { email, used, sum } => json!({
            "kind": "quota", "email": email, "used": used, "sum": sum, "repaired": false,
        }),
    }
}
