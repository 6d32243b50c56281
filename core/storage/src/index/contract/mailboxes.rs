//! Names of mailboxes: create, delete, rename, subscribe.

use std::sync::Arc;

use super::{Home, NOW, add_domain, one};
use crate::{
    Error,
    index::{
        Change, ClaimRecent, CreateMailbox, Index, MAILBOX_LIMIT, MailboxId, ModSeq, NAME_LIMIT,
        Outcome, RenewUidValidities, SpecialUse, Subscribe, Timestamp, Uid,
    },
};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    create(fresh().await).await;
    special_uses(fresh().await).await;
    delete(fresh().await).await;
    rename_trees(fresh().await).await;
    rename_inbox(fresh().await).await;
    validity_never_repeats(fresh().await).await;
    attack_43_renewed_validities_are_new(fresh().await).await;
    subscribe(fresh().await).await;
    recent(fresh().await).await;
    limit(fresh().await).await;
}

async fn create(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let id = home.create("a/b/c").await.expect("with its parents");
    let mailbox = home.mailbox(id).await;
    assert_eq!(mailbox.name, "a/b/c");
    assert_eq!(
        (mailbox.uid_next, mailbox.highest_modseq),
        (Uid(1), ModSeq(1))
    );
    assert_eq!((mailbox.first_recent, mailbox.created), (Uid(1), NOW));
    assert!(
        mailbox.uid_validity.0 >= 1_700_000_000,
        "at least the unix time"
    );
    for parent in ["a", "a/b"] {
        let found = home
            .index
            .mailbox(home.account, parent)
            .await
            .expect("reads work");
        assert!(found.expect("made").selectable);
        assert_eq!(home.create(parent).await, Err(Error::Exists("mailbox")));
    }
    assert_eq!(home.create("INBOX").await, Err(Error::Exists("mailbox")));
    home.create("INBOX/sub").await.expect("below INBOX");
    home.create("A/b").await.expect("names differ by case");
    let names = home.names().await;
    assert_eq!(names[0], "INBOX");
    assert!(names[1..].is_sorted(), "{names:?}");

    let long = "x".repeat(NAME_LIMIT + 1);
    for name in [
        "", "/", "a//b", "/a", "a/", "inbox", "Inbox/x", "a\0b", "a\nb", &long,
    ] {
        let refused = home.create(name).await;
        assert!(
            matches!(refused, Err(Error::Invalid(_))),
            "{name:?}: {refused:?}"
        );
    }
    home.create(&"x".repeat(NAME_LIMIT))
        .await
        .expect("as long as may be");
}

async fn special_uses(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let create = |name: &str, special_use| {
        Change::CreateMailbox(CreateMailbox {
            account: home.account,
            name: name.to_owned(),
            special_use,
            now: NOW,
        })
    };
    let refused = home.one(create("Sent2", Some(SpecialUse::Sent))).await;
    assert_eq!(refused, Err(Error::Exists("special use")));
    home.delete("Sent").await.expect("deleted");
    home.one(create("x/Sent2", Some(SpecialUse::Sent)))
        .await
        .expect("free now");
    let uses: Vec<_> = home
        .index
        .mailboxes(home.account)
        .await
        .expect("reads work");
    let sent: Vec<_> = uses
        .iter()
        .filter(|it| it.special_use == Some(SpecialUse::Sent))
        .collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].name, "x/Sent2");
    // It goes along with a rename, and another account is not concerned.
    home.rename("x/Sent2", "y").await.expect("renamed");
    let found = home
        .index
        .mailbox(home.account, "y")
        .await
        .expect("reads work");
    assert_eq!(found.expect("there").special_use, Some(SpecialUse::Sent));
    Home::add(home.index.clone(), "bob@example.test", None).await;
}

async fn delete(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    assert!(matches!(home.delete("INBOX").await, Err(Error::Invalid(_))));
    assert_eq!(home.delete("none").await, Err(Error::NotFound("mailbox")));
    let child = home.create("a/b").await.expect("made");
    let parent = home
        .index
        .mailbox(home.account, "a")
        .await
        .expect("reads work");
    let parent = parent.expect("made").id;
    home.fill(parent, "p", 3).await;
    home.fill(child, "c", 2).await;
    assert_eq!(home.account().await.used, 50);

    // With a child the name stays, but it is no mailbox any longer.
    home.delete("a").await.expect("deleted");
    assert_eq!(home.account().await.used, 20);
    assert_eq!(home.index.mailbox_by_id(parent).await, Ok(None));
    let name = home
        .index
        .mailbox(home.account, "a")
        .await
        .expect("reads work");
    let name = name.expect("the name stays");
    assert!(!name.selectable && name.special_use.is_none() && name.id > parent);
    for id in [parent, name.id] {
        assert_eq!(
            home.append(id, "x", 1).await,
            Err(Error::NotFound("mailbox"))
        );
        let read = home.index.changes(id, ModSeq(0)).await;
        assert_eq!(read, Err(Error::NotFound("mailbox")));
    }
    assert_eq!(home.delete("a").await, Err(Error::Exists("child")));
    home.check().await;

    // Made again it is a new mailbox.
    let again = home.create("a").await.expect("made again");
    let mailbox = home.mailbox(again).await;
    assert!(mailbox.selectable && mailbox.messages == 0);
    assert_eq!(home.uids(again).await, []);
    home.delete("a").await.expect("deleted again");
    home.delete("a/b").await.expect("the child");
    home.delete("a").await.expect("a name without children");
    assert_eq!(home.index.mailbox(home.account, "a").await, Ok(None));
    assert_eq!(home.account().await.used, 0);
    home.check().await;
}

