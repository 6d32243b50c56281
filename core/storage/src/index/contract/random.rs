//! Random changes on two indices at once: after any sequence answers and states are equal.

use super::{NOW, body};
use crate::index::{
    AccountId, AddAccounts, AddAlias, AddDomain, Alias, Append, AuthType, BlobId, Change,
    ClaimRecent, Copy, CopyMode, CreateMailbox, DeleteMailbox, Expunge, ExpungeMaildrop,
    ExpungeWhich, ExpungedFrom, Flags, Forget, Hold, HoldMaildrop, Index, Mailbox, MailboxId,
    MaildropBy, ModSeq, NewAccount, PlaceExpunged, PlacedExpunged, Reap, RemoveAccount,
    RemoveAlias, RemoveDomain, RenameMailbox, Restore, Retention, Retrieved, SetAccountActive,
    SetDomainActive, SetPassword, SetQuota, SetRetention, SpecialUse, Store, StoreMode, Subscribe,
    Timestamp, TouchLogin, Uid,
};

/// Applies random changes to a model and to another index, and compares what they answer and hold.
///
/// # Panics
/// If they differ; the text names the seed, with which the same run happens again.
pub async fn same(model: &dyn Index, other: &dyn Index, seed: u64, batches: u32) {
    let mut dice = Dice(seed);
    let generations = (model.generation().await, other.generation().await);
    let first = vec![
        add_domain(0),
        add_domain(1),
        add_accounts(&[(0, 0), (1, 0)], Some(2_000)),
    ];
    let mut changes = first;
    for batch in 0..batches {
        let place = format!("seed {seed}, batch {batch}: {changes:?}");
        let answers = model.apply(changes.clone()).await;
        assert_eq!(other.apply(changes).await, answers, "answers, {place}");
        if batch % 8 == 0 || batch + 1 == batches {
            compare(model, other, &place).await;
        }
        changes = Vec::new();
        for _ in 0..=dice.below(6) {
            changes.push(random(model, &mut dice).await);
        }
    }
    let since = |now: Result<i64, _>, then: Result<i64, _>| {
        now.expect("reads work") - then.expect("reads work")
    };
    assert_eq!(
        since(model.generation().await, generations.0),
        since(other.generation().await, generations.1),
        "generation, seed {seed}"
    );
}

/// A small generator of numbers (SplitMix64): what it gives depends on its seed alone.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let at = usize::try_from(self.below(count)).unwrap_or(0);
        all[at].clone()
    }

    fn now(&mut self) -> Timestamp {
        Timestamp(NOW.0 + i64::try_from(self.below(40)).unwrap_or(0) * 1_000_000)
    }

    fn name(&mut self) -> String {
        let name = self.of(&[
            "INBOX", "INBOX/x", "Sent", "Trash", "a", "a/b", "a/b/c", "a0", "b", "b/c", "우/편",
            "inbox", "c//d", "",
        ]);
        name.to_owned()
    }

    fn uids(&mut self) -> Vec<Uid> {
        (1..12).filter(|_| self.once_in(2)).map(Uid).collect()
    }

    fn gone(&mut self, now: Timestamp) -> Vec<PlacedExpunged> {
        let uids = self.uids().into_iter().take(3);
        let message = |uid| PlacedExpunged {
            uid,
            modseq: ModSeq(1 + self.below(4)),
            blob: body(&format!("r{}", self.below(200)), 50),
            flags: self.flags(),
            keywords: self.keywords(),
            internal_date: now,
            expunged: self.of(&[NOW, now]),
        };
        uids.map(message).collect()
    }

    fn flags(&mut self) -> Flags {
        Flags(self.below(32))
    }

    fn keywords(&mut self) -> Vec<String> {
        let all = ["k", "K", "$Forwarded", "x", "not one"];
        let count = if self.once_in(2) { 0 } else { self.below(3) };
        (0..count).map(|_| self.of(&all[..]).to_owned()).collect()
    }
}

fn domain(nth: u64) -> String {
    format!("d{nth}.test")
}

fn add_domain(nth: u64) -> Change {
    Change::AddDomain(AddDomain {
        name: domain(nth),
        auth: AuthType::Local,
        ldap_base_dn: None,
        now: NOW,
    })
}

fn add_accounts(users: &[(u64, u64)], quota: Option<u64>) -> Change {
    let account = |(user, nth): &(u64, u64)| NewAccount {
        email: format!("u{user}@{}", domain(*nth)),
        password: Some(format!("p{user}")),
        quota,
        auth: AuthType::Local,
    };
    Change::AddAccounts(AddAccounts {
        accounts: users.iter().map(account).collect(),
        now: NOW,
    })
}

