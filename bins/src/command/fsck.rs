//! `postrider fsck`: do index and store agree?

use std::{sync::Arc, time::Duration};

use postrider::actor::{Budget, ByteCount, ServiceRuntime};
use postrider::blob::{
    BlobPool, Damage, Damaged, Findings, Fsck, FsckOptions, FsckReport, Missing as MissingBody,
    Orphan, OrphanFate, Owner, PoolLimits, Repair, Spools, WrongQuota,
};
use postrider::clock;
use postrider::config::Config;
use postrider::moving::Copy;
use postrider::protocol::message::summary::Summary;
use postrider::telemetry::check::Checked;
use postrider_storage::{
    blob::{BlobStore, MemoryStore},
    index::{BlobId, Change, Index, RenewUidValidities, Timestamp},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    Failure, Place, Report,
    cli::FsckArgs,
    open::{self, Missing},
    report::{count, printable, size},
};

/// Threads for the store's and the spool's work.
const BLOCKING: usize = 16;

pub(super) async fn run(place: &Place, arguments: &FsckArgs) -> Result<Report, Failure> {
    let config = place.config()?;
    let index = open::index(&config, Missing::Refuse).await?;
    let store = match open::store(&config).await? {
        Some(store) => store,
        // A server that never got mail has no store yet; one that did has lost it, and nothing is mended then.
        None if index.all_blobs(BlobId(0), 1).await?.is_empty() => Arc::new(MemoryStore::new()),
        None => {
            return Err(Failure::new(
                "the store is not there, though the index names bodies in it",
            )
            .hint("is its file system mounted?"));
        }
    };
    let repair = match arguments.repair {
        true => Repair::Append,
        false => Repair::Report,
    };
    if arguments.repair && Copy::goes_on_into(index.as_ref()).await? {
        let failure = Failure::new("a copy into this database has not come to its end");
        return Err(failure.hint("what looks left over is on its way: let it end, or run it again"));
    }
    if arguments.restored {
        renew(index.as_ref()).await?;
    }
    let owner = match arguments.adopt {
        true => Owner::Now,
        false => Owner::Then,
    };
    let mut fsck = prepare(&config, index, store).await?;
    (fsck.options.repair, fsck.options.owner) = (repair, owner);
    let (begun, now) = (Instant::now(), clock::now());
    let found = fsck.run(now).await?;
    let mut report = render(&found, repair);
    if let Err(error) = checked(&found, now, begun.elapsed()).keep(&config.data_dir) {
        let line = format!("the metrics of servers do not hear of it: {error}\n");
        report.text.push_str(&line);
    }
    report.json["renewed"] = json!(arguments.restored);
    if arguments.restored {
        let line = "every mailbox has a new UIDVALIDITY: clients fetch them anew\n";
        report.text.insert_str(0, line);
    }
    Ok(report)
}

/// What was given behind the backup is not known, so nothing of it may be given again for something else.
async fn renew(index: &dyn Index) -> Result<(), Failure> {
    let renew = Change::RenewUidValidities(RenewUidValidities { now: clock::now() });
    for outcome in index.apply(vec![renew]).await {
        outcome?;
    }
    Ok(())
}

/// What the metrics of servers show.
fn checked(report: &FsckReport, begun: Timestamp, took: Duration) -> Checked {
    Checked {
        ended: begun.0 / 1_000_000 + i64::try_from(took.as_secs()).unwrap_or(0),
        took: took.as_secs_f64(),
        missing: report.missing.total,
        damaged: report.damaged.total,
        left_over: report.orphans.total,
        quota: report.quotas.total,
        repaired: report.orphans.mended,
        complete: report.unlisted.is_none(),
    }
}

async fn prepare(
    config: &Config,
    index: Arc<dyn Index>,
    store: Arc<dyn BlobStore>,
) -> Result<Fsck, Failure> {
    let runtime = ServiceRuntime::start(2, BLOCKING)
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let spools = Spools::open(config.data_dir.join("spool"), runtime.clone())
        .await
        .map_err(|error| Failure::new(format!("cannot open the spool: {error}")))?;
    let memory = ByteCount::bytes(config.limits.memory.0);
    Ok(Fsck {
        index,
        blobs: BlobPool::new(store, runtime, PoolLimits::default()),
        spools,
        taker: Budget::new(memory).taker(memory),
        summarize: Arc::new(|octets| Summary::of(octets).encode()),
        options: FsckOptions::beside(config.deadlines.answer),
    })
}

