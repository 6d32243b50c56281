//! What was deleted can be found and brought back as it was, until it is given up (I10).

use std::sync::Arc;

use super::{Home, NOW, body, later, one};
use crate::{
    Error,
    index::{
        AccountId, Append, BlobRef, Change, Copied, CopyMode, ExpungeWhich, Flags, Index,
        KEYWORD_LIMIT, MailboxId, ModSeq, Outcome, Reap, Recoverable, RemoveAccount, Restore,
        StoreMode, Uid,
    },
};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    all_that_went_is_listed(Home::new(fresh().await, None).await).await;
    keywords_come_back(Home::new(fresh().await, None).await).await;
    a_full_list_of_keywords_holds_up_nobody(Home::new(fresh().await, None).await).await;
    names_are_kept_as_long_as_messages(Home::new(fresh().await, None).await).await;
    twice_is_once(Home::new(fresh().await, None).await).await;
    attack_46_restore_races_reap(Home::new(fresh().await, None).await).await;
    a_removed_account_gets_nothing(Home::new(fresh().await, None).await).await;
}

const FIRST: (MailboxId, Uid) = (MailboxId(0), Uid(0));

impl Home {
    pub(super) async fn recoverable(&self) -> Vec<Recoverable> {
        let all = self.index.recoverable(self.account, FIRST, 1000).await;
        all.expect("reads work")
    }

    /// Mailbox names and UIDs of what can be brought back.
    pub(super) async fn deleted(&self) -> Vec<(Option<String>, u32)> {
        let all = self.recoverable().await.into_iter();
        all.map(|it| (it.name, it.uid.0)).collect()
    }

    pub(super) async fn restore(
        &self,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
    ) -> Result<Copied, Error> {
        let restore = Restore {
            account: self.account,
            from,
            uids: uids.to_vec(),
            to,
            now: later(50),
        };
        match one(&*self.index, Change::Restore(restore)).await? {
            Outcome::Copied(copied) => Ok(copied),
            other => panic!("a restore brought {other:?}"),
        }
    }

    /// The keywords of a message, sorted.
    pub(super) async fn keywords_of(&self, mailbox: MailboxId, uid: Uid) -> Vec<String> {
        let all = self.index.changes(mailbox, ModSeq(0)).await;
        let all = all.expect("reads work");
        let message = all.changed.iter().find(|it| it.uid == uid);
        let flags = message.expect("it is there").flags;
        let own = all.keywords.into_iter().enumerate();
        let own = own.filter(|(nth, _)| flags.0 & (1 << (5 + nth)) != 0);
        let mut names: Vec<String> = own.map(|(_, name)| name).collect();
        names.sort();
        names
    }
}

fn name(name: &str, uid: u32) -> (Option<String>, u32) {
    (Some(name.to_owned()), uid)
}

