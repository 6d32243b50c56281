//! Accounts: reads and changes of `virtual_users`.

use std::collections::BTreeSet;

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, insert_into, sql_types::BigInt,
    update,
};

use super::{
    Conn, alias,
    domain::{self, auth_text, auth_type},
    expunge::{self, Scope},
    fault::{Fault, number},
    mailbox, maildrop,
    moment::Moment,
    name, restore, retention,
    schema::{counter, domains, mailbox as mailboxes, subscription, virtual_users},
    sql::{self, Bind, run},
};
use crate::{
    Error,
    index::{
        Account, AccountId, AddAccounts, DomainId, FIRST_MAILBOXES, INBOX, NewAccount, Outcome,
        RemoveAccount, RenameAccount, SetAccountActive, SetPassword, SetQuota, Timestamp,
        TouchLogin, Usage, check,
    },
};

/// What counts as used, and what the messages have.
pub(super) fn usage(conn: &mut Conn, id: AccountId) -> Result<Option<Usage>, Fault> {
    let found: Vec<(i64, i64)> = sql::rows::<(BigInt, BigInt), _>(
        conn,
        "SELECT used_quota, (SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM message WHERE account_id = ?) \
         FROM virtual_users WHERE id = ?",
        &[Bind::Number(id.0), Bind::Number(id.0)],
    )?;
    let read = |(used, sum)| -> Result<Usage, Error> {
        Ok(Usage {
            used: number(used, "used quota")?,
            sum: number(sum, "sum of sizes")?,
        })
    };
    Ok(found.into_iter().next().map(read).transpose()?)
}

/// A login is noted once in this time, in microseconds.
const LOGIN_NOTED: i64 = 60_000_000;

type Row = (
    i64,
    String,
    i64,
    Option<String>,
    Option<i64>,
    i64,
    String,
    bool,
    bool,
    i64,
    Option<Moment>,
    Moment,
    Option<i64>,
    Option<i64>,
);

macro_rules! rows {
    () => {
        virtual_users::table.inner_join(domains::table).select((
            virtual_users::id,
            virtual_users::email,
            virtual_users::domain_id,
            virtual_users::password,
            virtual_users::quota,
            virtual_users::used_quota,
            virtual_users::auth_source,
            virtual_users::is_active,
            domains::is_active,
            virtual_users::version,
            virtual_users::last_login,
            virtual_users::created_at,
            virtual_users::pop3_retention,
            virtual_users::addressed_at,
        ))
    };
}

fn account(row: Row) -> Result<Account, Error> {
    let (
        id,
        email,
        domain,
        password,
        quota,
        used,
        auth,
        active,
        domain_active,
        version,
        last,
        created,
        pop3_retention,
        addressed,
    ) = row;
    let whose = |error: Error| domain::named(&email, error);
    let auth = auth_type(&auth).map_err(whose)?;
    let quota = quota.map(|it| number(it, "quota")).transpose();
    let quota = quota.map_err(whose)?;
    let used = number(used, "used quota").map_err(whose)?;
    let pop3_retention = pop3_retention.map(retention::read).transpose();
    let pop3_retention = pop3_retention.map_err(whose)?;
    Ok(Account {
        id: AccountId(id),
        email,
        domain: DomainId(domain),
        password,
        quota,
        used,
        auth,
        active,
        domain_active,
        version,
        last_login: last.map(|it| it.0),
        created: created.0,
        addressed: addressed.map_or(created.0, Timestamp),
        pop3_retention,
    })
}

pub(super) fn by_email(conn: &mut Conn, email: &str) -> Result<Option<Account>, Fault> {
    let row: Option<Row> = rows!()
        .filter(virtual_users::email.eq(email))
        .get_result(conn)
        .optional()?;
    Ok(row.map(account).transpose()?)
}

pub(super) fn by_id(conn: &mut Conn, id: AccountId) -> Result<Option<Account>, Fault> {
    let row: Option<Row> = rows!()
        .filter(virtual_users::id.eq(id.0))
        .get_result(conn)
        .optional()?;
    Ok(row.map(account).transpose()?)
}

pub(super) fn all(conn: &mut Conn, domain: Option<&str>) -> Result<Vec<Account>, Fault> {
    let rows: Vec<Row> = match domain {
        Some(domain) => rows!()
            .filter(domains::domain_name.eq(domain))
            .order(virtual_users::email)
            .load(conn)?,
        None => rows!().order(virtual_users::email).load(conn)?,
    };
    Ok(rows.into_iter().map(account).collect::<Result<_, _>>()?)
}

