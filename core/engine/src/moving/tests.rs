//! Imports over an index and a store in memory, which fail when told.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use postrider_storage::blob::{Fault, MemoryStore, Operation};
use postrider_storage::index::{
    AddAccounts, AddDomain, AuthType, Change, INBOX, Index, MemoryIndex, ModSeq, NewAccount,
    Timestamp, Uid,
};
use tempfile::TempDir;

use super::*;
use crate::actor::ServiceRuntime;
use crate::blob::{BlobPool, PoolLimits};
use crate::config::Config;

const EMAIL: &str = "ada@a.test";
const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

struct House {
    index: Arc<MemoryIndex>,
    store: MemoryStore,
    tree: TempDir,
}

impl House {
    async fn new(messages: u32) -> Self {
        let index = Arc::new(MemoryIndex::new());
        let account = NewAccount {
            email: EMAIL.to_owned(),
            password: None,
            quota: None,
            auth: AuthType::Local,
        };
        let changes = vec![
            Change::AddDomain(AddDomain {
                name: "a.test".to_owned(),
                auth: AuthType::Local,
                ldap_base_dn: None,
                now: NOW,
            }),
            Change::AddAccounts(AddAccounts {
                accounts: vec![account],
                now: NOW,
            }),
        ];
        for answer in index.apply(changes).await {
            answer.unwrap();
        }
        let tree = TempDir::new().unwrap();
        fs::create_dir(tree.path().join("cur")).unwrap();
        fs::create_dir(tree.path().join("new")).unwrap();
        let mut list = format!("3 V99 N{}\n", messages * 2 + 10);
        for number in 1..=messages {
            let name = format!("{number}.m");
            list.push_str(&format!("{} :{name}\n", number * 2));
            let text = format!("Subject: {number}\n\nbody\n");
            fs::write(tree.path().join("cur").join(name + ":2,S"), text).unwrap();
        }
        fs::write(tree.path().join("dovecot-uidlist"), list).unwrap();
        Self {
            index,
            store: MemoryStore::new(),
            tree,
        }
    }

    fn import(&self, merge: Merge) -> Import {
        let runtime = ServiceRuntime::start(1, 4).unwrap();
        let store = Arc::new(self.store.clone());
        let blobs = BlobPool::new(store, runtime, PoolLimits::default());
        let config = Config::embedded(Path::new("/nowhere"));
        Import::new(self.index.clone(), blobs, &config.limits, merge)
    }

    async fn run(&self) -> Result<ImportReport, ImportError> {
        let root = self.tree.path().to_owned();
        self.import(Merge::Refuse)
            .run(root, EMAIL, &Unwatched)
            .await
    }

    async fn uids(&self) -> Vec<u32> {
        let account = self.index.account(EMAIL).await.unwrap().unwrap();
        let inbox = self.index.mailbox(account.id, INBOX).await.unwrap();
        let all = self.index.changes(inbox.unwrap().id, ModSeq(0)).await;
        all.unwrap().changed.iter().map(|it| it.uid.0).collect()
    }

    fn bodies(&self) -> usize {
        self.store.len()
    }
}

fn even(last: u32) -> Vec<u32> {
    (1..=last).map(|it| it * 2).collect()
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_loses_and_doubles_nothing() {
    for fault in [Fault::Fail, Fault::FailAfter] {
        let house = House::new(250).await;
        house.store.fault(Operation::Put, fault);
        let failed = house.run().await;
        assert!(matches!(failed, Err(ImportError::Storage(_))), "{failed:?}");
        let report = house.run().await.unwrap();
        assert_eq!(house.uids().await, even(250));
        assert_eq!(house.bodies(), 250, "nothing is left over");
        assert_eq!(report.brought() + report.before(), 250);
        let again = house.run().await.unwrap();
        assert_eq!((again.brought(), again.before()), (0, 250));
    }
}

#[tokio::test]
async fn an_index_that_fails_in_the_middle_loses_and_doubles_nothing() {
    let house = House::new(120).await;
    let away = postrider_storage::Error::Unavailable("on purpose".to_owned());
    struct Breaks<'a>(&'a MemoryIndex, postrider_storage::Error);
    impl Watch for Breaks<'_> {
        fn total(&self, _: u64) {}
        fn mailbox(&self, _: &str) {}
        fn done(&self, messages: u64) {
            if messages == 100 {
                self.0.break_with(Some(self.1.clone()));
            }
        }
    }
    let root = house.tree.path().to_owned();
    let breaks = Breaks(&house.index, away);
    let failed = house.import(Merge::Refuse).run(root, EMAIL, &breaks).await;
    assert!(matches!(failed, Err(ImportError::Storage(_))), "{failed:?}");
    house.index.break_with(None);
    assert_eq!(house.uids().await, even(100));
    assert_eq!(house.run().await.unwrap().brought(), 20);
    assert_eq!((house.uids().await, house.bodies()), (even(120), 120));
    let account = house.index.account(EMAIL).await.unwrap().unwrap();
    let inbox = house
        .index
        .mailbox(account.id, INBOX)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((inbox.uid_validity.0, inbox.uid_next), (99, Uid(250)));
    assert!(
        inbox.highest_modseq > ModSeq(1_000_000_000),
        "above those of others"
    );
}

