//! One session an account has the maildrop, and what others must not do meanwhile.

use std::sync::Arc;

use super::{Home, later, one};
use crate::{
    Error,
    index::{
        Account, AccountId, Change, Expunge, ExpungeMaildrop, ExpungeWhich, Hold, HoldMaildrop,
        Index, MaildropBy, Outcome, RemoveAccount, Uid,
    },
};

const TAKEN: Result<Outcome, Error> = Err(Error::Exists("maildrop"));
const LOST: Result<Outcome, Error> = Err(Error::NotFound("maildrop lease"));

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    one_session_has_it(Home::new(fresh().await, None).await).await;
    what_was_lost_is_not_kept(Home::new(fresh().await, None).await).await;
    only_its_holder_expunges(Home::new(fresh().await, None).await).await;
    nobody_expunges_while_it_is_held(Home::new(fresh().await, None).await).await;
    it_goes_with_its_account(Home::new(fresh().await, None).await).await;
}

impl Home {
    async fn hold(&self, holder: &str, hold: Hold, now: i64) -> Result<Outcome, Error> {
        let change = HoldMaildrop {
            account: self.account,
            holder: holder.to_owned(),
            hold,
            now: later(now),
        };
        one(&*self.index, Change::HoldMaildrop(change)).await
    }

    async fn take(&self, holder: &str, now: i64, until: i64) -> Result<Outcome, Error> {
        self.hold(holder, Hold::Take(later(until)), now).await
    }

    async fn expunge_maildrop(
        &self,
        uid: u32,
        by: MaildropBy,
        now: i64,
    ) -> Result<Vec<u32>, Error> {
        let change = ExpungeMaildrop {
            expunge: Expunge {
                account: self.account,
                mailbox: self.inbox,
                which: ExpungeWhich::Exactly(vec![Uid(uid)]),
                now: later(now),
            },
            by,
        };
        match one(&*self.index, Change::ExpungeMaildrop(change)).await? {
            Outcome::Expunged(gone) => Ok(gone.uids.iter().map(|it| it.0).collect()),
            other => panic!("an expunge brought {other:?}"),
        }
    }
}

fn by(holder: &str) -> MaildropBy {
    MaildropBy::Holder(holder.to_owned())
}

async fn one_session_has_it(home: Home) {
    let other = Home::add(home.index.clone(), "bob@example.test", None).await;
    let before: Account = home.account().await;
    let generation = home.index.generation().await.expect("reads work");
    assert_eq!(home.take("one", 0, 10).await, Ok(Outcome::Done));
    assert_eq!(home.take("two", 9, 19).await, TAKEN);
    assert_eq!(other.take("two", 9, 19).await, Ok(Outcome::Done));
    let prolonged = home.hold("one", Hold::Prolong(later(20)), 9).await;
    assert_eq!(prolonged, Ok(Outcome::Done));
    assert_eq!(home.take("two", 19, 30).await, TAKEN);
    // What is another's cannot be given back.
    assert_eq!(home.hold("two", Hold::Release, 19).await, Ok(Outcome::Done));
    assert_eq!(home.take("two", 19, 30).await, TAKEN);
    assert_eq!(home.hold("one", Hold::Release, 19).await, Ok(Outcome::Done));
    assert_eq!(home.take("two", 19, 30).await, Ok(Outcome::Done));
    assert_eq!(
        home.take("three", 30, 40).await,
        Ok(Outcome::Done),
        "it ended"
    );
    assert_eq!(home.account().await, before, "the login stays good");
    assert_eq!(home.index.generation().await, Ok(generation));
    let refused = home.take("", 50, 60).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    let nobody = Home {
        account: AccountId(999),
        ..home.clone()
    };
    let refused = nobody.take("one", 0, 10).await;
    assert_eq!(refused, Err(Error::NotFound("account")));
}

async fn what_was_lost_is_not_kept(home: Home) {
    home.take("one", 0, 10).await.expect("free");
    // Its time is over, but nobody came.
    let prolonged = home.hold("one", Hold::Prolong(later(30)), 20).await;
    assert_eq!(prolonged, Ok(Outcome::Done));
    home.take("two", 30, 40).await.expect("it ended");
    let prolong = Hold::Prolong(later(60));
    assert_eq!(home.hold("one", prolong, 31).await, LOST);
    // Whoever came and went may have changed anything.
    home.hold("two", Hold::Release, 31).await.expect("its own");
    assert_eq!(home.hold("one", prolong, 32).await, LOST);
    assert_eq!(home.hold("never", prolong, 32).await, LOST);
}

async fn only_its_holder_expunges(home: Home) {
    home.fill(home.inbox, "m", 4).await;
    home.take("one", 0, 10).await.expect("free");
    let lost = Err(Error::NotFound("maildrop lease"));
    assert_eq!(home.expunge_maildrop(1, by("two"), 5).await, lost);
    assert_eq!(home.uids(home.inbox).await.len(), 4);
    // Its time is over, but nobody came.
    assert_eq!(home.expunge_maildrop(1, by("one"), 11).await, Ok(vec![1]));
    // With that the session is over.
    assert_eq!(home.take("two", 12, 20).await, Ok(Outcome::Done));
    assert_eq!(home.expunge_maildrop(2, by("one"), 13).await, lost);
    home.hold("two", Hold::Release, 13).await.expect("its own");
    assert_eq!(home.expunge_maildrop(2, by("two"), 14).await, lost);
    assert_eq!(home.uids(home.inbox).await, [Uid(2), Uid(3), Uid(4)]);
    home.check().await;
}

async fn nobody_expunges_while_it_is_held(home: Home) {
    home.fill(home.inbox, "m", 2).await;
    let nobody = || MaildropBy::Nobody;
    assert_eq!(home.expunge_maildrop(1, nobody(), 0).await, Ok(vec![1]));
    home.take("one", 0, 10).await.expect("free");
    let held = Err(Error::Exists("maildrop"));
    assert_eq!(home.expunge_maildrop(2, nobody(), 9).await, held);
    assert_eq!(home.uids(home.inbox).await, [Uid(2)]);
    assert_eq!(home.expunge_maildrop(2, nobody(), 10).await, Ok(vec![2]));
}

async fn it_goes_with_its_account(home: Home) {
    home.take("one", 0, 10).await.expect("free");
    let remove = RemoveAccount {
        account: home.account,
        now: later(1),
    };
    home.one(Change::RemoveAccount(remove))
        .await
        .expect("there");
    let prolong = Hold::Prolong(later(60));
    assert_eq!(home.hold("one", prolong, 2).await, LOST);
    assert_eq!(home.hold("one", Hold::Release, 2).await, Ok(Outcome::Done));
}
