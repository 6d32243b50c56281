//! The check, over every way that index and store can differ.

#![allow(clippy::unwrap_used)]

use postrider_storage::{
    blob::{BlobMeta, BlobStore, Fault, Operation, Unique},
    index::{
        AddAccounts, AuthType, Change, CreateMailbox, MemoryIndex, ModSeq, NewAccount, Outcome,
        RenameAccount, SetQuota,
    },
};

mod beside;

use super::{
    super::testing::{DAY, DAYS, EMAIL, House, IndexFault, NOW},
    *,
};
use crate::{
    actor::{Budget, ByteCount},
    blob::{Reaper, ReaperSettings, apply},
};

const OLD: Timestamp = Timestamp(NOW.0 - 2 * DAY);

struct Checked {
    house: House,
    fsck: Fsck,
    _dir: tempfile::TempDir,
}

async fn checked(depth: Depth, repair: Repair) -> Checked {
    checked_in(House::new().await, depth, repair).await
}

async fn checked_in(house: House, depth: Depth, repair: Repair) -> Checked {
    let dir = tempfile::tempdir().unwrap();
    let spools = Spools::open(dir.path(), house.service.clone())
        .await
        .unwrap();
    let fsck = Fsck {
        index: house.index.clone(),
        blobs: house.blobs.clone(),
        spools,
        taker: Budget::new(ByteCount::mib(4)).taker(ByteCount::mib(4)),
        summarize: Arc::new(|octets| octets[..octets.len().min(4)].to_vec()),
        options: FsckOptions {
            depth,
            repair,
            settle: Duration::from_millis(20),
            ..FsckOptions::default()
        },
    };
    Checked {
        house,
        fsck,
        _dir: dir,
    }
}

fn fates(report: &FsckReport) -> Vec<OrphanFate> {
    report
        .orphans
        .listed
        .iter()
        .map(|it| it.fate.clone())
        .collect()
}

#[tokio::test]
async fn what_agrees_is_clean() {
    let Checked { house, fsck, _dir } = checked(Depth::Checksum, Repair::Append).await;
    assert!(fsck.run(NOW).await.unwrap().is_clean());
    for number in 0..30 {
        house.deliver(&format!("message {number}")).await;
    }
    let (_, expunged) = house.deliver("can be brought back").await;
    house.expunge(expunged, NOW).await;
    let report = fsck.run(NOW).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.rows, report.bodies), (31, 31));
    assert!(report.octets > 0);
}

#[tokio::test]
async fn differences_are_named_and_nothing_is_touched() {
    let Checked { house, fsck, _dir } = checked(Depth::Checksum, Repair::Report).await;
    house.deliver("well").await;
    let (missing, lost) = house.deliver("missing").await;
    let (corrupt, _) = house.deliver("corrupt").await;
    let orphan = house.put("INBOX", "an orphan", OLD).await;
    assert!(house.store.lose(&missing) && house.store.corrupt(&corrupt));
    let report = fsck.run(NOW).await.unwrap();
    let expected = FsckReport {
        rows: 3,
        bodies: 3,
        octets: report.octets,
        unlisted: None,
        young: 0,
        missing: Findings {
            total: 1,
            mended: 0,
            listed: vec![Missing {
                key: missing.as_str().to_owned(),
                size: 7,
                messages: vec![Named {
                    account: EMAIL.to_owned(),
                    mailbox: "INBOX".to_owned(),
                    uid: lost.0,
                }],
            }],
        },
        damaged: Findings {
            total: 1,
            mended: 0,
            listed: vec![damaged(&corrupt, Damage::Checksum)],
        },
        orphans: Findings {
            total: 1,
            mended: 0,
            listed: vec![Orphan {
                key: orphan.as_str().to_owned(),
                size: 9,
                account: EMAIL.to_owned(),
                mailbox: "INBOX".to_owned(),
                fate: OrphanFate::Found,
            }],
        },
        quotas: Findings::default(),
    };
    assert_eq!(report, expected);
    assert!(!report.is_clean());
    assert_eq!((house.rows().await.len(), house.store.len()), (3, 3));
}

