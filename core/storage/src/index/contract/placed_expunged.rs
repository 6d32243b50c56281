//! Messages that were expunged elsewhere can be brought back here as they could be there, and go when their time comes (I10).

use std::sync::Arc;

use super::{Home, NOW, body, later, one, places::message};
use crate::{
    Error,
    index::{
        Change, ExpungeWhich, ExpungedFrom, Flags, Forget, Index, KEYWORD_LIMIT, MailboxId, ModSeq,
        Outcome, PLACED_AT_ONCE, PlaceExpunged, PlacedExpunged, Reap, Repeat, StoreMode, Uid,
    },
};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    they_come_as_they_were(Home::new(fresh().await, Some(5)).await).await;
    mailboxes_that_are_gone_come_with_their_names(Home::new(fresh().await, None).await).await;
    nobody_needs_to_know_where_they_were(Home::new(fresh().await, None).await).await;
    who_came_back_or_lives_stays(Home::new(fresh().await, None).await).await;
    their_time_goes_on(Home::new(fresh().await, None).await).await;
    bodies_are_shared(Home::new(fresh().await, None).await).await;
    no_session_hears_of_them(Home::new(fresh().await, None).await).await;
    attack_43_numbers_stay_given_once(Home::new(fresh().await, None).await).await;
    all_or_none(Home::new(fresh().await, None).await).await;
}

impl Home {
    async fn bring_expunged(
        &self,
        from: &ExpungedFrom,
        messages: Vec<PlacedExpunged>,
    ) -> Result<Vec<Option<Uid>>, Error> {
        let change = PlaceExpunged {
            account: self.account,
            from: from.clone(),
            messages,
        };
        match one(&*self.index, Change::PlaceExpunged(change)).await? {
            Outcome::Placed(placed) => Ok(placed),
            other => panic!("placed messages brought {other:?}"),
        }
    }

    /// INBOX, as if it had given a hundred UIDs elsewhere.
    async fn settled(&self) -> ExpungedFrom {
        let mut place = self.place("INBOX");
        place.uid_next = Uid(101);
        let id = self.placed(place).await.expect("taken over");
        ExpungedFrom::There(id)
    }

    async fn reap(&self, before: i64) -> Vec<String> {
        let before = later(before);
        let reap = Change::Reap(Reap { before, limit: 100 });
        let Ok(Outcome::Doomed(doomed)) = self.one(reap).await else {
            panic!("a round of the reaper failed");
        };
        let blobs = doomed.iter().map(|it| it.id).collect();
        let forget = Change::Forget(Forget { blobs });
        self.one(forget).await.expect("doomed");
        let names = doomed.iter().map(|it| it.key.as_str());
        let names = names.map(|it| it.rsplit('/').next().unwrap_or(it).to_owned());
        names.collect()
    }
}

fn gone(uid: u32, name: &str) -> PlacedExpunged {
    PlacedExpunged {
        uid: Uid(uid),
        modseq: ModSeq(4_000),
        blob: body(name, 10),
        flags: Flags(Flags::SEEN.0 | Flags::DELETED.0),
        keywords: Vec::new(),
        internal_date: later(-5),
        expunged: later(3),
    }
}

fn keywords(names: &[&str]) -> Vec<String> {
    names.iter().map(|it| (*it).to_owned()).collect()
}

fn name(name: &str, uid: u32) -> (Option<String>, u32) {
    (Some(name.to_owned()), uid)
}

async fn they_come_as_they_were(home: Home) {
    let inbox = home.settled().await;
    let before = home.mailbox(home.inbox).await;
    let mut first = PlacedExpunged {
        keywords: keywords(&["$Work", "later"]),
        flags: Flags(u64::MAX),
        ..gone(7, "seven")
    };
    first.blob.line_size = 12;
    let both = vec![first, gone(9, "nine")];
    // The quota of 5 octets does not count them.
    let placed = home.bring_expunged(&inbox, both.clone()).await;
    assert_eq!(placed, Ok(vec![Some(Uid(7)), Some(Uid(9))]));
    let found = home.recoverable().await;
    assert_eq!(home.deleted().await, [name("INBOX", 7), name("INBOX", 9)]);
    let seven = &found[0];
    assert_eq!((seven.there, seven.deleted), (true, None));
    assert_eq!((seven.flags, seven.modseq), (Flags::SYSTEM, ModSeq(4_000)));
    assert_eq!(seven.keywords, ["$Work", "later"]);
    assert_eq!((seven.size, seven.line_size), (10, 12));
    assert_eq!(
        (seven.internal_date, seven.expunged),
        (later(-5), later(3)),
        "its time goes on"
    );
    assert_eq!(
        (&seven.body.key, seven.body.sha256),
        (&both[0].blob.key, both[0].blob.sha256)
    );
    assert_eq!(seven.summary, b"summary of seven");
    assert_eq!(found[1].keywords, [""; 0]);
    assert_eq!(home.account().await.used, 0);
    assert_eq!(home.mailbox(home.inbox).await, before, "nothing else moved");
    // Again, and with one more.
    let mut more = both;
    more.insert(1, gone(8, "eight"));
    let again = home.bring_expunged(&inbox, more).await;
    assert_eq!(again, Ok(vec![None, Some(Uid(8)), None]));
    assert_eq!(home.recoverable().await.len(), 3);
    // Bringing back is bringing back, quota and all.
    let refused = home.restore(home.inbox, &[Uid(7)], home.inbox).await;
    assert!(matches!(refused, Err(Error::OverQuota { .. })));
    home.check().await;
}

