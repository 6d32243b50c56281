//! Names of mailboxes: create, delete, rename (RFC 9051 section 6.3.4, section 6.3.5, section 6.3.6).
//!
//! **Invariants.** The parents of every name stand as rows. A mailbox that is deleted is never given again: what stays or comes
//! under its name is another row with another UIDVALIDITY.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, dsl::exists, insert_into, select, update};

use super::{
    Conn, account, copy, counter,
    expunge::{self, Scope},
    fault::{Fault, number},
    mailbox::{self, special_use_text},
    restore,
    schema::{mailbox as mailboxes, virtual_users},
};
use crate::{
    Error,
    index::{
        AccountId, CreateMailbox, DeleteMailbox, INBOX, Mailbox, MailboxId, Outcome, RenameMailbox,
        SpecialUse, Timestamp, check,
    },
};

pub(super) fn create(conn: &mut Conn, change: &CreateMailbox) -> Result<Outcome, Fault> {
    check::mailbox_name(&change.name)?;
    account::existing(conn, change.account)?;
    if count(conn, change.account)? == 0 {
        // Another program made the account, and nobody has looked at it yet.
        account::furnish_foreign(conn, change.account, change.now)?;
    }
    let same = mailbox::by_name(conn, change.account, &change.name)?;
    if same.as_ref().is_some_and(|it| it.selectable) {
        return Err(Error::Exists("mailbox").into());
    }
    if let Some(special_use) = change.special_use {
        let taken = mailboxes::table
            .filter(mailboxes::account_id.eq(change.account.0))
            .filter(mailboxes::special_use.eq(special_use_text(special_use)));
        if select(exists(taken)).get_result(conn)? {
            return Err(Error::Exists("special use").into());
        }
    }
    if let Some(name) = same {
        // Nothing ever lay under this row, so its UIDs and UIDVALIDITY are unused.
        update(mailboxes::table.find((name.account.0, name.id.0)))
            .set((
                mailboxes::selectable.eq(true),
                mailboxes::special_use.eq(change.special_use.map(special_use_text)),
                mailboxes::created.eq(change.now.0),
            ))
            .execute(conn)?;
        return Ok(Outcome::Mailbox(name.id));
    }
    make_parents(conn, change.account, &change.name, 1, change.now)?;
    let id = insert(
        conn,
        change.account,
        &change.name,
        change.special_use,
        change.now,
    )?;
    Ok(Outcome::Mailbox(id))
}

/// Makes the missing parents of a name, if there is room for them and `more` mailboxes.
pub(super) fn make_parents(
    conn: &mut Conn,
    account: AccountId,
    name: &str,
    more: u64,
    now: Timestamp,
) -> Result<(), Fault> {
    let mut missing = Vec::new();
    for parent in check::parents(name) {
        if mailbox::by_name(conn, account, parent)?.is_none() {
            missing.push(parent);
        }
    }
    let present = number(count(conn, account)?, "count of mailboxes")?;
    check::room_for_mailboxes(present, missing.len() as u64 + more)?;
    for parent in missing {
        insert(conn, account, parent, None, now)?;
    }
    Ok(())
}

fn count(conn: &mut Conn, account: AccountId) -> Result<i64, Fault> {
    Ok(mailboxes::table
        .filter(mailboxes::account_id.eq(account.0))
        .count()
        .get_result(conn)?)
}

