//! Mail that POP3 has retrieved goes when its time has come.
//!
//! A message goes as if its owner had expunged it: IMAP sessions hear it, it no longer counts against the quota, and it can be brought
//! back for the retention time (I10).
//!
//! **Invariants.** Only what was retrieved goes, and only from INBOX; the time runs from the first retrieval. While a POP3 session holds the
//! maildrop nothing goes from it (RFC 1939 section 4); the next round comes.
//! **Bounds.** [`BATCH`] messages at a time; each account's are one change.
//! **On failure.** A round may end anywhere, and several processes may go round at once: what has gone is gone, what has not comes again.

use std::collections::BTreeMap;

use postrider_storage::Error;
use postrider_storage::index::{
    AccountId, Expunge, ExpungeMaildrop, ExpungeWhich, MailboxId, MaildropBy, Overdue, Retention,
    Timestamp, Uid,
};

use super::Mailboxes;
use crate::index::IndexPool;

/// Messages that are looked up at a time.
const BATCH: u32 = 500;

/// One round: what is overdue at `now` goes. Says how many messages went.
///
/// # Errors
/// Those of the index.
pub(crate) async fn round(
    index: &IndexPool,
    mailboxes: &Mailboxes,
    default: Retention,
    now: Timestamp,
    is_held: impl Fn(AccountId) -> bool,
) -> Result<u64, Error> {
    let mut gone = 0;
    let mut after = AccountId(0);
    loop {
        let overdue = index
            .read(|index| index.overdue(default, after, now, BATCH))
            .await?;
        let Some(last) = overdue.last().map(|it| it.account) else {
            return Ok(gone);
        };
        let full = overdue.len() == BATCH as usize;
        let before = gone;
        for ((account, mailbox), uids) in by_mailbox(overdue) {
            if is_held(account) {
                continue;
            }
            let expunge = ExpungeMaildrop {
                expunge: Expunge {
                    account,
                    mailbox,
                    which: ExpungeWhich::Exactly(uids),
                    now,
                },
                by: MaildropBy::Nobody,
            };
            match index.expunge_maildrop(expunge).await {
                Ok(expunged) => {
                    gone += expunged.uids.len() as u64;
                    mailboxes.notice(mailbox);
                }
                // The account or the mailbox went meanwhile, or a session on another host holds it.
                Err(Error::NotFound(_) | Error::Exists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if !full {
            return Ok(gone);
        }
        // There may be more of the last account, so it is asked for again; unless nothing could go (its maildrop is held).
        after = match gone > before {
            true => AccountId(last.0 - 1),
            false => last,
        };
    }
}

fn by_mailbox(overdue: Vec<Overdue>) -> BTreeMap<(AccountId, MailboxId), Vec<Uid>> {
    let mut all: BTreeMap<_, Vec<Uid>> = BTreeMap::new();
    for it in overdue {
        all.entry((it.account, it.mailbox))
            .or_default()
            .push(it.uid);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use postrider_storage::blob::BlobKey;
    use postrider_storage::index::{
        AddAccounts, AddDomain, Append, AuthType, Change, Flags, Hold, HoldMaildrop, INBOX, Index,
        MemoryIndex, ModSeq, NewAccount, NewBlob, Outcome, Retrieved, SetRetention,
    };

    use super::*;
    use crate::actor::{Escalation, ServiceRuntime, Supervisor};

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
    const WEEK: Retention = Retention::Days(7);

    fn days(days: i64) -> Timestamp {
        Timestamp(NOW.0 + days * 86_400_000_000)
    }

    struct Home {
        index: Arc<MemoryIndex>,
        pool: IndexPool,
        mailboxes: Mailboxes,
        accounts: Vec<(AccountId, MailboxId)>,
    }

    impl Home {
        /// Accounts with so many messages each, all of them retrieved now.
        async fn new(messages: &[u32]) -> Self {
            let index = Arc::new(MemoryIndex::new());
            let runtime = ServiceRuntime::start(1, 4).expect("threads");
            let supervisor = Supervisor::new(Escalation::log_only());
            let pool = IndexPool::new(index.clone(), runtime, &supervisor);
            let mailboxes = Mailboxes::new(pool.clone(), &supervisor);
            let mut home = Self {
                index,
                pool,
                mailboxes,
                accounts: Vec::new(),
            };
            home.change(Change::AddDomain(AddDomain {
                name: "a.test".into(),
                auth: AuthType::Local,
                ldap_base_dn: None,
                now: NOW,
            }))
            .await;
            for (nth, count) in messages.iter().enumerate() {
                home.add(nth, *count).await;
            }
            home
        }

        async fn change(&self, change: Change) -> Outcome {
            let mut outcomes = self.index.apply(vec![change]).await;
            outcomes.pop().expect("one").expect("done")
        }

        async fn add(&mut self, nth: usize, messages: u32) {
            let account = NewAccount {
                email: format!("u{nth}@a.test"),
                password: None,
                quota: None,
                auth: AuthType::Local,
            };
            let add = AddAccounts {
                accounts: vec![account],
                now: NOW,
            };
            let Outcome::Accounts(ids) = self.change(Change::AddAccounts(add)).await else {
                panic!("no account");
            };
            let (account, now) = (ids[0], NOW);
            let inbox = self.index.mailbox(account, INBOX).await.expect("reads");
            let mailbox = inbox.expect("an INBOX").id;
            for number in 0..messages {
                let key = BlobKey::parse(&format!("a.test/u{nth}/Maildir/cur/m{number}"));
                let append = Append {
                    account,
                    mailbox,
                    blob: NewBlob {
                        key: key.expect("a key"),
                        size: 10,
                        line_size: 10,
                        sha256: [0; 32],
                        summary: Vec::new(),
                    },
                    flags: Flags::default(),
                    keywords: Vec::new(),
                    internal_date: now,
                    now,
                };
                self.change(Change::Append(append)).await;
            }
            let uids = (1..=messages).map(Uid).collect();
            self.change(Change::Retrieved(Retrieved {
                account,
                mailbox,
                uids,
                now,
            }))
            .await;
            self.accounts.push((account, mailbox));
        }

        async fn round(&self, now: Timestamp, held: &[AccountId]) -> Result<u64, Error> {
            let is_held = |account| held.contains(&account);
            round(&self.pool, &self.mailboxes, WEEK, now, is_held).await
        }

        async fn left(&self) -> Vec<usize> {
            let mut left = Vec::new();
            for (_, mailbox) in &self.accounts {
                let all = self.index.changes(*mailbox, ModSeq(0)).await;
                left.push(all.expect("reads").changed.len());
            }
            left
        }
    }

    #[actix::test]
    async fn mail_goes_a_week_after_it_was_retrieved() {
        let home = Home::new(&[3]).await;
        assert_eq!(home.round(Timestamp(days(7).0 - 1), &[]).await, Ok(0));
        assert_eq!(home.round(days(7), &[]).await, Ok(3));
        assert_eq!(home.round(days(7), &[]).await, Ok(0), "once");
        assert_eq!(home.left().await, [0]);
        // Its owner may have it back, and it does not go again.
        let expunged = home.index.expunged(home.accounts[0].1).await;
        assert_eq!(expunged.expect("reads").len(), 3);
    }

    #[actix::test]
    async fn a_round_goes_over_all_accounts_and_past_those_that_are_held() {
        let home = Home::new(&[BATCH + 20, 3, 2 * BATCH + 7, 1, 5]).await;
        let (first, third) = (home.accounts[0].0, home.accounts[2].0);
        let never = SetRetention {
            account: home.accounts[4].0,
            retention: Some(Retention::Never),
            now: NOW,
        };
        home.change(Change::SetRetention(never)).await;
        assert_eq!(home.round(days(8), &[first, third]).await, Ok(4));
        let held = [520, 0, 1007, 0, 5];
        assert_eq!(home.left().await, held);
        assert_eq!(home.round(days(8), &[first]).await, Ok(1007));
        assert_eq!(home.round(days(8), &[]).await, Ok(520));
        assert_eq!(home.left().await, [0, 0, 0, 0, 5]);
    }

    #[actix::test]
    async fn what_a_session_on_another_host_holds_stays() {
        let home = Home::new(&[3, 2]).await;
        let hold = |hold| {
            Change::HoldMaildrop(HoldMaildrop {
                account: home.accounts[0].0,
                holder: "elsewhere".to_owned(),
                hold,
                now: days(8),
            })
        };
        home.change(hold(Hold::Take(days(9)))).await;
        assert_eq!(home.round(days(8), &[]).await, Ok(2));
        assert_eq!(home.left().await, [3, 0]);
        home.change(hold(Hold::Release)).await;
        assert_eq!(home.round(days(8), &[]).await, Ok(3));
    }

    #[actix::test]
    async fn an_index_that_fails_in_the_middle_loses_nothing() {
        let home = Home::new(&[3]).await;
        let away = Error::Unavailable("on purpose".into());
        home.index.break_with(Some(away));
        assert!(home.round(days(8), &[]).await.is_err());
        home.index.break_with(None);
        assert_eq!(home.left().await, [3]);
        assert_eq!(home.round(days(8), &[]).await, Ok(3));
    }
}