fn render(report: &FsckReport, repair: Repair) -> Report {
    let mut text = String::new();
    let mut findings = Vec::new();
    said(&report.missing, missing, &mut text, &mut findings);
    said(&report.damaged, damaged, &mut text, &mut findings);
    said(&report.orphans, left_over, &mut text, &mut findings);
    said(&report.quotas, quota, &mut text, &mut findings);
    let found =
        report.missing.total + report.damaged.total + report.orphans.total + report.quotas.total;
    let open = found - report.orphans.mended;
    let rows = count(report.rows, "body in the index", "bodies in the index");
    let bodies = count(report.bodies, "object in the store", "objects in the store");
    let findings_of = count(found, "finding", "findings");
    let verdict = match (found, open, repair) {
        (0, ..) if report.unlisted.is_some() => "nothing is missing".to_owned(),
        (0, ..) => "they agree".to_owned(),
        (_, 0, _) => format!("{findings_of}, all repaired"),
        (_, open, Repair::Append) => format!("{findings_of}, {open} not repaired"),
        (_, _, Repair::Report) => findings_of,
    };
    if report.young > 0 {
        let young = count(report.young, "object is", "objects are");
        text.push_str(&format!(
            "{young} too young to tell: a server works on the index and may be about to name them\n"
        ));
    }
    match &report.unlisted {
        None => text.push_str(&format!("{rows}, {bodies}: {verdict}\n")),
        Some(why) => {
            text.push_str(&format!(
                "not checked: what the store has and the index lacks, because {why}\n"
            ));
            text.push_str(&format!("{rows}: {verdict}\n"));
        }
    }
    Report {
        text,
        json: json!({
            "bodies": report.rows,
            "objects": report.bodies,
            "agree": found == 0 && report.unlisted.is_none(),
            "found": found,
            "repaired": report.orphans.mended,
            "findings": findings,
            "young": report.young,
            "not_checked": report.unlisted,
        }),
        good: report.is_clean(),
    }
}

/// Renders what is listed of one kind, and says how many are not.
fn said<T>(
    of_kind: &Findings<T>,
    render: impl Fn(&T) -> Vec<(String, Value)>,
    text: &mut String,
    findings: &mut Vec<Value>,
) {
    for (line, document) in of_kind.listed.iter().flat_map(render) {
        text.push_str(&line);
        text.push('\n');
        findings.push(document);
    }
    let more = of_kind.total - of_kind.listed.len() as u64;
    if more > 0 {
        text.push_str(&format!("and {more} more of this kind\n"));
    }
}

/// One line for each message that cannot be read.
fn missing(missing: &MissingBody) -> Vec<(String, Value)> {
    let MissingBody {
        key,
        size,
        messages,
    } = missing;
    let document = |rest: Value| {
        let mut document =
            json!({ "kind": "missing", "key": key, "size": size, "repaired": false });
        if let (Some(document), Value::Object(rest)) = (document.as_object_mut(), rest) {
            document.extend(rest);
        }
        document
    };
    if messages.is_empty() {
        let line = format!("missing: {key}, the body of an expunged message");
        return vec![(line, document(json!({})))];
    }
    let of_message = |it: &postrider::blob::Named| {
        let line = format!(
            "missing: {key}, the body of {} {} {}; bring it back from a backup",
            it.account,
            printable(&it.mailbox),
            it.uid
        );
        let rest = json!({ "email": it.account, "mailbox": it.mailbox, "uid": it.uid });
        (line, document(rest))
    };
    messages.iter().map(of_message).collect()
}

fn damaged(damaged: &Damaged) -> Vec<(String, Value)> {
    let key = &damaged.key;
    let mut document = json!({ "kind": "damaged", "key": key, "repaired": false });
    let what = match &damaged.damage {
        Damage::Size { expected, found } => {
            document["expected"] = json!(expected);
            document["found"] = json!(found);
            format!("has {found} octets where the index says {expected}")
        }
        Damage::Checksum => "has other octets than were written".to_owned(),
        Damage::Unreadable { why } => {
            document["error"] = json!(why);
            format!("cannot be read: {why}")
        }
    };
    let line = format!("damaged: {key} {what}; bring it back from a backup");
    vec![(line, document)]
}

fn left_over(orphan: &Orphan) -> Vec<(String, Value)> {
    let Orphan {
        key,
        size: octets,
        account,
        fate,
        ..
    } = orphan;
    let mut document = json!({ "kind": "left_over", "key": key, "size": octets });
    document["repaired"] = json!(matches!(fate, OrphanFate::Appended { .. }));
    let done = match fate {
        OrphanFate::Found => String::new(),
        OrphanFate::Appended { mailbox, uid } => {
            document["email"] = json!(account);
            document["mailbox"] = json!(mailbox);
            document["uid"] = json!(uid);
            format!("; now {account} {} {uid}", printable(mailbox))
        }
        OrphanFate::Left { why } => {
            document["error"] = json!(why);
            format!("; not repaired: {why}")
        }
    };
    let octets = size(*octets);
    let line = format!("left over: {key} ({octets}), which no message names{done}");
    vec![(line, document)]
}

fn quota(wrong: &WrongQuota) -> Vec<(String, Value)> {
    let WrongQuota { account, used, sum } = wrong;
    let document = json!({
        "kind": "quota", "email": account, "used": used, "sum": sum, "repaired": false,
    });
    let line = format!("quota: {account} counts {used} octets as used, its messages have {sum}");
    vec![(line, document)]
}