/// An account and one of its mailboxes; now and then one that is not there or is another's.
async fn place(model: &dyn Index, dice: &mut Dice) -> (AccountId, MailboxId) {
    let accounts = model.accounts(None).await.expect("reads work");
    if accounts.is_empty() || dice.once_in(25) {
        let any = |dice: &mut Dice, below| i64::try_from(dice.below(below)).unwrap_or(0);
        return (AccountId(any(dice, 6)), MailboxId(any(dice, 60)));
    }
    let account = dice.of(&accounts).id;
    let mailboxes = model.mailboxes(account).await.expect("reads work");
    let inbox_first = if dice.once_in(2) {
        &mailboxes[..1]
    } else {
        &mailboxes[..]
    };
    (account, dice.of(inbox_first).id)
}

async fn random(model: &dyn Index, dice: &mut Dice) -> Change {
    let (account, mailbox) = place(model, dice).await;
    let now = dice.now();
    match dice.below(100) {
        0 => add_domain(dice.below(3)),
        1 => Change::SetDomainActive(SetDomainActive {
            name: domain(dice.below(3)),
            active: dice.once_in(2),
        }),
        2 => Change::RemoveDomain(RemoveDomain {
            name: domain(dice.below(3)),
        }),
        3..=4 => {
            let users: Vec<_> = (0..=dice.below(2))
                .map(|_| (dice.below(4), dice.below(3)))
                .collect();
            add_accounts(&users, dice.of(&[None, Some(0), Some(2_000)]))
        }
        5 => Change::SetPassword(SetPassword {
            account,
            password: dice.of(&[None, Some("p1".to_owned())]),
            only_if: dice.of(&[None, Some("p1".to_owned())]),
            now,
        }),
        6 => Change::SetQuota(SetQuota {
            account,
            quota: dice.of(&[None, Some(100), Some(2_000), Some(u64::MAX)]),
            now,
        }),
        9 if dice.once_in(2) => Change::SetRetention(SetRetention {
            account,
            retention: dice.of(&[None, Some(Retention::Never), Some(Retention::Days(3))]),
            now,
        }),
        7 => Change::SetAccountActive(SetAccountActive {
            account,
            active: dice.once_in(2),
            now,
        }),
        8 if dice.once_in(4) => Change::RemoveAccount(RemoveAccount { account, now }),
        8 | 9 => Change::TouchLogin(TouchLogin { account, now }),
        10..=11 => {
            let alias = Alias {
                source: format!("@{}", domain(dice.below(3))),
                destination: format!("x{}@y.test", dice.below(3)),
                active: dice.once_in(2),
            };
            Change::AddAlias(AddAlias { alias })
        }
        12 => Change::RemoveAlias(RemoveAlias {
            source: format!("@{}", domain(dice.below(3))),
            destination: dice.of(&[None, Some("x1@y.test".to_owned())]),
        }),
        13..=18 => Change::CreateMailbox(CreateMailbox {
            account,
            name: dice.name(),
            special_use: dice.of(&[None, None, Some(SpecialUse::Sent), Some(SpecialUse::Junk)]),
            now,
        }),
        19..=22 => Change::DeleteMailbox(DeleteMailbox {
            account,
            name: dice.name(),
            now,
        }),
        23..=27 => Change::RenameMailbox(RenameMailbox {
            account,
            from: dice.name(),
            to: dice.name(),
            now,
        }),
        28 if dice.once_in(3) => Change::HoldMaildrop(HoldMaildrop {
            account,
            holder: dice.of(&["one", "two"]).to_owned(),
            hold: dice.of(&[Hold::Take(now), Hold::Prolong(now), Hold::Release]),
            now: dice.now(),
        }),
        28 if dice.once_in(2) => Change::ExpungeMaildrop(ExpungeMaildrop {
            expunge: Expunge {
                account,
                mailbox,
                which: ExpungeWhich::Exactly(dice.uids()),
                now,
            },
            by: dice.of(&[MaildropBy::Nobody, MaildropBy::Holder("one".to_owned())]),
        }),
        28 => Change::Retrieved(Retrieved {
            account,
            mailbox,
            uids: dice.uids(),
            now,
        }),
        29..=30 => Change::Subscribe(Subscribe {
            account,
            name: dice.name(),
            subscribed: dice.once_in(2),
        }),
        31..=32 => Change::ClaimRecent(ClaimRecent { mailbox }),
        33..=55 => Change::Append(Append {
            account,
            mailbox,
            blob: body(&format!("r{}", dice.below(200)), 50),
            flags: dice.flags(),
            keywords: dice.keywords(),
            internal_date: now,
            now,
        }),
        56..=57 => {
            let gone = ExpungedFrom::Gone {
                name: dice.of(&["a", "b"]).to_owned(),
                deleted: dice.of(&[NOW, now]),
            };
            let there = ExpungedFrom::There(mailbox);
            Change::PlaceExpunged(PlaceExpunged {
                account,
                from: dice.of(&[there, gone, ExpungedFrom::Unknown]),
                messages: dice.gone(now),
            })
        }
        58..=68 => Change::Store(Store {
            mailbox,
            uids: dice.uids(),
            mode: dice.of(&[StoreMode::Add, StoreMode::Remove, StoreMode::Replace]),
            flags: dice.flags(),
            keywords: dice.keywords(),
            unchanged_since: dice.of(&[None, None, Some(ModSeq(3)), Some(ModSeq(9))]),
        }),
        69..=80 => {
            let mailboxes = model.mailboxes(account).await.expect("reads work");
            let to = match mailboxes.is_empty() {
                true => mailbox,
                false => dice.of(&mailboxes).id,
            };
            Change::Copy(Copy {
                account,
                from: mailbox,
                uids: dice.uids(),
                to,
                mode: dice.of(&[CopyMode::Copy, CopyMode::Move]),
                now,
            })
        }
        81..=92 => Change::Expunge(Expunge {
            account,
            mailbox,
            which: match dice.below(3) {
                0 => ExpungeWhich::Deleted,
                1 => ExpungeWhich::DeletedAmong(dice.uids()),
                _ => ExpungeWhich::Exactly(dice.uids()),
            },
            now,
        }),
        93..=94 => Change::Restore(Restore {
            account,
            from: MailboxId(i64::try_from(dice.below(30)).unwrap_or(0)),
            uids: dice.uids(),
            to: mailbox,
            now,
        }),
        95..=97 => Change::Reap(Reap {
            before: now,
            limit: dice.of(&[0, 1, 3, 1000]),
        }),
        _ => Change::Forget(Forget {
            blobs: (1..40).filter(|_| dice.once_in(3)).map(BlobId).collect(),
        }),
    }
}