async fn rename_trees(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let deep = home.create("a/b/c").await.expect("made");
    home.create("ab/c")
        .await
        .expect("a name that only begins alike");
    home.create("a0")
        .await
        .expect("what sorts after the delimiter");
    let a = home
        .index
        .mailbox(home.account, "a")
        .await
        .expect("reads work")
        .expect("made");
    home.fill(deep, "m", 2).await;
    let before = home.mailbox(deep).await;

    let id = home.rename("a", "x/y").await.expect("renamed");
    assert_eq!(id, a.id, "a mailbox keeps its row");
    let names = home.names().await;
    for name in ["x", "x/y", "x/y/b", "x/y/b/c", "ab", "ab/c", "a0"] {
        assert!(names.iter().any(|it| it == name), "{name} in {names:?}");
    }
    assert!(
        names.iter().all(|it| it != "a" && !it.starts_with("a/")),
        "{names:?}"
    );
    let mut after = home.mailbox(deep).await;
    assert_eq!(after.name, "x/y/b/c");
    after.name = before.name.clone();
    assert_eq!(after, before, "nothing but the name changed (I3)");

    assert_eq!(home.rename("x", "ab").await, Err(Error::Exists("mailbox")));
    assert_eq!(
        home.rename("x", "INBOX").await,
        Err(Error::Exists("mailbox"))
    );
    assert_eq!(home.rename("x", "x").await, Err(Error::Exists("mailbox")));
    assert_eq!(
        home.rename("none", "n").await,
        Err(Error::NotFound("mailbox"))
    );
    for to in ["", "x/y/z", "n//m", "inbox/x"] {
        let refused = home.rename("x", to).await;
        assert!(
            matches!(refused, Err(Error::Invalid(_))),
            "{to:?}: {refused:?}"
        );
    }
    // A child whose name would grow too long refuses the whole renaming.
    let long = "n".repeat(NAME_LIMIT - 3);
    let refused = home.rename("x", &long).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    assert_eq!(home.names().await, names);
    home.rename("x/y/b", "z").await.expect("out of the tree");
    home.rename("z", "x/y/b").await.expect("and back");
    assert_eq!(home.names().await, names);
    home.check().await;
}

async fn rename_inbox(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    home.create("INBOX/child").await.expect("made");
    home.fill(home.inbox, "m", 3).await;
    let modseq = home.mailbox(home.inbox).await.highest_modseq;
    let id = home.rename("INBOX", "old/mail").await.expect("renamed");
    assert_ne!(id, home.inbox);
    assert_eq!(home.uids(id).await, [Uid(1), Uid(2), Uid(3)]);
    assert_eq!(home.uids(home.inbox).await, []);
    let inbox = home.mailbox(home.inbox).await;
    assert_eq!((inbox.uid_next, inbox.name.as_str()), (Uid(4), "INBOX"));
    let seen = home
        .index
        .changes(home.inbox, modseq)
        .await
        .expect("reads work");
    assert_eq!(seen.expunged, [Uid(1), Uid(2), Uid(3)]);
    let names = home.names().await;
    for name in ["INBOX", "INBOX/child", "old", "old/mail"] {
        assert!(names.iter().any(|it| it == name), "{name} in {names:?}");
    }
    assert_eq!(home.account().await.used, 30);
    let empty = home
        .rename("INBOX", "INBOX/empty")
        .await
        .expect("below itself, for INBOX alone");
    assert_eq!(home.uids(empty).await, []);
    home.check().await;
}

async fn validity_never_repeats(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let mut last = (MailboxId(0), 0);
    // Whatever the clock says, forwards, backwards or out of range.
    for now in [
        NOW.0,
        NOW.0,
        0,
        -1,
        i64::MIN,
        NOW.0 + 90_000_000,
        NOW.0,
        i64::MAX,
    ] {
        let create = Change::CreateMailbox(CreateMailbox {
            account: home.account,
            name: "again".to_owned(),
            special_use: None,
            now: Timestamp(now),
        });
        home.one(create).await.expect("made");
        let mailbox = home
            .index
            .mailbox(home.account, "again")
            .await
            .expect("reads work");
        let mailbox = mailbox.expect("there");
        assert!((mailbox.id, mailbox.uid_validity.0) > last && mailbox.uid_validity.0 > last.1);
        last = (mailbox.id, mailbox.uid_validity.0);
        home.delete("again").await.expect("deleted");
    }
}

