//! Copies of deleted mail between indices and stores in memory, which fail when told.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use postrider_storage::blob::{
    BlobBody, BlobKey, BlobMeta, BlobSource, BlobStore, Fault, MemoryStore, Operation,
};
use postrider_storage::index::{
    AccountId, AddAccounts, Append, AuthType, BlobId, CopyMode, CreateMailbox, DeleteMailbox,
    Expunge, ExpungeWhich, Flags, INBOX, MailboxId, MemoryIndex, ModSeq, NewAccount, NewBlob,
    Restore, Uid,
};

use super::*;
use crate::actor::ServiceRuntime;
use crate::blob::PoolLimits;
use crate::moving::Unwatched;

const EMAIL: &str = "ada@a.test";
const DAY: Duration = Duration::from_secs(86_400);

/// An index and a store in memory.
#[derive(Clone)]
struct Side {
    index: Arc<MemoryIndex>,
    store: MemoryStore,
    retention: Duration,
}

fn ago(days: u32) -> Timestamp {
    let micros = i64::try_from((DAY * days).as_micros()).unwrap();
    Timestamp(clock::now().0 - micros)
}

fn body(name: &str) -> (BlobKey, Bytes) {
    let key = BlobKey::parse(&format!("a.test/ada/Maildir/cur/{name}")).unwrap();
    (key, Bytes::from(format!("Subject: {name}\r\n\r\nbody\r\n")))
}

impl Side {
    fn new() -> Self {
        Self {
            index: Arc::new(MemoryIndex::new()),
            store: MemoryStore::new(),
            retention: 30 * DAY,
        }
    }

    fn site(&self) -> Site {
        let runtime = ServiceRuntime::start(1, 4).unwrap();
        let store = Arc::new(self.store.clone());
        Site {
            index: self.index.clone(),
            blobs: BlobPool::new(store, runtime, PoolLimits::default()),
            retention: self.retention,
        }
    }

    async fn one(&self, change: Change) -> Outcome {
        self.index.apply(vec![change]).await.remove(0).unwrap()
    }

    async fn account(&self) -> AccountId {
        self.index.account(EMAIL).await.unwrap().unwrap().id
    }

    async fn mailbox(&self, name: &str) -> MailboxId {
        let account = self.account().await;
        let found = self.index.mailbox(account, name).await.unwrap();
        found.unwrap().id
    }

    async fn append(&self, mailbox: &str, name: &str, keywords: &[&str]) -> Uid {
        let (key, octets) = body(name);
        let source = BlobSource {
            prefix: Bytes::new(),
            body: BlobBody::Memory(octets.clone()),
        };
        let meta = BlobMeta::from_key(&key);
        self.store.put(&key, source, &meta).await.unwrap();
        let append = Append {
            account: self.account().await,
            mailbox: self.mailbox(mailbox).await,
            blob: NewBlob {
                key,
                size: octets.len() as u64,
                line_size: octets.len() as u64 + 2,
                sha256: Sha256::digest(&octets).into(),
                summary: name.as_bytes().to_vec(),
            },
            flags: Flags::SEEN,
            keywords: keywords.iter().map(|it| (*it).to_owned()).collect(),
            internal_date: ago(90),
            now: ago(80),
        };
        match self.one(Change::Append(append)).await {
            Outcome::Appended(appended) => appended.uid,
            other => panic!("{other:?}"),
        }
    }

    async fn expunge(&self, mailbox: &str, uids: &[Uid], now: Timestamp) {
        let expunge = Expunge {
            account: self.account().await,
            mailbox: self.mailbox(mailbox).await,
            which: ExpungeWhich::Exactly(uids.to_vec()),
            now,
        };
        self.one(Change::Expunge(expunge)).await;
    }

    async fn create(&self, name: &str) {
        let create = CreateMailbox {
            account: self.account().await,
            name: name.to_owned(),
            special_use: None,
            now: ago(85),
        };
        self.one(Change::CreateMailbox(create)).await;
    }

    async fn delete(&self, name: &str, now: Timestamp) {
        let (account, name) = (self.account().await, name.to_owned());
        let delete = DeleteMailbox { account, name, now };
        self.one(Change::DeleteMailbox(delete)).await;
    }

