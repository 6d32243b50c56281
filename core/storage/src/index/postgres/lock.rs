//! Which rows a batch holds from its beginning, so that no two batches wait for each other.
//!
//! SQLite has one writer; here an account has one. All that is an account's (mailboxes, UIDs, modification sequences, messages, quota, bodies)
//! is changed by who holds its row in `virtual_users`, and the directory by who holds the counter of its generation.
//!
//! **Invariants.** First the directory, then the accounts by rising number, then anything else. What a batch reads after that is what stands
//! (each statement sees what was committed before it), so the rules are checked as if it were alone with the accounts (I3, I4).
//! **On failure.** An order that could not be known beforehand may end in a deadlock, which PostgreSQL finds; the batch is tried again.

use std::collections::BTreeSet;

use super::{
    Conn,
    fault::Fault,
    sql::{self, Bind, run},
};
use crate::index::{BindTo, Change, check};

/// What a batch has to hold.
#[derive(Debug, Default)]
struct Needs {
    directory: bool,
    accounts: BTreeSet<i64>,
    /// All accounts.
    everybody: bool,
    /// Of accounts that the changes do not name.
    mailboxes: BTreeSet<i64>,
    /// All accounts of these.
    domains: Vec<String>,
}

/// Parts of a batch that are a transaction each. Reap learns from what it finds which accounts it has to hold, so it goes alone, where it
/// holds none when it begins to wait.
pub(super) fn parts(changes: Vec<Change>) -> Vec<Vec<Change>> {
    let mut parts: Vec<Vec<Change>> = Vec::new();
    let mut alone = true;
    for change in changes {
        let reap = matches!(change, Change::Reap(_));
        match parts.last_mut() {
            Some(part) if !reap && !alone => part.push(change),
            _ => parts.push(vec![change]),
        }
        alone = reap;
    }
    parts
}

/// Waits for what the changes need.
pub(super) fn batch(conn: &mut Conn, changes: &[Change]) -> Result<(), Fault> {
    let mut needs = Needs::default();
    changes.iter().for_each(|change| needs.add(change));
    if needs.directory {
        conn.send_ahead("SELECT value FROM counter WHERE name = 'generation' FOR UPDATE");
    }
    if needs.everybody {
        conn.send_ahead("SELECT id FROM virtual_users ORDER BY id FOR NO KEY UPDATE");
        return Ok(());
    }
    if !needs.domains.is_empty() {
        return by_query(conn, &needs);
    }
    let mut sources = Vec::new();
    if !needs.accounts.is_empty() {
        sources.push(numbers(&needs.accounts));
    }
    if !needs.mailboxes.is_empty() {
        sources.push(format!(
            "SELECT account_id FROM mailbox WHERE id IN ({})",
            numbers(&needs.mailboxes)
        ));
    }
    match &sources[..] {
        [] => {}
        [one] => hold(conn, one),
        [accounts, mailboxes, ..] => hold(
            conn,
            &format!("SELECT unnest(ARRAY[{accounts}]::bigint[]) UNION {mailboxes}"),
        ),
    }
    Ok(())
}

/// Waits for accounts that turned up later.
pub(super) fn accounts(conn: &mut Conn, accounts: &BTreeSet<i64>) -> Result<(), Fault> {
    if !accounts.is_empty() {
        hold(conn, &numbers(accounts));
        conn.flush()?;
    }
    Ok(())
}

/// Holds the accounts of a list or a query, which is made of numbers alone. References to the row do not wait for it.
fn hold(conn: &mut Conn, accounts: &str) {
    conn.send_ahead(&format!(
        "SELECT id FROM virtual_users WHERE id IN ({accounts}) ORDER BY id FOR NO KEY UPDATE"
    ));
}

fn by_query(conn: &mut Conn, needs: &Needs) -> Result<(), Fault> {
    let domains: BTreeSet<i64> = {
        use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
        let found: Vec<i64> = super::schema::domains::table
            .filter(super::schema::domains::domain_name.eq_any(&needs.domains))
            .select(super::schema::domains::id)
            .load(conn)?;
        found.into_iter().collect()
    };
    run(
        conn,
        "SELECT id FROM virtual_users WHERE id ? \
         OR id IN (SELECT account_id FROM mailbox WHERE id ?) OR domain_id ? \
         ORDER BY id FOR NO KEY UPDATE",
        &[
            Bind::Among(&sql::list(needs.accounts.iter().copied())),
            Bind::Among(&sql::list(needs.mailboxes.iter().copied())),
            Bind::Among(&sql::list(domains.into_iter())),
        ],
    )?;
    Ok(())
}

fn numbers(of: &BTreeSet<i64>) -> String {
    let texts: Vec<String> = of.iter().map(i64::to_string).collect();
    texts.join(",")
}

impl Needs {
    fn add(&mut self, change: &Change) {
        // Leases are rare enough to wait for the directory.
        self.directory |= check::of_directory(change) || matches!(change, Change::TakeLease(_));
        let account = match change {
            Change::AddDomain(_)
            | Change::RemoveDomain(_)
            | Change::AddAccounts(_)
            | Change::AddAlias(_)
            | Change::RemoveAlias(_)
            | Change::TakeLease(_) => return,
            // Reap learns whose they are when it looks, and Forget removes what nobody can name any longer.
            Change::Reap(_) | Change::Forget(_) => return,
            Change::RenewUidValidities(_) => {
                self.everybody = true;
                return;
            }
            Change::SetDomainActive(it) => return self.domains.push(it.name.clone()),
            Change::SetDomainAuth(it) => return self.domains.push(it.name.clone()),
            Change::ClaimRecent(it) => {
                self.mailboxes.insert(it.mailbox.0);
                return;
            }
            Change::Store(it) => {
                self.mailboxes.insert(it.mailbox.0);
                return;
            }
            Change::AppendAll(it) => {
                let all = it.appends.iter().map(|it| it.account.0);
                return self.accounts.extend(all);
            }
            Change::BindEntry(it) => match &it.to {
                BindTo::Existing(account) => *account,
                BindTo::New(_) => return,
            },
            Change::UnbindEntry(it) => it.account,
            Change::RenameAccount(it) => it.account,
            Change::SetEntryActive(it) => it.account,
            Change::SetPassword(it) => it.account,
            Change::SetQuota(it) => it.account,
            Change::SetRetention(it) => it.account,
            Change::SetAccountActive(it) => it.account,
            Change::RemoveAccount(it) => it.account,
            Change::TouchLogin(it) => it.account,
            Change::CreateMailbox(it) => it.account,
            Change::DeleteMailbox(it) => it.account,
            Change::RenameMailbox(it) => it.account,
            Change::Subscribe(it) => it.account,
            Change::Append(it) => it.account,
            Change::Copy(it) => it.account,
            Change::Expunge(it) => it.account,
            Change::HoldMaildrop(it) => it.account,
            Change::ExpungeMaildrop(it) => it.expunge.account,
            Change::Retrieved(it) => it.account,
            Change::Restore(it) => it.account,
            Change::PlaceMailbox(it) => it.account,
            Change::PlaceMessages(it) => it.account,
            Change::PlaceExpunged(it) => it.account,
            Change::Reflag(it) => it.account,
        };
        self.accounts.insert(account.0);
    }
}