/// Compares all that reads can tell.
async fn compare(model: &dyn Index, other: &dyn Index, place: &str) {
    macro_rules! equal {
        ($what:literal, $read:ident($($argument:expr),*)) => {{
            let expected = model.$read($($argument),*).await;
            assert_eq!(other.$read($($argument),*).await, expected, "{}, {place}", $what);
            expected
        }};
    }
    equal!("domains", domains()).expect("reads work");
    equal!("aliases", aliases(None)).expect("reads work");
    equal!("bodies", all_blobs(BlobId(0), 10_000)).expect("reads work");
    for days in [2, 3, 4] {
        let later = Timestamp(NOW.0 + days * 86_400_000_000);
        let week = Retention::Days(2);
        equal!("overdue", overdue(week, AccountId(0), later, 1_000)).expect("reads work");
    }
    for nth in 0..3 {
        equal!("domain", domain(&domain(nth))).expect("reads work");
        equal!("aliases of a domain", aliases(Some(&domain(nth)))).expect("reads work");
        equal!("accounts of a domain", accounts(Some(&domain(nth)))).expect("reads work");
        equal!("destinations", destinations(&format!("@{}", domain(nth)))).expect("reads work");
    }
    let mut used = Vec::new();
    for account in equal!("accounts", accounts(None)).expect("reads work") {
        let mailboxes = equal!("mailboxes", mailboxes(account.id)).expect("reads work");
        used.push((
            account.used,
            mailboxes.iter().map(|it| it.size).sum::<u64>(),
        ));
        equal!("subscriptions", subscriptions(account.id)).expect("reads work");
        let first = (MailboxId(0), Uid(0));
        equal!("recoverable", recoverable(account.id, first, 1_000)).expect("reads work");
        let now = Timestamp(NOW.0 + 20_000_000);
        equal!("recoverable since", recoverable_count(account.id, now)).expect("reads work");
        for mailbox in mailboxes {
            equal!("mailbox by name", mailbox(account.id, &mailbox.name)).expect("reads work");
            compare_mailbox(model, other, &mailbox, place).await;
        }
    }
    assert!(used.iter().all(|(used, sum)| used == sum), "I4, {place}");
}

async fn compare_mailbox(model: &dyn Index, other: &dyn Index, mailbox: &Mailbox, place: &str) {
    let (id, uids) = (
        mailbox.id,
        (1..=mailbox.uid_next.0).map(Uid).collect::<Vec<_>>(),
    );
    macro_rules! equal {
        ($what:literal, $read:ident($($argument:expr),*)) => {{
            let expected = model.$read($($argument),*).await;
            assert_eq!(other.$read($($argument),*).await, expected, "{}, {mailbox:?}, {place}", $what);
        }};
    }
    let highest = mailbox.highest_modseq.0;
    for since in [0, 1, highest / 2, highest.saturating_sub(1), highest] {
        equal!("changes", changes(id, ModSeq(since)));
    }
    equal!("messages", messages(id));
    equal!("summaries", summaries(id, &uids));
    equal!("blobs", blobs(id, &uids));
    equal!("expunged", expunged(id));
}