async fn all_that_went_is_listed(home: Home) {
    let bob = Home::add(home.index.clone(), "bob@example.test", None).await;
    let a = home.create("a").await.expect("made");
    home.fill(a, "a", 3).await;
    home.fill(home.inbox, "i", 3).await;
    let deleted = Flags(Flags::SEEN.0 | Flags::DELETED.0);
    home.store(home.inbox, &[Uid(2)], StoreMode::Add, deleted, &["$Work"])
        .await
        .expect("stored");
    home.copy(home.inbox, &[Uid(3)], a, CopyMode::Move)
        .await
        .expect("moved");
    assert_eq!(home.deleted().await, [], "what moved is not gone");
    home.expunge(home.inbox, ExpungeWhich::Deleted, later(7))
        .await
        .expect("gone");
    home.expunge(a, ExpungeWhich::Exactly(vec![Uid(1)]), later(8))
        .await
        .expect("gone");
    let found = home.recoverable().await;
    let expected = Recoverable {
        mailbox: home.inbox,
        name: Some("INBOX".to_owned()),
        there: true,
        deleted: None,
        uid: Uid(2),
        modseq: found[0].modseq,
        flags: deleted,
        keywords: vec!["$Work".to_owned()],
        size: 10,
        line_size: 10,
        internal_date: later(-5),
        expunged: later(7),
        body: BlobRef {
            id: found[0].body.id,
            key: body("i.1", 10).key,
            size: 10,
            sha256: body("i.1", 10).sha256,
        },
        summary: b"summary of i.1".to_vec(),
    };
    assert_eq!(found[0], expected);
    let inbox = home.mailbox(home.inbox).await;
    assert_eq!(found[0].modseq, inbox.highest_modseq);
    let count = async |of: &Home, since| of.index.recoverable_count(of.account, later(since)).await;
    assert_eq!(count(&home, 7).await, Ok(2));
    assert_eq!(count(&home, 8).await, Ok(1));
    assert_eq!(count(&home, 9).await, Ok(0));
    assert_eq!(count(&bob, 0).await, Ok(0), "I6");
    assert_eq!(home.deleted().await, [name("INBOX", 2), name("a", 1)]);
    // A mailbox that got another name is found under it, one that is gone under the one it had.
    home.rename("a", "b").await.expect("renamed");
    assert_eq!(home.deleted().await, [name("INBOX", 2), name("b", 1)]);
    home.delete("b").await.expect("deleted");
    let all: Vec<_> = (1..=4).map(|uid| name("b", uid)).collect();
    assert_eq!(home.deleted().await[1..], all);
    let gone = |it: &Recoverable| !it.there && it.deleted == Some(NOW);
    assert!(home.recoverable().await[1..].iter().all(gone));
    // Another one of that name is another one.
    let again = home.create("b").await.expect("made");
    home.append(again, "new", 10).await.expect("room");
    assert!(home.recoverable().await[1..].iter().all(|it| !it.there));
    // Pages.
    let page = async |after, limit| {
        let page = home.index.recoverable(home.account, after, limit).await;
        let page = page.expect("reads work").into_iter();
        page.map(|it| (it.mailbox, it.uid)).collect::<Vec<_>>()
    };
    let whole = page(FIRST, 1000).await;
    assert_eq!(whole.len(), 5);
    assert_eq!(page(FIRST, 2).await, whole[..2]);
    assert_eq!(page(whole[1], 2).await, whole[2..4]);
    assert_eq!(page(whole[4], 2).await, []);
    assert_eq!(bob.deleted().await, [], "I6");
}

async fn keywords_come_back(home: Home) {
    let a = home.create("a").await.expect("made");
    let b = home.create("b").await.expect("made");
    home.fill(a, "a", 3).await;
    let seen = Flags(Flags::SEEN.0 | Flags::DELETED.0);
    for (uid, keywords) in [(1, &["one", "two"][..]), (2, &["three"][..]), (3, &[][..])] {
        home.store(a, &[Uid(uid)], StoreMode::Add, seen, keywords)
            .await
            .expect("stored");
    }
    // There it has another number.
    home.append(b, "b", 10).await.expect("room");
    home.store(b, &[Uid(1)], StoreMode::Add, Flags(0), &["x", "TWO"])
        .await
        .expect("stored");
    home.expunge(a, ExpungeWhich::Deleted, NOW)
        .await
        .expect("gone");
    let back = home.restore(a, &[Uid(1)], a).await.expect("room");
    assert_eq!(back.to, [Uid(4)]);
    assert_eq!(home.keywords_of(a, Uid(4)).await, ["one", "two"]);
    home.expunge(a, ExpungeWhich::Exactly(vec![Uid(4)]), NOW)
        .await
        .expect("gone");
    home.delete("a").await.expect("deleted");
    let back = home.restore(a, &[Uid(2), Uid(3), Uid(4)], b).await;
    assert_eq!(back.expect("room").to, [Uid(2), Uid(3), Uid(4)]);
    assert_eq!(home.keywords_of(b, Uid(2)).await, ["three"]);
    assert_eq!(home.keywords_of(b, Uid(3)).await, [""; 0]);
    assert_eq!(home.keywords_of(b, Uid(4)).await, ["TWO", "one"]);
    let all = home.index.changes(b, ModSeq(0)).await.expect("reads work");
    let flags = all.changed.iter().map(|it| it.flags.0 & Flags::SYSTEM.0);
    let seen = Flags::SEEN.0;
    assert_eq!(flags.collect::<Vec<_>>(), [0, seen, seen, seen]);
    home.check().await;
}