async fn mailboxes_that_are_gone_come_with_their_names(home: Home) {
    let of = |name: &str, deleted| ExpungedFrom::Gone {
        name: name.to_owned(),
        deleted: later(deleted),
    };
    let with = |uid, name, words: &[&str]| PlacedExpunged {
        keywords: keywords(words),
        ..gone(uid, name)
    };
    let first = vec![with(1, "a1", &["one", "two"]), with(2, "a2", &["two"])];
    let placed = home.bring_expunged(&of("a", 5), first.clone()).await;
    assert_eq!(placed, Ok(vec![Some(Uid(1)), Some(Uid(2))]));
    // Another one of that name, with the same UIDs; and more of the first, with a keyword that is new.
    let other = vec![with(1, "b1", &["x"])];
    home.bring_expunged(&of("a", 6), other.clone())
        .await
        .expect("placed");
    let more = vec![first[1].clone(), with(3, "a3", &["ONE", "three"])];
    let placed = home.bring_expunged(&of("a", 5), more).await;
    assert_eq!(placed, Ok(vec![None, Some(Uid(3))]));
    // A mailbox of that name that is there is another one.
    let there = home.create("a").await.expect("made");
    let twice = home.bring_expunged(&of("a", 6), other).await;
    assert_eq!(twice, Ok(vec![None]));
    let found = home.recoverable().await;
    let places = found.iter().map(|it| (it.deleted, it.uid.0));
    assert_eq!(
        places.collect::<Vec<_>>(),
        [
            (Some(later(5)), 1),
            (Some(later(5)), 2),
            (Some(later(5)), 3),
            (Some(later(6)), 1)
        ]
    );
    assert!(
        found
            .iter()
            .all(|it| !it.there && it.name.as_deref() == Some("a"))
    );
    let words: Vec<String> = found.iter().map(|it| it.keywords.join(" ")).collect();
    assert_eq!(words, ["one two", "two", "one three", "x"]);
    assert_eq!(home.uids(there).await, []);
    // They come back with their keywords, and another account has none of this.
    let back = home
        .restore(found[0].mailbox, &[Uid(1), Uid(3)], there)
        .await;
    assert_eq!(back.expect("room").to, [Uid(1), Uid(2)]);
    assert_eq!(home.keywords_of(there, Uid(2)).await, ["one", "three"]);
    let bob = Home::add(home.index.clone(), "bob@example.test", None).await;
    assert_eq!(bob.deleted().await, [], "I6");
    let stolen = bob.bring_expunged(&of("a", 5), first).await;
    assert_eq!(stolen, Err(Error::Exists("blob")), "I6");
    let many = (0..=KEYWORD_LIMIT).map(|nth| format!("k{nth}")).collect();
    let full = PlacedExpunged {
        keywords: many,
        ..gone(1, "full")
    };
    let refused = home.bring_expunged(&of("full", 5), vec![full]).await;
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
    home.check().await;
}