    /// A user with mail, of which some is gone: so many from INBOX, and more from mailboxes that are gone.
    async fn filled(deleted: u32) -> Self {
        let side = Self::new();
        let domain = AddDomain {
            name: "a.test".to_owned(),
            auth: AuthType::Local,
            ldap_base_dn: None,
            now: ago(99),
        };
        side.one(Change::AddDomain(domain)).await;
        let account = NewAccount {
            email: EMAIL.to_owned(),
            password: None,
            quota: Some(1_000_000),
            auth: AuthType::Local,
        };
        let accounts = AddAccounts {
            accounts: vec![account],
            now: ago(99),
        };
        side.one(Change::AddAccounts(accounts)).await;
        let mut gone = Vec::new();
        for number in 0..deleted {
            let words = [&["one", "two"][..], &["two"], &[]][number as usize % 3];
            gone.push(side.append(INBOX, &format!("gone.{number}"), words).await);
            side.append(INBOX, &format!("live.{number}"), &["two"])
                .await;
        }
        // One body that is there as well.
        let copy = postrider_storage::index::Copy {
            account: side.account().await,
            from: side.mailbox(INBOX).await,
            uids: gone.iter().take(1).copied().collect(),
            to: side.mailbox("Archive").await,
            mode: CopyMode::Copy,
            now: ago(70),
        };
        side.one(Change::Copy(copy)).await;
        let (old, young) = gone.split_at(gone.len() / 2);
        side.expunge(INBOX, old, ago(10)).await;
        side.expunge(INBOX, young, ago(9)).await;
        for days in [8, 7] {
            side.create("Work").await;
            let name = format!("work.{days}");
            side.append("Work", &name, &["own", &format!("day{days}")])
                .await;
            side.delete("Work", ago(days)).await;
        }
        side
    }

    fn to(&self, other: &Self) -> Copy {
        Copy::new(self.site(), other.site(), "here")
    }

    /// What can be brought back, in words that say nothing of rows.
    async fn deleted(&self) -> Vec<String> {
        let account = self.account().await;
        let first = (MailboxId(0), Uid(0));
        let all = self.index.recoverable(account, first, 10_000).await;
        let all = all.unwrap().into_iter().map(|it| {
            let place = (it.name, it.there, it.deleted, it.uid, it.modseq);
            let dates = (it.internal_date, it.expunged);
            let text = String::from_utf8(it.summary).unwrap();
            let body = (it.body.key, it.body.sha256, it.size, it.line_size, text);
            format!(
                "{place:?} {dates:?} {:?} {:?} {body:?}",
                it.flags, it.keywords
            )
        });
        let mut all: Vec<String> = all.collect();
        all.sort();
        all
    }

    /// As `fsck` has it: each body that the index names lies in the store, and nothing else does.
    async fn agrees(&self) {
        let rows = self.index.all_blobs(BlobId(0), 10_000).await.unwrap();
        let mut rows: Vec<BlobKey> = rows.into_iter().map(|it| it.key).collect();
        rows.sort();
        let mut bodies = self.store.keys();
        bodies.sort();
        assert_eq!(rows, bodies);
        let usage = self.index.usage(self.account().await).await;
        let usage = usage.unwrap().unwrap();
        assert_eq!(usage.used, usage.sum);
    }

    async fn restore(&self, from: MailboxId, uids: &[Uid]) -> Vec<Uid> {
        let restore = Restore {
            account: self.account().await,
            from,
            uids: uids.to_vec(),
            to: self.mailbox(INBOX).await,
            now: clock::now(),
        };
        match self.one(Change::Restore(restore)).await {
            Outcome::Copied(copied) => copied.to,
            other => panic!("{other:?}"),
        }
    }

    async fn uids(&self, name: &str) -> Vec<Uid> {
        let mailbox = self.mailbox(name).await;
        let all = self.index.changes(mailbox, ModSeq(0)).await.unwrap();
        all.changed.iter().map(|it| it.uid).collect()
    }
}

/// Does something once so many messages are done, and counts.
struct At<F> {
    at: u64,
    what: F,
    total: AtomicU64,
    done: AtomicU64,
}

impl<F> At<F> {
    fn new(at: u64, what: F) -> Self {
        let (total, done) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            at,
            what,
            total,
            done,
        }
    }
}

impl<F: Fn() + Send + Sync> Watch for At<F> {
    fn total(&self, messages: u64) {
        self.total.store(messages, Ordering::SeqCst);
    }