async fn a_full_list_of_keywords_holds_up_nobody(home: Home) {
    let a = home.create("a").await.expect("made");
    home.append(a, "a", 10).await.expect("room");
    home.store(a, &[Uid(1)], StoreMode::Add, Flags(0), &["k7", "lost"])
        .await
        .expect("stored");
    home.expunge(a, ExpungeWhich::Exactly(vec![Uid(1)]), NOW)
        .await
        .expect("gone");
    let keywords = (0..KEYWORD_LIMIT).map(|nth| format!("k{nth}")).collect();
    let full = Append {
        keywords,
        ..home.append_of(home.inbox, body("full", 10))
    };
    home.one(Change::Append(full)).await.expect("room");
    let back = home.restore(a, &[Uid(1)], home.inbox).await;
    assert_eq!(back.expect("room").to, [Uid(2)]);
    assert_eq!(home.keywords_of(home.inbox, Uid(2)).await, ["k7"]);
}

async fn names_are_kept_as_long_as_messages(home: Home) {
    let reap = async |before, limit| {
        let before = later(before);
        let reap = Change::Reap(Reap { before, limit });
        home.one(reap).await.expect("a round");
    };
    for (mailbox, count) in [("a", 2), ("empty", 0)] {
        let id = home.create(mailbox).await.expect("made");
        home.fill(id, mailbox, count).await;
        home.delete(mailbox).await.expect("deleted");
    }
    reap(0, 10).await;
    assert_eq!(home.deleted().await, [name("a", 1), name("a", 2)]);
    // A round that does not come to its end.
    reap(1, 1).await;
    assert_eq!(home.deleted().await, [name("a", 2)]);
    reap(1, 10).await;
    assert_eq!(home.deleted().await, []);
}

async fn twice_is_once(home: Home) {
    home.fill(home.inbox, "m", 20).await;
    let uids: Vec<Uid> = (1..=20).map(Uid).collect();
    let which = ExpungeWhich::Exactly(uids.clone());
    home.expunge(home.inbox, which, NOW).await.expect("gone");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (home, uids) = (home.clone(), uids.clone());
            tokio::spawn(async move { home.restore(home.inbox, &uids, home.inbox).await })
        })
        .collect();
    let mut back = 0;
    for task in tasks {
        back += task.await.expect("no panic").expect("room").to.len();
    }
    assert_eq!(back, 20);
    assert_eq!(home.uids(home.inbox).await.len(), 20);
    assert_eq!(home.account().await.used, 200);
    assert_eq!(home.deleted().await, []);
    home.check().await;
}

/// Attack 46: who comes back while the reaper goes round has its body, and whose body goes does not come back.
async fn attack_46_restore_races_reap(home: Home) {
    home.fill(home.inbox, "m", 40).await;
    let uids: Vec<Uid> = (1..=40).map(Uid).collect();
    let which = ExpungeWhich::Exactly(uids.clone());
    home.expunge(home.inbox, which, NOW).await.expect("gone");
    let reapers: Vec<_> = (0..10)
        .map(|_| {
            let home = home.clone();
            let before = later(1000);
            let reap = Change::Reap(Reap { before, limit: 2 });
            tokio::spawn(async move { home.one(reap).await })
        })
        .collect();
    let mut back = 0;
    for pair in uids.chunks(2).rev() {
        let restored = home.restore(home.inbox, pair, home.inbox).await;
        back += restored.expect("room").to.len();
    }
    for reaper in reapers {
        reaper.await.expect("no panic").expect("a round");
    }
    let there = home.uids(home.inbox).await;
    assert_eq!(there.len(), back);
    assert!(back >= 20, "at most twenty were given up");
    let bodies = home.index.blobs(home.inbox, &there).await;
    assert_eq!(bodies.expect("reads work").len(), back, "I2");
    home.check().await;
}

async fn a_removed_account_gets_nothing(home: Home) {
    home.fill(home.inbox, "m", 1).await;
    let which = ExpungeWhich::Exactly(vec![Uid(1)]);
    home.expunge(home.inbox, which, NOW).await.expect("gone");
    let (account, now) = (home.account, NOW);
    let remove = Change::RemoveAccount(RemoveAccount { account, now });
    home.one(remove).await.expect("there");
    let refused = home.restore(home.inbox, &[Uid(1)], home.inbox).await;
    assert_eq!(refused, Err(Error::NotFound("account")));
    // Nor does who gets the address after.
    let heir = Home::add(home.index.clone(), "ada2@example.test", None).await;
    assert_ne!(heir.account, home.account);
    let stolen = heir.restore(home.inbox, &[Uid(1)], heir.inbox).await;
    assert_eq!(stolen.expect("nothing").to, []);
    assert!(heir.account > AccountId(0) && heir.deleted().await.is_empty());
}
