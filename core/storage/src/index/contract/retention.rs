//! What POP3 retrieved, when it goes, and how large it says that it is.

use std::sync::Arc;

use super::{Home, NOW, body, later, one};
use crate::{
    Error,
    index::{
        Account, AccountId, Append, Change, CopyMode, ExpungeWhich, Flags, Index, MailboxId,
        NewBlob, Outcome, Overdue, Retention, Retrieved, SetRetention, Uid,
    },
};

const DAY: i64 = 86_400_000_000;
const WEEK: Retention = Retention::Days(7);

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    the_first_retrieval_counts(Home::new(fresh().await, None).await).await;
    accounts_have_their_own(Home::new(fresh().await, None).await).await;
    only_inbox_is_a_maildrop(Home::new(fresh().await, None).await).await;
    pages(Home::new(fresh().await, None).await).await;
    sizes_as_lines(Home::new(fresh().await, None).await).await;
}

impl Home {
    async fn retrieved(&self, uids: &[u32], at: i64) -> Result<Outcome, Error> {
        let change = Retrieved {
            account: self.account,
            mailbox: self.inbox,
            uids: uids.iter().map(|uid| Uid(*uid)).collect(),
            now: later(at),
        };
        one(&*self.index, Change::Retrieved(change)).await
    }

    async fn keep(&self, retention: Option<Retention>) -> Result<Outcome, Error> {
        let change = SetRetention {
            account: self.account,
            retention,
            now: NOW,
        };
        one(&*self.index, Change::SetRetention(change)).await
    }

    /// UIDs that go at a time, where accounts that say nothing keep so long.
    async fn overdue(&self, default: Retention, at: i64) -> Vec<u32> {
        let overdue = self.index.overdue(default, AccountId(0), later(at), 100);
        let overdue = overdue.await.expect("reads work");
        let of_inbox = |it: &Overdue| (it.account, it.mailbox) == (self.account, self.inbox);
        assert!(overdue.iter().all(of_inbox), "{overdue:?}");
        overdue.iter().map(|it| it.uid.0).collect()
    }

    async fn three(&self) {
        for name in ["one", "two", "three"] {
            self.append(self.inbox, name, 10).await.expect("room");
        }
    }
}

async fn the_first_retrieval_counts(home: Home) {
    home.three().await;
    assert_eq!(home.overdue(WEEK, 1000 * DAY).await, [0_u32; 0]);
    assert_eq!(home.retrieved(&[1, 3, 9], 0).await, Ok(Outcome::Done));
    assert_eq!(home.retrieved(&[1, 2], DAY).await, Ok(Outcome::Done));
    assert_eq!(home.overdue(WEEK, 7 * DAY - 1).await, [0_u32; 0]);
    assert_eq!(home.overdue(WEEK, 7 * DAY).await, [1, 3]);
    assert_eq!(home.overdue(WEEK, 8 * DAY).await, [1, 2, 3]);
    assert_eq!(home.overdue(Retention::Never, 800 * DAY).await, [0_u32; 0]);
    let highest = home.index.mailbox_by_id(home.inbox).await;
    let highest = highest.expect("reads work").expect("there").highest_modseq;
    assert_eq!(highest.0, 4, "no client sees that it was retrieved");

    home.expunge(home.inbox, ExpungeWhich::Exactly(vec![Uid(1), Uid(3)]), NOW)
        .await
        .expect("there");
    assert_eq!(home.overdue(WEEK, 8 * DAY).await, [2]);
    let missing = MailboxId(999);
    let nowhere = Home {
        inbox: missing,
        ..home.clone()
    };
    let error = nowhere.retrieved(&[1], 0).await;
    assert_eq!(error, Err(Error::NotFound("mailbox")));
}

