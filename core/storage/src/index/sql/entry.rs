//! Entries of directories: reads and changes of `directory_entry`, the aliases that came from there, and leases.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, delete,
    dsl::exists, insert_into, select, update,
};

use super::{
    Conn, account, domain,
    fault::Fault,
    moment::Moment,
    schema::{directory_entry, lease, virtual_aliases, virtual_users},
};
use crate::{
    Error,
    index::{
        AccountId, AuthType, BindEntry, BindTo, DirectoryEntry, NewEntry, Outcome, SetEntryActive,
        TakeLease, Timestamp, UnbindEntry, check,
    },
};

type Row = (
    i64,
    String,
    String,
    Option<String>,
    Option<String>,
    i64,
    Option<i64>,
);

fn entry(row: Row, aliases: Vec<String>) -> DirectoryEntry {
    let (account, source, stable_id, display_name, department, seen, disabled) = row;
    DirectoryEntry {
        account: AccountId(account),
        source,
        stable_id,
        display_name,
        department,
        seen: Timestamp(seen),
        disabled: disabled.map(Timestamp),
        aliases,
    }
}

/// Sources of the aliases that came from an account's entry.
fn aliases(conn: &mut Conn, account: i64) -> Result<Vec<String>, Fault> {
    Ok(virtual_aliases::table
        .filter(virtual_aliases::directory_account.eq(account))
        .select(virtual_aliases::source)
        .order(virtual_aliases::source)
        .load(conn)?)
}

fn whole(conn: &mut Conn, row: Option<Row>) -> Result<Option<DirectoryEntry>, Fault> {
    let Some(row) = row else {
        return Ok(None);
    };
    let aliases = aliases(conn, row.0)?;
    Ok(Some(entry(row, aliases)))
}

pub(super) fn by_id(
    conn: &mut Conn,
    source: &str,
    stable_id: &str,
) -> Result<Option<DirectoryEntry>, Fault> {
    let row = directory_entry::table
        .filter(directory_entry::source.eq(source))
        .filter(directory_entry::stable_id.eq(stable_id))
        .get_result(conn)
        .optional()?;
    whole(conn, row)
}

pub(super) fn of(conn: &mut Conn, account: AccountId) -> Result<Option<DirectoryEntry>, Fault> {
    let row = directory_entry::table
        .find(account.0)
        .get_result(conn)
        .optional()?;
    whole(conn, row)
}

pub(super) fn all(conn: &mut Conn, source: &str) -> Result<Vec<DirectoryEntry>, Fault> {
    let brought: Vec<(Option<i64>, String)> = virtual_aliases::table
        .filter(virtual_aliases::directory_account.is_not_null())
        .select((virtual_aliases::directory_account, virtual_aliases::source))
        .order(virtual_aliases::source)
        .load(conn)?;
    let mut aliases: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (account, source) in brought {
        aliases
            .entry(account.unwrap_or_default())
            .or_default()
            .push(source);
    }
    let rows: Vec<Row> = directory_entry::table
        .filter(directory_entry::source.eq(source))
        .order(directory_entry::account_id)
        .load(conn)?;
    let whole = |row: Row| {
        let own = aliases.remove(&row.0).unwrap_or_default();
        entry(row, own)
    };
    Ok(rows.into_iter().map(whole).collect())
}

pub(super) fn bind(conn: &mut Conn, change: &BindEntry) -> Result<Outcome, Fault> {
    check::entry(&change.entry)?;
    let id = match &change.to {
        BindTo::Existing(id) => *id,
        BindTo::New(new) => account::add_one(conn, new, change.now)?,
    };
    let account = account::existing(conn, id)?;
    if account.auth != AuthType::Ldap {
        return Err(Error::Invalid("LDAP does not vouch for the account").into());
    }
    let new = &change.entry;
    let same = |it: &DirectoryEntry| it.source == new.source && it.stable_id == new.stable_id;
    let taken = of(conn, id)?.is_some_and(|it| !same(&it));
    let elsewhere = by_id(conn, &new.source, &new.stable_id)?.is_some_and(|it| it.account != id);
    if taken || elsewhere {
        return Err(Error::Exists("directory entry").into());
    }
    let says = (
        directory_entry::display_name.eq(&new.display_name),
        directory_entry::department.eq(&new.department),
        directory_entry::seen_at.eq(change.now.0),
    );
    insert_into(directory_entry::table)
        .values((
            directory_entry::account_id.eq(id.0),
            directory_entry::source.eq(&new.source),
            directory_entry::stable_id.eq(&new.stable_id),
            directory_entry::display_name.eq(&new.display_name),
            directory_entry::department.eq(&new.department),
            directory_entry::seen_at.eq(change.now.0),
        ))
        .on_conflict(directory_entry::account_id)
        .do_update()
        .set(says)
        .execute(conn)?;
    set_aliases(conn, id, &account.email, new)?;
    Ok(Outcome::Accounts(vec![id]))
}