/// The oldest account of a domain that may get mail.
pub(super) fn first(conn: &mut Conn, domain: &str) -> Result<Option<Account>, Fault> {
    let row: Option<Row> = rows!()
        .filter(domains::domain_name.eq(domain))
        .filter(domains::is_active.eq(true))
        .filter(virtual_users::is_active.eq(true))
        .order(virtual_users::id)
        .first(conn)
        .optional()?;
    Ok(row.map(account).transpose()?)
}

/// The account of a change. `NotFound` if it is gone.
pub(super) fn existing(conn: &mut Conn, id: AccountId) -> Result<Account, Fault> {
    Ok(by_id(conn, id)?.ok_or(Error::NotFound("account"))?)
}

/// Adds to what an account uses; the caller has checked the quota (I4).
pub(super) fn charge(conn: &mut Conn, id: AccountId, octets: i64) -> Result<(), Fault> {
    run(
        conn,
        "UPDATE virtual_users SET used_quota = used_quota + ? WHERE id = ?",
        &[Bind::Number(octets), Bind::Number(id.0)],
    )?;
    Ok(())
}

pub(super) fn add(conn: &mut Conn, change: &AddAccounts) -> Result<Outcome, Fault> {
    // All are looked at before one is added: a number that was given is not given again, also if it is taken back.
    let mut seen = BTreeSet::new();
    for new in &change.accounts {
        acceptable(conn, new)?;
        if !seen.insert(&new.email) {
            return Err(Error::Exists("account").into());
        }
    }
    let mut ids = Vec::with_capacity(change.accounts.len());
    for new in &change.accounts {
        ids.push(add_one(conn, new, change.now)?);
    }
    Ok(Outcome::Accounts(ids))
}

/// The row of the domain of an account that can be added.
fn acceptable(conn: &mut Conn, new: &NewAccount) -> Result<i64, Fault> {
    let (_, domain) = check::address(&new.email)?;
    check::column(new.password.as_deref(), "the password hash is too long")?;
    new.quota.map(check::octets).transpose()?;
    let domain = domain::id(conn, domain)?;
    match by_email(conn, &new.email)? {
        Some(_) => Err(Error::Exists("account").into()),
        None => Ok(domain),
    }
}

pub(super) fn add_one(
    conn: &mut Conn,
    new: &NewAccount,
    now: Timestamp,
) -> Result<AccountId, Fault> {
    let domain_id = acceptable(conn, new)?;
    let (local, domain) = check::address(&new.email)?;
    let quota = new.quota.map(check::octets).transpose()?;
    let used_before: i64 = counter::table
        .filter(counter::name.eq("uid_validity"))
        .select(counter::value)
        .get_result(conn)?;
    let id = insert_into(virtual_users::table)
        .values((
            virtual_users::email.eq(&new.email),
            virtual_users::password.eq(&new.password),
            virtual_users::domain_id.eq(domain_id),
            virtual_users::maildir_path.eq(format!("{domain}/{local}/Maildir/")),
            virtual_users::quota.eq(quota),
            virtual_users::auth_source.eq(auth_text(new.auth)),
            virtual_users::created_at.eq(Moment(now)),
            virtual_users::updated_at.eq(Moment(now)),
            virtual_users::last_uid_validity.eq(used_before),
        ))
        .returning(virtual_users::id)
        .get_result(conn)?;
    furnish(conn, AccountId(id), now)?;
    Ok(AccountId(id))
}