#[tokio::test]
async fn the_row_of_a_young_body_is_waited_for() {
    let Checked {
        house, mut fsck, ..
    } = checked(Depth::Length, Repair::Append).await;
    fsck.options.settle = Duration::from_secs(20);
    let young = house.put("INBOX", "being delivered", NOW).await;
    let check = fsck.run(NOW);
    let arrival = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        house.append(&young).await
    };
    let (report, uid) = tokio::join!(check, arrival);
    let report = report.unwrap();
    assert!(report.is_clean());
    assert_eq!(report.orphans.total, 0);
    // One that never arrives is left over all the same.
    fsck.options.settle = Duration::from_millis(20);
    let late = house.put("INBOX", "never named", NOW).await;
    let report = fsck.run(NOW).await.unwrap();
    assert_eq!((report.orphans.total, report.orphans.mended), (1, 1));
    // Should its row come later than all that, it is the row that is there.
    let again = house.append(&late).await;
    assert_eq!(again.0, uid.0 + 1);
    let changes = house.index.changes(house.inbox, ModSeq(0)).await.unwrap();
    assert_eq!(changes.changed.len(), 2);
}

#[tokio::test]
async fn an_expunged_message_without_body_is_missing_and_nobodys() {
    let Checked { house, fsck, _dir } = checked(Depth::Length, Repair::Append).await;
    let (key, uid) = house.deliver("gone for good").await;
    house.expunge(uid, NOW).await;
    assert!(house.store.lose(&key));
    let report = fsck.run(NOW).await.unwrap();
    assert_eq!(report.missing.total, 1);
    assert_eq!(report.missing.listed[0].messages, []);
    assert_eq!(house.known().await.len(), 1, "rows are never removed");
}

#[tokio::test]
async fn a_look_at_lengths_sees_lengths() {
    let Checked { house, fsck, _dir } = checked(Depth::Length, Repair::Report).await;
    let (corrupt, _) = house.deliver("corrupt").await;
    assert!(house.store.corrupt(&corrupt));
    let (empty, _) = house.deliver("").await;
    // What is damaged in an empty body is its length.
    assert!(house.store.corrupt(&empty));
    let report = fsck.run(NOW).await.unwrap();
    let size = Damage::Size {
        expected: 0,
        found: 1,
    };
    assert_eq!(report.damaged.listed, [damaged(&empty, size)]);
    assert_eq!((report.missing.total, report.orphans.total), (0, 0));
}

#[tokio::test]
async fn orphans_become_messages_again() {
    let Checked { house, fsck, _dir } = checked(Depth::Length, Repair::Append).await;
    let name = "Projects/2026".to_owned();
    let create = CreateMailbox {
        account: house.account,
        name,
        special_use: None,
        now: NOW,
    };
    apply(house.index.as_ref(), Change::CreateMailbox(create))
        .await
        .unwrap();
    let there = house.put("Projects/2026", "there", OLD).await;
    house.put("Since/Deleted", "elsewhere", OLD).await;
    let report = fsck.run(NOW).await.unwrap();
    let mut fates = fates(&report);
    fates.sort_by_key(|fate| format!("{fate:?}"));
    let appended = |mailbox: &str| OrphanFate::Appended {
        mailbox: mailbox.to_owned(),
        uid: 1,
    };
    assert_eq!(
        fates,
        [appended("Projects/2026"), appended("Since/Deleted")]
    );
    assert!(report.is_clean());
    assert_eq!((report.orphans.total, report.orphans.mended), (2, 2));

    let mailbox = house
        .index
        .mailbox(house.account, "Projects/2026")
        .await
        .unwrap()
        .unwrap();
    let changes = house.index.changes(mailbox.id, ModSeq(0)).await.unwrap();
    let message = &changes.changed[0];
    assert_eq!(message.internal_date, Timestamp(OLD.0 - 5));
    let blob = house.index.blobs(mailbox.id, &[message.uid]).await.unwrap();
    assert_eq!(blob[0].1.key, there);
    let summary = house
        .index
        .summaries(mailbox.id, &[message.uid])
        .await
        .unwrap();
    assert_eq!(summary.found[0].1, b"ther");
    // And once is enough.
    let again = fsck.run(NOW).await.unwrap();
    assert_eq!((again.rows, again.orphans.total), (2, 0));
}