/// What clients know of every mailbox is no more, and nothing else changes.
async fn attack_43_renewed_validities_are_new(index: Arc<dyn Index>) {
    let home = Home::new(index.clone(), None).await;
    let bob = Home::add(index, "bob@example.test", None).await;
    home.create("a/b").await.expect("made");
    let uids = home.fill(home.inbox, "m", 3).await;
    for now in [NOW, Timestamp(0), Timestamp(i64::MIN)] {
        let (before, account) = (home.validities().await, home.account().await);
        let highest = before.iter().max().copied().unwrap_or_default();
        let (other, generation) = (bob.validities().await, home.index.generation().await);
        let renew = Change::RenewUidValidities(RenewUidValidities { now });
        assert_eq!(home.one(renew).await, Ok(Outcome::Done));
        let after = home.validities().await;
        assert_eq!(after.len(), before.len());
        assert!(after.iter().all(|it| *it > highest), "{before:?} {after:?}");
        let once: std::collections::BTreeSet<_> = after.iter().collect();
        assert_eq!(once.len(), after.len(), "each is one mailbox's alone");
        let now = bob.validities().await;
        assert!(now.iter().zip(&other).all(|(now, then)| now > then));
        assert_eq!(home.uids(home.inbox).await, uids);
        assert_eq!(home.account().await.version, account.version + 1);
        let now = home.index.generation().await;
        assert!(now.expect("reads work") > generation.expect("reads work"));
        // And what comes then is above them all.
        let id = home.create("next").await.expect("made");
        let next = home.mailbox(id).await.uid_validity;
        assert!(after.iter().all(|it| *it < next.0), "{after:?} {next:?}");
        home.delete("next").await.expect("deleted");
    }
    home.check().await;
}

async fn subscribe(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let change = |name: &str, subscribed| {
        Change::Subscribe(Subscribe {
            account: home.account,
            name: name.to_owned(),
            subscribed,
        })
    };
    home.one(change("not/there", true))
        .await
        .expect("need not exist");
    home.one(change("not/there", true))
        .await
        .expect("twice is once");
    home.one(change("Sent", false)).await.expect("off");
    home.one(change("Sent", false))
        .await
        .expect("twice is once");
    let names = home
        .index
        .subscriptions(home.account)
        .await
        .expect("reads work");
    assert_eq!(
        names,
        ["Archive", "Drafts", "INBOX", "Junk", "Trash", "not/there"]
    );
    home.delete("Trash").await.expect("deleted");
    let after = home
        .index
        .subscriptions(home.account)
        .await
        .expect("reads work");
    assert_eq!(after, names, "a subscription outlives its mailbox");
    let long = "x".repeat(NAME_LIMIT + 1);
    for name in ["", "a\0", &long] {
        let refused = home.one(change(name, true)).await;
        assert!(
            matches!(refused, Err(Error::Invalid(_))),
            "{name:?}: {refused:?}"
        );
    }
}

async fn recent(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let claim = async || {
        let mailbox = home.inbox;
        home.one(Change::ClaimRecent(ClaimRecent { mailbox })).await
    };
    assert_eq!(claim().await, Ok(Outcome::Recent(Uid(1))));
    home.fill(home.inbox, "m", 3).await;
    assert_eq!(claim().await, Ok(Outcome::Recent(Uid(1))));
    assert_eq!(
        claim().await,
        Ok(Outcome::Recent(Uid(4))),
        "each is recent once"
    );
    home.fill(home.inbox, "n", 1).await;
    assert_eq!(claim().await, Ok(Outcome::Recent(Uid(4))));
    let mailbox = MailboxId(i64::MAX);
    let gone = home.one(Change::ClaimRecent(ClaimRecent { mailbox })).await;
    assert_eq!(gone, Err(Error::NotFound("mailbox")));
}

async fn limit(index: Arc<dyn Index>) {
    one(&*index, add_domain("example.test"))
        .await
        .expect("a domain");
    let home = Home::add(index, "ada@example.test", None).await;
    let present = home.names().await.len() as u64;
    let create = |nth: u64| {
        Change::CreateMailbox(CreateMailbox {
            account: home.account,
            name: format!("m{nth}"),
            special_use: None,
            now: NOW,
        })
    };
    // Not in one transaction: a row that is written anew thousands of times in one is looked for among all that it was.
    let all: Vec<_> = (present..MAILBOX_LIMIT - 1).map(create).collect();
    for some in all.chunks(200) {
        let answers = home.index.apply(some.to_vec()).await;
        assert!(answers.iter().all(Result::is_ok));
    }
    let full = Err(Error::Limit {
        what: "mailboxes",
        limit: MAILBOX_LIMIT,
    });
    // One more has room, but not with a parent.
    assert_eq!(home.create("p/q").await, full);
    assert_eq!(home.index.mailbox(home.account, "p").await, Ok(None));
    home.create("p").await.expect("the last");
    assert_eq!(home.create("q").await, full);
    assert_eq!(home.rename("INBOX", "q").await, full);
    assert_eq!(home.rename("p", "q/p").await, full);
    home.rename("p", "q").await.expect("a rename needs no room");
}