/// Makes the mailboxes that every account begins with, all of them subscribed.
pub(super) fn furnish(conn: &mut Conn, id: AccountId, now: Timestamp) -> Result<(), Fault> {
    let first = FIRST_MAILBOXES.iter().map(|(name, it)| (*name, Some(*it)));
    for (name, special_use) in std::iter::once((INBOX, None)).chain(first) {
        name::insert(conn, id, name, special_use, now)?;
        insert_into(subscription::table)
            .values((
                subscription::account_id.eq(id.0),
                subscription::name.eq(name),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// The same for an account of another program, which may have counted what it uses in its own way, and knows nothing of the values that a removed
/// account of this name had.
pub(super) fn furnish_foreign(conn: &mut Conn, id: AccountId, now: Timestamp) -> Result<(), Fault> {
    run(
        conn,
        "UPDATE virtual_users SET used_quota = 0, \
            last_uid_validity = (SELECT value FROM counter WHERE name = 'uid_validity') WHERE id = ?",
        &[Bind::Number(id.0)],
    )?;
    furnish(conn, id, now)
}

pub(super) fn set_password(conn: &mut Conn, change: &SetPassword) -> Result<Outcome, Fault> {
    check::column(change.password.as_deref(), "the password hash is too long")?;
    let account = existing(conn, change.account)?;
    if change.only_if.is_some() && change.only_if != account.password {
        return Ok(Outcome::Done);
    }
    update(virtual_users::table.find(change.account.0))
        .set((
            virtual_users::password.eq(&change.password),
            virtual_users::version.eq(virtual_users::version + 1),
            virtual_users::updated_at.eq(Moment(change.now)),
        ))
        .execute(conn)?;
    Ok(Outcome::Done)
}

pub(super) fn set_quota(conn: &mut Conn, change: &SetQuota) -> Result<Outcome, Fault> {
    let quota = change.quota.map(check::octets).transpose()?;
    existing(conn, change.account)?;
    update(virtual_users::table.find(change.account.0))
        .set((
            virtual_users::quota.eq(quota),
            virtual_users::updated_at.eq(Moment(change.now)),
        ))
        .execute(conn)?;
    Ok(Outcome::Done)
}

pub(super) fn set_active(conn: &mut Conn, change: &SetAccountActive) -> Result<Outcome, Fault> {
    existing(conn, change.account)?;
    update(virtual_users::table.find(change.account.0))
        .set((
            virtual_users::is_active.eq(change.active),
            virtual_users::version.eq(virtual_users::version + 1),
            virtual_users::updated_at.eq(Moment(change.now)),
        ))
        .execute(conn)?;
    Ok(Outcome::Done)
}

pub(super) fn rename(conn: &mut Conn, change: &RenameAccount) -> Result<Outcome, Fault> {
    let (_, domain) = check::address(&change.email)?;
    let domain = domain::id(conn, domain)?;
    let account = existing(conn, change.account)?;
    match by_email(conn, &change.email)? {
        Some(same) if same.id == account.id => return Ok(Outcome::Done),
        Some(_) => return Err(Error::Exists("account").into()),
        None => {}
    }
    update(virtual_users::table.find(account.id.0))
        .set((
            virtual_users::email.eq(&change.email),
            virtual_users::domain_id.eq(domain),
            virtual_users::addressed_at.eq(change.now.0),
            virtual_users::version.eq(virtual_users::version + 1),
            virtual_users::updated_at.eq(Moment(change.now)),
        ))
        .execute(conn)?;
    alias::redirect(conn, &account.email, &change.email)?;
    Ok(Outcome::Done)
}

pub(super) fn touch_login(conn: &mut Conn, change: &TouchLogin) -> Result<Outcome, Fault> {
    let account = existing(conn, change.account)?;
    let noted = account
        .last_login
        .is_some_and(|last| change.now.0.saturating_sub(last.0) < LOGIN_NOTED);
    if !noted {
        update(virtual_users::table.find(change.account.0))
            .set(virtual_users::last_login.eq(Moment(change.now)))
            .execute(conn)?;
    }
    Ok(Outcome::Done)
}

pub(super) fn remove(conn: &mut Conn, change: &RemoveAccount) -> Result<Outcome, Fault> {
    let id = change.account;
    existing(conn, id)?;
    for mailbox in mailbox::all(conn, id)? {
        expunge::take(
            conn,
            &mailbox,
            Scope::All,
            expunge::Keep::Recoverable,
            change.now,
        )?;
    }
    maildrop::forget(conn, id)?;
    restore::forget(conn, id)?;
    // Keywords and subscriptions go with them.
    diesel::delete(mailboxes::table.filter(mailboxes::account_id.eq(id.0))).execute(conn)?;
    run(
        conn,
        "UPDATE counter SET value = u.last_uid_validity FROM virtual_users u \
         WHERE u.id = ? AND name = 'uid_validity' AND value < u.last_uid_validity",
        &[Bind::Number(id.0)],
    )?;
    diesel::delete(virtual_users::table.find(id.0)).execute(conn)?;
    Ok(Outcome::Done)
}