async fn accounts_have_their_own(home: Home) {
    home.three().await;
    home.retrieved(&[1, 2, 3], 0).await.expect("there");
    let kept = async || home.account().await.pop3_retention;
    assert_eq!(kept().await, None);
    let before: Account = home.account().await;
    for (own, day, gone) in [
        (Some(Retention::Days(1)), 1, 3),
        (Some(Retention::Days(30)), 29, 0),
        (Some(Retention::Days(30)), 30, 3),
        (Some(Retention::Never), 30_000, 0),
        (None, 7, 3),
    ] {
        assert_eq!(home.keep(own).await, Ok(Outcome::Done));
        assert_eq!(kept().await, own);
        assert_eq!(home.overdue(WEEK, day * DAY).await.len(), gone, "{own:?}");
    }
    assert_eq!(home.account().await, before, "the login stays good");
    for wrong in [0, 36_501] {
        let refused = home.keep(Some(Retention::Days(wrong))).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    let gone = Home {
        account: AccountId(999),
        ..home.clone()
    };
    let error = gone.keep(None).await;
    assert_eq!(error, Err(Error::NotFound("account")));
}

async fn only_inbox_is_a_maildrop(home: Home) {
    home.three().await;
    home.retrieved(&[1, 2, 3], 0).await.expect("there");
    let archive = home.index.mailbox(home.account, "Archive").await;
    let archive = archive.expect("reads work").expect("there").id;
    home.copy(home.inbox, &[Uid(1)], archive, CopyMode::Move)
        .await
        .expect("room");
    home.copy(home.inbox, &[Uid(2)], home.inbox, CopyMode::Copy)
        .await
        .expect("room");
    assert_eq!(home.overdue(WEEK, 7 * DAY).await, [2, 3]);
    home.rename("INBOX", "Old").await.expect("renamed");
    assert_eq!(home.overdue(WEEK, 70 * DAY).await, [0_u32; 0]);
}

async fn pages(home: Home) {
    let other = Home::add(home.index.clone(), "bob@example.test", None).await;
    for home in [&home, &other] {
        let name = format!("of {}", home.account.0);
        home.append(home.inbox, &name.replace(' ', ""), 10)
            .await
            .expect("room");
        home.append(home.inbox, &(name.replace(' ', "") + "b"), 10)
            .await
            .expect("room");
        home.retrieved(&[1, 2], 0).await.expect("there");
    }
    let page = async |after: AccountId, limit| {
        let overdue = home.index.overdue(WEEK, after, later(7 * DAY), limit).await;
        let overdue = overdue.expect("reads work");
        let ids = overdue.iter().map(|it| (it.account, it.uid.0));
        ids.collect::<Vec<_>>()
    };
    let (first, second) = (home.account, other.account);
    let all = [(first, 1), (first, 2), (second, 1), (second, 2)];
    assert_eq!(page(AccountId(0), 100).await, all);
    assert_eq!(page(AccountId(0), 3).await, all[..3]);
    assert_eq!(page(first, 3).await, all[2..]);
    assert_eq!(page(second, 3).await, []);
}

async fn sizes_as_lines(home: Home) {
    let archive = home.index.mailbox(home.account, "Archive").await;
    let archive = archive.expect("reads work").expect("there").id;
    for (name, line_size) in [("same", 10), ("more", 12), ("less", 10), ("much", 99)] {
        let append = Append {
            account: home.account,
            mailbox: home.inbox,
            blob: NewBlob {
                line_size,
                ..body(name, 10)
            },
            flags: Flags::default(),
            keywords: Vec::new(),
            internal_date: NOW,
            now: NOW,
        };
        home.one(Change::Append(append)).await.expect("room");
    }
    let of = async |mailbox| home.index.line_sizes(mailbox).await;
    assert_eq!(of(home.inbox).await, Ok(vec![(Uid(2), 12), (Uid(4), 99)]));
    home.copy(home.inbox, &[Uid(3), Uid(4)], archive, CopyMode::Copy)
        .await
        .expect("room");
    assert_eq!(of(archive).await, Ok(vec![(Uid(2), 99)]));
    home.expunge(home.inbox, ExpungeWhich::Exactly(vec![Uid(2)]), NOW)
        .await
        .expect("there");
    assert_eq!(of(home.inbox).await, Ok(vec![(Uid(4), 99)]));
    assert_eq!(of(MailboxId(999)).await, Ok(Vec::new()));
    let size = home.account().await.used;
    assert_eq!(size, 50, "the quota counts what lies in the store");
}