/// Adds an empty mailbox; the caller has checked its name.
pub(super) fn insert(
    conn: &mut Conn,
    account: AccountId,
    name: &str,
    special_use: Option<SpecialUse>,
    now: Timestamp,
) -> Result<MailboxId, Fault> {
    let last: i64 = virtual_users::table
        .find(account.0)
        .select(virtual_users::last_uid_validity)
        .get_result(conn)?;
    let uid_validity = check::uid_validity_after(number(last, "UIDVALIDITY")?, now)?;
    update(virtual_users::table.find(account.0))
        .set(virtual_users::last_uid_validity.eq(i64::from(uid_validity)))
        .execute(conn)?;
    let id = counter::raise(conn, "mailbox", 1)?;
    insert_into(mailboxes::table)
        .values((
            mailboxes::account_id.eq(account.0),
            mailboxes::id.eq(id),
            mailboxes::name.eq(name),
            mailboxes::selectable.eq(true),
            mailboxes::special_use.eq(special_use.map(special_use_text)),
            mailboxes::uid_validity.eq(i64::from(uid_validity)),
            mailboxes::uid_next.eq(1),
            mailboxes::highest_modseq.eq(1),
            mailboxes::first_recent.eq(1),
            mailboxes::vanished_floor.eq(0),
            mailboxes::messages.eq(0),
            mailboxes::unseen.eq(0),
            mailboxes::deleted.eq(0),
            mailboxes::size.eq(0),
            mailboxes::created.eq(now.0),
        ))
        .execute(conn)?;
    Ok(MailboxId(id))
}

pub(super) fn delete(conn: &mut Conn, change: &DeleteMailbox) -> Result<Outcome, Fault> {
    if change.name == INBOX {
        return Err(Error::Invalid("INBOX cannot be deleted").into());
    }
    let found = mailbox::by_name(conn, change.account, &change.name)?;
    let found = found.ok_or(Error::NotFound("mailbox"))?;
    let parent = !children(conn, change.account, &change.name)?.is_empty();
    if parent && !found.selectable {
        return Err(Error::Exists("child").into());
    }
    expunge::take(
        conn,
        &found,
        Scope::All,
        expunge::Keep::Recoverable,
        change.now,
    )?;
    if found.selectable {
        restore::note(conn, &found, change.now)?;
    }
    delete_row(conn, &found)?;
    if parent {
        let id = insert(conn, change.account, &change.name, None, change.now)?;
        update(mailboxes::table.find((change.account.0, id.0)))
            .set(mailboxes::selectable.eq(false))
            .execute(conn)?;
    }
    Ok(Outcome::Done)
}

fn delete_row(conn: &mut Conn, mailbox: &Mailbox) -> Result<(), Fault> {
    diesel::delete(mailboxes::table.find((mailbox.account.0, mailbox.id.0))).execute(conn)?;
    Ok(())
}

/// Identifiers and names of all mailboxes below a name.
fn children(conn: &mut Conn, account: AccountId, name: &str) -> Result<Vec<(i64, String)>, Fault> {
    // All that begins with the name and the delimiter lies before the name and the character after the delimiter.
    let (from, to) = (format!("{name}/"), format!("{name}0"));
    Ok(mailboxes::table
        .filter(mailboxes::account_id.eq(account.0))
        .filter(mailboxes::name.gt(from))
        .filter(mailboxes::name.lt(to))
        .order(mailboxes::name)
        .select((mailboxes::id, mailboxes::name))
        .load(conn)?)
}

pub(super) fn rename(conn: &mut Conn, change: &RenameMailbox) -> Result<Outcome, Fault> {
    check::renaming(&change.from, &change.to)?;
    let from = mailbox::by_name(conn, change.account, &change.from)?;
    let from = from.ok_or(Error::NotFound("mailbox"))?;
    if mailbox::by_name(conn, change.account, &change.to)?.is_some() {
        return Err(Error::Exists("mailbox").into());
    }
    if change.from == INBOX {
        make_parents(conn, change.account, &change.to, 1, change.now)?;
        let id = insert(conn, change.account, &change.to, None, change.now)?;
        let to = mailbox::selectable(conn, id)?;
        copy::move_all(conn, &from, &to, change.now)?;
        return Ok(Outcome::Mailbox(id));
    }
    let mut renamed = vec![(from.id.0, change.to.clone())];
    for (id, name) in children(conn, change.account, &change.from)? {
        let name = format!("{}{}", change.to, &name[change.from.len()..]);
        check::mailbox_name(&name)?;
        renamed.push((id, name));
    }
    make_parents(conn, change.account, &change.to, 0, change.now)?;
    for (id, name) in renamed {
        update(mailboxes::table.find((change.account.0, id)))
            .set(mailboxes::name.eq(name))
            .execute(conn)?;
    }
    Ok(Outcome::Mailbox(from.id))
}