async fn nobody_needs_to_know_where_they_were(home: Home) {
    let unknown = ExpungedFrom::Unknown;
    let with_keywords = PlacedExpunged {
        keywords: keywords(&["lost"]),
        ..gone(2, "b")
    };
    let two = || vec![gone(1, "a"), with_keywords.clone()];
    let placed = home.bring_expunged(&unknown, two()).await;
    assert_eq!(placed, Ok(vec![Some(Uid(1)), Some(Uid(2))]));
    // The same UID of another body, or of another time, was in another mailbox.
    let late = PlacedExpunged {
        expunged: later(4),
        ..gone(1, "a")
    };
    for other in [late, gone(1, "c")] {
        let placed = home.bring_expunged(&unknown, vec![other.clone()]).await;
        assert_eq!(placed, Ok(vec![Some(Uid(1))]));
        let again = home.bring_expunged(&unknown, vec![other]).await;
        assert_eq!(again, Ok(vec![None]));
    }
    let again = home.bring_expunged(&unknown, two()).await;
    assert_eq!(again, Ok(vec![None, None]));
    let found = home.recoverable().await;
    assert_eq!(found.len(), 4);
    assert!(
        found
            .iter()
            .all(|it| it.name.is_none() && !it.there && it.keywords.is_empty())
    );
    let from = found[0].mailbox;
    let back = home.restore(from, &[Uid(1)], home.inbox).await;
    assert_eq!(back.expect("room").from, [Uid(1)]);
    let again = home.bring_expunged(&unknown, two()).await;
    assert_eq!(again, Ok(vec![None, None]), "it is back, and comes once");
    home.check().await;
}

async fn who_came_back_or_lives_stays(home: Home) {
    let inbox = home.settled().await;
    let all = || (1..=3).map(|uid| gone(uid, &format!("m{uid}"))).collect();
    home.bring_expunged(&inbox, all()).await.expect("placed");
    home.restore(home.inbox, &[Uid(2)], home.inbox)
        .await
        .expect("room");
    // Gone again: its new UID is another message's matter.
    let which = ExpungeWhich::Exactly(vec![Uid(101)]);
    home.expunge(home.inbox, which, later(9))
        .await
        .expect("gone");
    home.append(home.inbox, "new", 10).await.expect("room");
    let mut again: Vec<PlacedExpunged> = all();
    again.extend([gone(101, "m4"), gone(102, "m4")]);
    let placed = home.bring_expunged(&inbox, again).await;
    assert_eq!(placed, Ok(vec![None; 5]), "nothing is doubled or replaced");
    let expected = [name("INBOX", 1), name("INBOX", 3), name("INBOX", 101)];
    assert_eq!(home.deleted().await, expected);
    assert_eq!(home.recoverable().await[2].expunged, later(9));
    assert_eq!(home.uids(home.inbox).await, [Uid(102)]);
    home.check().await;
}

async fn their_time_goes_on(home: Home) {
    let inbox = home.settled().await;
    let late = PlacedExpunged {
        expunged: later(10),
        ..gone(2, "late")
    };
    home.bring_expunged(&inbox, vec![gone(1, "early"), late])
        .await
        .expect("placed");
    let from = ExpungedFrom::Gone {
        name: "a".to_owned(),
        deleted: later(1),
    };
    home.bring_expunged(&from, vec![gone(1, "gone")])
        .await
        .expect("placed");
    assert_eq!(home.reap(3).await, [""; 0], "not before");
    assert_eq!(home.recoverable().await.len(), 3);
    let mut doomed = home.reap(4).await;
    doomed.sort();
    assert_eq!(doomed, ["early", "gone"]);
    assert_eq!(home.deleted().await, [name("INBOX", 2)]);
    assert_eq!(home.reap(11).await, ["late"]);
    assert_eq!(home.deleted().await, []);
    let known = home.index.known_bodies(&[body("late", 10).key]).await;
    assert_eq!(known, Ok(Vec::new()), "nothing is left");
    home.check().await;
}

async fn bodies_are_shared(home: Home) {
    let inbox = home.settled().await;
    let other = home.create("other").await.expect("made");
    let live = message(1, "shared");
    home.bring(other, Repeat::Uid, vec![live])
        .await
        .expect("placed");
    // One body, two that went and one that is there; one body, twice in one change.
    let all = vec![
        gone(1, "shared"),
        gone(2, "shared"),
        gone(3, "twice"),
        gone(4, "twice"),
    ];
    home.bring_expunged(&inbox, all).await.expect("placed");
    let found = home.recoverable().await;
    assert_eq!(found[0].body.id, found[1].body.id);
    assert_eq!(found[2].body.id, found[3].body.id);
    assert_eq!(home.reap(4).await, ["twice"]);
    let there = home
        .index
        .blobs(other, &[Uid(1)])
        .await
        .expect("reads work");
    assert_eq!(there.len(), 1, "I2");
    // What is there went as well: it comes as the body that it was.
    let which = ExpungeWhich::Exactly(vec![Uid(1)]);
    home.expunge(other, which, later(20)).await.expect("there");
    assert_eq!(home.reap(21).await, ["shared"]);
    home.check().await;
}