/// Makes the aliases that came from an entry those that it names now.
fn set_aliases(conn: &mut Conn, id: AccountId, email: &str, new: &NewEntry) -> Result<(), Fault> {
    let before: BTreeSet<String> = aliases(conn, id.0)?.into_iter().collect();
    let wanted: BTreeSet<&str> = new.aliases.iter().map(String::as_str).collect();
    for gone in before.iter().filter(|it| !wanted.contains(it.as_str())) {
        delete(
            virtual_aliases::table
                .filter(virtual_aliases::source.eq(gone))
                .filter(virtual_aliases::directory_account.eq(id.0)),
        )
        .execute(conn)?;
    }
    for source in wanted.into_iter().filter(|it| !before.contains(*it)) {
        let domain = domain::id(conn, check::alias_source(source)?)?;
        let same = virtual_aliases::table.filter(
            virtual_aliases::source
                .eq(source)
                .and(virtual_aliases::destination.eq(email)),
        );
        if source == email || select(exists(same)).get_result(conn)? {
            continue;
        }
        insert_into(virtual_aliases::table)
            .values((
                virtual_aliases::source.eq(source),
                virtual_aliases::destination.eq(email),
                virtual_aliases::domain_id.eq(domain),
                virtual_aliases::is_active.eq(true),
                virtual_aliases::directory_account.eq(id.0),
            ))
            .execute(conn)?;
    }
    Ok(())
}

pub(super) fn unbind(conn: &mut Conn, change: &UnbindEntry) -> Result<Outcome, Fault> {
    let account = change.account.0;
    if delete(directory_entry::table.find(account)).execute(conn)? == 0 {
        return Err(Error::NotFound("directory entry").into());
    }
    delete(virtual_aliases::table.filter(virtual_aliases::directory_account.eq(account)))
        .execute(conn)?;
    Ok(Outcome::Done)
}

pub(super) fn set_active(conn: &mut Conn, change: &SetEntryActive) -> Result<Outcome, Fault> {
    let disabled = (!change.active).then_some(change.now.0);
    let noted = update(directory_entry::table.find(change.account.0))
        .set(directory_entry::disabled_at.eq(disabled))
        .execute(conn)?;
    if noted == 0 {
        return Err(Error::NotFound("directory entry").into());
    }
    update(virtual_users::table.find(change.account.0))
        .set((
            virtual_users::is_active.eq(change.active),
            virtual_users::version.eq(virtual_users::version + 1),
            virtual_users::updated_at.eq(Moment(change.now)),
        ))
        .execute(conn)?;
    Ok(Outcome::Done)
}

pub(super) fn take_lease(conn: &mut Conn, change: &TakeLease) -> Result<Outcome, Fault> {
    check::lease(&change.name)?;
    check::lease(&change.holder)?;
    let held: Option<(String, i64)> = lease::table
        .find(&change.name)
        .select((lease::holder, lease::until))
        .get_result(conn)
        .optional()?;
    if held.is_some_and(|(holder, until)| holder != change.holder && until > change.now.0) {
        return Err(Error::Exists("lease").into());
    }
    insert_into(lease::table)
        .values((
            lease::name.eq(&change.name),
            lease::holder.eq(&change.holder),
            lease::until.eq(change.until.0),
        ))
        .on_conflict(lease::name)
        .do_update()
        .set((
            lease::holder.eq(&change.holder),
            lease::until.eq(change.until.0),
        ))
        .execute(conn)?;
    Ok(Outcome::Done)
}