#[tokio::test]
async fn a_file_that_comes_late_and_one_that_went_do_no_harm() {
    let house = House::new(3).await;
    let cur = house.tree.path().join("cur");
    fs::remove_file(cur.join("2.m:2,S")).unwrap();
    fs::write(house.tree.path().join("new/9.late"), "Subject: late\n\n").unwrap();
    house.run().await.unwrap();
    assert_eq!(house.uids().await, [2, 6, 16]);
    // The list names it now, with another UID than it got here; and one more that has the UID it got.
    let list = fs::read_to_string(house.tree.path().join("dovecot-uidlist")).unwrap();
    fs::write(cur.join("8.next:2,"), "Subject: next\n\n").unwrap();
    let list = list + "16 :8.next\n17 :9.late\n";
    fs::write(house.tree.path().join("dovecot-uidlist"), list).unwrap();
    let report = house.run().await.unwrap();
    assert_eq!(report.brought(), 1);
    assert_eq!(report.mailboxes[0].renumbered, 1, "{:?}", report.notes);
    assert_eq!(house.uids().await, [2, 6, 16, 17]);
}

#[tokio::test]
async fn nobody_and_nowhere_are_refused() {
    let house = House::new(1).await;
    let import = house.import(Merge::Refuse);
    let root = house.tree.path().to_owned();
    let nobody = import.run(root.clone(), "bob@a.test", &Unwatched).await;
    assert!(matches!(nobody, Err(ImportError::NoAccount(_))));
    let nowhere = import.run(root.join("cur"), EMAIL, &Unwatched).await;
    assert!(matches!(nowhere, Err(ImportError::Tree { .. })));
    assert_eq!(house.bodies(), 0);
}

/// Who exports may write where the owner of the tree may not, and has no time for ever.
#[tokio::test]
async fn an_export_follows_no_links_in_its_tree_and_waits_for_no_pipe() {
    let house = House::new(3).await;
    house.run().await.unwrap();
    let target = TempDir::new().unwrap();
    let root = target.path().join("Maildir");
    let export = async || {
        let runtime = ServiceRuntime::start(1, 4).unwrap();
        let store = Arc::new(house.store.clone());
        let blobs = BlobPool::new(store, runtime, PoolLimits::default());
        let export = Export::new(house.index.clone(), blobs);
        export.run(EMAIL, root.clone(), &Unwatched).await
    };
    assert_eq!(export().await.unwrap().written, 3);
    let elsewhere = target.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for place in ["cur", "new", "tmp", ".Sent/cur", ".Sent"] {
        let (place, aside) = (root.join(place), target.path().join("aside"));
        fs::rename(&place, &aside).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &place).unwrap();
        let refused = export().await;
        assert!(
            matches!(refused, Err(ExportError::Occupied { .. })),
            "{place:?}: {refused:?}"
        );
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "{place:?}");
        fs::remove_file(&place).unwrap();
        fs::rename(&aside, &place).unwrap();
    }
    for name in ["dovecot-uidlist", "postrider-export"] {
        let (list, aside) = (root.join(name), target.path().join("aside"));
        fs::rename(&list, &aside).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&list).status();
        assert!(made.unwrap().success());
        let refused = tokio::time::timeout(std::time::Duration::from_secs(30), export());
        let refused = refused.await.expect("waits for nobody");
        assert!(
            matches!(refused, Err(ExportError::Disk { .. })),
            "{name}: {refused:?}"
        );
        fs::remove_file(&list).unwrap();
        fs::rename(&aside, &list).unwrap();
    }
    assert_eq!(export().await.unwrap().before, 3);
    // The folder itself may be a link: whoever runs it named it.
    fs::rename(&root, target.path().join("real")).unwrap();
    std::os::unix::fs::symlink(target.path().join("real"), &root).unwrap();
    assert_eq!(export().await.unwrap().before, 3);
}