#[tokio::test]
async fn what_cannot_be_a_message_stays_and_is_named() {
    let Checked { house, fsck, _dir } = checked(Depth::Length, Repair::Append).await;
    let damaged = house.put("INBOX", "damaged", OLD).await;
    assert!(house.store.corrupt(&damaged));
    let quota = SetQuota {
        account: house.account,
        quota: Some(20),
        now: NOW,
    };
    apply(house.index.as_ref(), Change::SetQuota(quota))
        .await
        .unwrap();
    house.put("INBOX", "more than there is room for", OLD).await;
    let stranger = BlobKey::parse("example.com/nobody/Maildir/cur/1.M2P3.x").unwrap();
    let source = fsck
        .spools
        .begin(&fsck.taker, DAYS(1))
        .finish()
        .await
        .unwrap()
        .source(bytes::Bytes::new());
    let meta = BlobMeta::from_key(&stranger);
    house.store.put(&stranger, source, &meta).await.unwrap();

    let report = fsck.run(NOW).await.unwrap();
    assert!(!report.is_clean());
    assert_eq!((report.orphans.total, report.orphans.mended), (3, 0));
    let mut whys: Vec<_> = fates(&report)
        .into_iter()
        .map(|fate| match fate {
            OrphanFate::Left { why } => why,
            other => panic!("{other:?}"),
        })
        .collect();
    whys.sort();
    assert_eq!(whys[0], "its octets do not fit its name");
    assert_eq!(whys[1], "no account of this address");
    assert!(whys[2].starts_with("quota exceeded"), "{}", whys[2]);
    assert_eq!(house.store.len(), 3, "mail is never thrown away");
}