    fn mailbox(&self, _: &str) {}

    fn done(&self, messages: u64) {
        let before = self.done.fetch_add(messages, Ordering::SeqCst);
        if before < self.at && before + messages >= self.at {
            (self.what)();
        }
    }
}

#[tokio::test]
async fn deleted_mail_comes_and_can_be_brought_back() {
    let (from, to) = (Side::filled(10).await, Side::new());
    let watch = At::new(u64::MAX, || {});
    let report = from.to(&to).run(&watch).await.unwrap();
    assert_eq!(
        (report.messages, report.deleted, report.before),
        (11, 12, 0)
    );
    let counts = (&watch.total, &watch.done);
    assert_eq!(counts.0.load(Ordering::SeqCst), 23);
    assert_eq!(counts.1.load(Ordering::SeqCst), 23);
    let deleted = from.deleted().await;
    assert_eq!(deleted.len(), 12);
    assert_eq!(to.deleted().await, deleted);
    to.agrees().await;
    // As they were: from a mailbox that is there, and from two of the same name that are not.
    let account = to.account().await;
    let first = (MailboxId(0), Uid(0));
    let all = to.index.recoverable(account, first, 100).await.unwrap();
    let mut back = 0;
    for message in &all {
        back += to.restore(message.mailbox, &[message.uid]).await.len();
    }
    assert_eq!(back, 12);
    assert_eq!(to.uids(INBOX).await.len(), 22);
    assert_eq!(to.deleted().await, [""; 0]);
    to.agrees().await;
}

#[tokio::test]
async fn there_and_back_it_is_the_same() {
    let (from, there, back) = (Side::filled(7).await, Side::new(), Side::new());
    from.to(&there).run(&Unwatched).await.unwrap();
    there.to(&back).run(&Unwatched).await.unwrap();
    assert_eq!(back.deleted().await, from.deleted().await);
    back.agrees().await;
}

#[tokio::test]
async fn what_is_kept_no_longer_stays_behind() {
    for (ours, theirs, days) in [(30, 30, 31), (9, 30, 10), (30, 9, 10)] {
        let mut from = Side::filled(4).await;
        let late = from.append(INBOX, "late", &[]).await;
        from.expunge(INBOX, &[late], ago(days)).await;
        let mut to = Side::new();
        (from.retention, to.retention) = (ours * DAY, theirs * DAY);
        let watch = At::new(u64::MAX, || {});
        let report = from.to(&to).run(&watch).await.unwrap();
        let kept = from.deleted().await.len() as u64;
        let expected = kept - if days == 31 { 1 } else { 5 };
        assert_eq!(report.deleted, expected, "{ours} {theirs}");
        assert_eq!(to.deleted().await.len() as u64, expected);
        let total = watch.total.load(Ordering::SeqCst);
        assert_eq!(total, report.messages + expected);
        assert_eq!(watch.done.load(Ordering::SeqCst), total);
        to.agrees().await;
        // What did not come has left nothing.
        assert!(to.store.body(&body("late").0).is_none());
    }
}

#[tokio::test]
async fn whatever_fails_nothing_is_lost_or_doubled() {
    let from = Side::filled(230).await;
    let wanted = from.deleted().await;
    assert_eq!(wanted.len(), 232);
    // While mailboxes are copied, at their end, and at the pages of what was deleted.
    for at in [100, 231, 331, 431] {
        for fault in [Some(Fault::Fail), Some(Fault::FailAfter), None] {
            let to = Side::new();
            let broken = Error::Unavailable("on purpose".to_owned());
            let watch = At::new(at, || match fault {
                Some(fault) => to.store.fault(Operation::Put, fault),
                None => to.index.break_with(Some(broken.clone())),
            });
            let failed = from.to(&to).run(&watch).await;
            assert!(
                matches!(failed, Err(CopyError::Storage(_))),
                "{at} {fault:?}: {failed:?}"
            );
            to.index.break_with(None);
            let watch = At::new(u64::MAX, || {});
            let report = from.to(&to).run(&watch).await.unwrap();
            assert_eq!(to.deleted().await, wanted, "{at} {fault:?}");
            assert_eq!(report.before, at, "{at} {fault:?}");
            assert_eq!((report.messages, report.deleted), (231, 232));
            assert_eq!(watch.done.load(Ordering::SeqCst), 463);
            to.agrees().await;
        }
    }
}