async fn no_session_hears_of_them(home: Home) {
    let inbox = home.settled().await;
    home.bring(home.inbox, Repeat::Uid, vec![message(101, "m")])
        .await
        .expect("placed");
    let before = home.mailbox(home.inbox).await;
    let since = ModSeq(before.highest_modseq.0);
    let placed = home.bring_expunged(&inbox, vec![gone(7, "seven")]).await;
    assert_eq!(placed, Ok(vec![Some(Uid(7))]));
    let news = home.index.changes(home.inbox, since).await;
    let news = news.expect("reads work");
    assert_eq!((news.changed, news.expunged), (Vec::new(), Vec::new()));
    assert_eq!(news.highest_modseq, since.0);
}

async fn attack_43_numbers_stay_given_once(home: Home) {
    let inbox = home.settled().await;
    for wrong in [
        gone(101, "not.given"),
        gone(0, "no.uid"),
        PlacedExpunged {
            modseq: ModSeq(5_001),
            ..gone(1, "not.yet")
        },
        PlacedExpunged {
            modseq: ModSeq(u64::MAX),
            ..gone(1, "no.modseq")
        },
    ] {
        let refused = home.bring_expunged(&inbox, vec![wrong]).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    for wrong in [
        vec![gone(2, "two"), gone(1, "one")],
        vec![gone(1, "one"), gone(1, "one")],
    ] {
        let refused = home.bring_expunged(&inbox, wrong).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    let count = u32::try_from(PLACED_AT_ONCE).expect("small");
    let many = |count| {
        (1..=count)
            .map(|uid| gone(uid, &format!("m{uid}")))
            .collect()
    };
    let refused = home
        .bring_expunged(&ExpungedFrom::Unknown, many(count + 1))
        .await;
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
    let placed = home
        .bring_expunged(&ExpungedFrom::Unknown, many(count))
        .await;
    assert_eq!(placed.expect("placed").len(), PLACED_AT_ONCE);
    let appended = home.append(home.inbox, "next", 10).await.expect("room");
    assert_eq!(appended.uid, Uid(101));
    let unnamed = ExpungedFrom::Gone {
        name: "a//b".to_owned(),
        deleted: NOW,
    };
    let refused = home.bring_expunged(&unnamed, vec![gone(1, "x")]).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

async fn all_or_none(home: Home) {
    let inbox = home.settled().await;
    let bob = Home::add(home.index.clone(), "bob@example.test", None).await;
    bob.append(bob.inbox, "his", 10).await.expect("room");
    let stolen = vec![gone(1, "mine"), gone(2, "his")];
    let refused = home.bring_expunged(&inbox, stolen).await;
    assert_eq!(refused, Err(Error::Exists("blob")));
    let mut other = gone(2, "twice");
    other.blob.size += 1;
    let refused = home
        .bring_expunged(&inbox, vec![gone(1, "twice"), other])
        .await;
    assert_eq!(refused, Err(Error::Exists("blob")), "other octets");
    let refused = bob.bring_expunged(&inbox, vec![gone(1, "mine")]).await;
    assert_eq!(refused, Err(Error::NotFound("mailbox")), "not his");
    // A body that the store may delete is not named again (I2).
    let uid = home
        .append(home.inbox, "doomed", 10)
        .await
        .expect("room")
        .uid;
    let which = ExpungeWhich::Exactly(vec![uid]);
    home.expunge(home.inbox, which, NOW).await.expect("there");
    let reap = Change::Reap(Reap {
        before: later(1),
        limit: 1,
    });
    home.one(reap).await.expect("a round");
    let refused = home
        .bring_expunged(&inbox, vec![gone(1, "mine"), gone(2, "doomed")])
        .await;
    assert_eq!(refused, Err(Error::NotFound("blob")));
    let name = ExpungedFrom::There(MailboxId(999));
    let refused = home.bring_expunged(&name, vec![gone(1, "mine")]).await;
    assert_eq!(refused, Err(Error::NotFound("mailbox")));
    assert_eq!(
        (home.deleted().await, bob.deleted().await),
        (vec![], vec![])
    );
    let known = home.index.known_bodies(&[body("mine", 10).key]).await;
    assert_eq!(known, Ok(Vec::new()), "no trace");
    home.store(home.inbox, &[], StoreMode::Add, Flags(0), &[])
        .await
        .expect("it goes on");
    home.check().await;
    bob.check().await;
}