#[tokio::test]
async fn half_a_view_is_no_view() {
    let Checked { house, fsck, _dir } = checked(Depth::Checksum, Repair::Append).await;
    for number in 0..10 {
        house.deliver(&format!("message {number}")).await;
    }
    house.put("INBOX", "orphan", OLD).await;
    let faults = [
        (Operation::List, Fault::Fail),
        // The listing breaks off at its end.
        (Operation::List, Fault::FailAfter),
        (Operation::Get, Fault::Fail),
        (Operation::Meta, Fault::Fail),
    ];
    for (operation, fault) in faults {
        house.store.fault(operation, fault);
        let outcome = fsck.run(NOW).await;
        assert!(
            matches!(outcome, Err(Error::Unavailable(_))),
            "{operation:?}: {outcome:?}"
        );
    }
    house.index.fault(IndexFault::Fail);
    assert!(fsck.run(NOW).await.is_err());
    assert!(fsck.run(NOW).await.unwrap().is_clean());
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_not_doubled() {
    let Checked { house, fsck, _dir } = checked(Depth::Length, Repair::Append).await;
    house.put("INBOX", "orphan", OLD).await;
    house.index.fault(IndexFault::FailAfter);
    assert!(fsck.run(NOW).await.is_err());
    let report = fsck.run(NOW).await.unwrap();
    assert!(report.is_clean());
    let changes = house.index.changes(house.inbox, ModSeq(0)).await.unwrap();
    assert_eq!(changes.changed.len(), 1);
}

#[tokio::test]
async fn what_the_reaper_is_deleting_is_neither_missing_nor_an_orphan() {
    let Checked { house, fsck, _dir } = checked(Depth::Checksum, Repair::Append).await;
    house.deliver("stays").await;
    let (_, uid) = house.deliver("goes").await;
    house.expunge(uid, NOW).await;
    let settings = ReaperSettings {
        retention: DAYS(0),
        ..ReaperSettings::default()
    };
    let later = Timestamp(NOW.0 + 2 * DAY);
    let reaper = Reaper::new(house.index.clone(), house.blobs.clone(), settings);
    house.store.fault(Operation::Delete, Fault::Fail);
    assert_eq!(reaper.round(later).await.unwrap().failed, 1);
    assert_eq!((house.store.len(), house.known().await.len()), (2, 2));
    let report = fsck.run(later).await.unwrap();
    assert_eq!(
        (report.orphans.total, report.missing.total),
        (0, 0),
        "{report:?}"
    );

    house.index.fault(IndexFault::Well);
    house.index.fault(IndexFault::Fail);
    assert!(
        reaper.round(later).await.is_err(),
        "it dies before it forgets"
    );
    assert_eq!((house.store.len(), house.known().await.len()), (1, 2));
    let report = fsck.run(later).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
}

#[tokio::test]
async fn everything_is_checked_page_by_page() {
    page_by_page(House::new().await, BATCH + 7).await;
    // A commit for each orphan takes its time on a disk.
    let dir = tempfile::tempdir().unwrap();
    page_by_page(House::on_sqlite(&dir).await, 27).await;
}

/// With more than a page of rows.
async fn page_by_page(house: House, orphans: usize) {
    let Checked { house, fsck, _dir } = checked_in(house, Depth::Length, Repair::Append).await;
    let rows = PAGE as usize + 7;
    let mut keys = Vec::new();
    for number in 0..rows {
        keys.push(house.put("INBOX", &format!("message {number}"), NOW).await);
    }
    house.append_all(&keys).await;
    for number in 0..orphans {
        house.put("INBOX", &number.to_string(), OLD).await;
    }
    assert!(house.store.lose(&keys[rows - 1]));
    let report = fsck.run(NOW).await.unwrap();
    assert_eq!(
        (report.rows, report.bodies),
        (rows as u64, (rows + orphans - 1) as u64)
    );
    assert_eq!(
        (report.missing.total, report.orphans.mended),
        (1, orphans as u64)
    );
    let again = fsck.run(NOW).await.unwrap();
    assert_eq!(
        (again.rows, again.orphans.total),
        ((rows + orphans) as u64, 0)
    );
    assert_eq!(again.missing.listed[0].key, keys[rows - 1].as_str());
}

#[tokio::test]
async fn a_report_is_json() {
    let Checked { house, fsck, _dir } = checked(Depth::Length, Repair::Append).await;
    let (missing, _) = house.deliver("missing").await;
    house.store.lose(&missing);
    house.put("INBOX", "orphan", OLD).await;
    let report = fsck.run(NOW).await.unwrap();
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    assert_eq!(json["missing"]["listed"][0]["key"], missing.as_str());
    assert_eq!(
        json["orphans"]["listed"][0]["fate"]["appended"]["mailbox"],
        "INBOX"
    );
    assert_eq!(json["orphans"]["mended"], 1);
}

/// Who gets the address of somebody gets none of what was written to that one (I6).
#[tokio::test]
async fn attack_38_an_orphan_is_not_for_who_got_the_address_since() {
    let Checked {
        house,
        mut fsck,
        _dir,
    } = checked(Depth::Length, Repair::Append).await;
    let rename = |account, email: &str, now| {
        Change::RenameAccount(RenameAccount {
            account,
            email: email.to_owned(),
            now,
        })
    };
    // To the first holder, who leaves the address; then to the second, who got it by a rename.
    house.put("INBOX", "for the first", OLD).await;
    let index = house.index.as_ref();
    let away = rename(house.account, "first@example.com", Timestamp(OLD.0 + 1));
    apply(index, away).await.unwrap();
    let second = AddAccounts {
        accounts: vec![NewAccount {
            email: "second@example.com".to_owned(),
            password: None,
            quota: None,
            auth: AuthType::Local,
        }],
        now: Timestamp(0),
    };
    let Outcome::Accounts(ids) = apply(index, Change::AddAccounts(second)).await.unwrap() else {
        panic!("no account");
    };
    apply(index, rename(ids[0], EMAIL, Timestamp(OLD.0 + 2)))
        .await
        .unwrap();
    house
        .put("INBOX", "for the second", Timestamp(OLD.0 + 3))
        .await;

    let report = fsck.run(NOW).await.unwrap();
    assert_eq!((report.orphans.total, report.orphans.mended), (2, 1));
    let why = "made before the account got this address".to_owned();
    assert!(fates(&report).contains(&OrphanFate::Left { why }));
    assert_eq!(house.rows().await.len(), 1);
    assert_eq!(house.store.len(), 2, "mail is never thrown away");

    // Unless an operator knows better.
    fsck.options.owner = Owner::Now;
    let report = fsck.run(NOW).await.unwrap();
    assert_eq!((report.orphans.total, report.orphans.mended), (1, 1));
    assert_eq!(house.rows().await.len(), 2);
}