#[tokio::test]
async fn a_run_behind_the_end_compares_and_leaves_a_server_alone() {
    let (from, to) = (Side::filled(3).await, Side::new());
    let first = from.to(&to).run(&Unwatched).await.unwrap();
    let again = from.to(&to).run(&Unwatched).await.unwrap();
    let compared = CopyReport {
        before: first.messages + first.deleted,
        octets: 0,
        ..first
    };
    assert_eq!(again, compared);
    assert!(!Copy::goes_on_into(to.index.as_ref()).await.unwrap());
    // Neither somebody else's copy, nor this one once a server has worked there, nor one into what is no copy at all.
    let occupied = |it| matches!(it, Err(CopyError::Occupied));
    let other = Copy::new(from.site(), to.site(), "elsewhere");
    assert!(occupied(other.run(&Unwatched).await));
    to.append(INBOX, "new", &[]).await;
    assert!(occupied(from.to(&to).run(&Unwatched).await));
    assert!(occupied(to.to(&from).run(&Unwatched).await));
    to.agrees().await;
}

#[tokio::test]
async fn a_body_whose_time_came_between_two_runs_is_found_by_the_reaper() {
    let (from, mut to) = (Side::filled(99).await, Side::new());
    // Behind the first page of what was deleted: one is left.
    let watch = At::new(200, || to.store.fault(Operation::Put, Fault::FailAfter));
    let failed = from.to(&to).run(&watch).await;
    assert!(matches!(failed, Err(CopyError::Storage(_))), "{failed:?}");
    let rows = to.index.all_blobs(BlobId(0), 10_000).await.unwrap();
    assert_eq!(to.store.len(), rows.len() + 1, "a body that no row names");
    to.retention = 5 * DAY;
    let late = from.append(INBOX, "late", &[]).await;
    from.expunge(INBOX, &[late], ago(6)).await;
    let report = from.to(&to).run(&Unwatched).await.unwrap();
    assert_eq!((report.deleted, report.before), (0, 100));
    to.agrees().await;
    assert_eq!(
        to.deleted().await.len(),
        101,
        "but not what was never brought"
    );
}

#[tokio::test]
async fn what_happened_in_the_target_meanwhile_is_not_undone() {
    let (from, to) = (Side::filled(230).await, Side::new());
    let broken = Error::Unavailable("on purpose".to_owned());
    let watch = At::new(331, || to.index.break_with(Some(broken.clone())));
    from.to(&to).run(&watch).await.unwrap_err();
    to.index.break_with(None);
    let inbox = to.mailbox(INBOX).await;
    let before = to.uids(INBOX).await.len();
    let account = to.account().await;
    let first = (MailboxId(0), Uid(0));
    let some = to.index.recoverable(account, first, 2).await.unwrap();
    let (one, two) = (some[0].uid, some[1].uid);
    let back = to.restore(inbox, &[one, two]).await;
    to.expunge(INBOX, &back[..1], clock::now()).await;
    let differs = from.to(&to).run(&Unwatched).await;
    assert!(matches!(differs, Err(CopyError::Differs(_))), "{differs:?}");
    assert_eq!(to.uids(INBOX).await.len(), before + 1, "one that came back");
    let all = to.index.recoverable(account, first, 10_000).await.unwrap();
    let uids: Vec<Uid> = all.iter().map(|it| it.uid).collect();
    assert!(!uids.contains(&two) && !all.iter().any(|it| it.there && it.uid == one));
    assert!(uids.contains(&back[0]));
    assert_eq!(all.len(), 232 - 2 + 1);
    to.agrees().await;
}

#[tokio::test]
async fn a_source_whose_deleted_mail_changes_meanwhile_is_noticed() {
    let (from, to) = (Side::filled(4).await, Side::new());
    let inbox = from.uids(INBOX).await;
    let broken = Error::Unavailable("on purpose".to_owned());
    let watch = At::new(8, || to.index.break_with(Some(broken.clone())));
    from.to(&to).run(&watch).await.unwrap_err();
    to.index.break_with(None);
    from.expunge(INBOX, &inbox[..1], clock::now()).await;
    let differs = from.to(&to).run(&Unwatched).await;
    assert!(matches!(differs, Err(CopyError::Differs(_))), "{differs:?}");
    to.agrees().await;
}
