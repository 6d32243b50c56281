//! Mail that comes from elsewhere with its numbers, and what is read to take them there.

use std::collections::HashMap;

use diesel::{
    ExpressionMethods, QueryDsl, RunQueryDsl, insert_into,
    sql_types::{BigInt, Text},
    update,
};

use super::{
    Conn, account, append,
    fault::{Fault, number},
    mailbox::{self, Shift, special_use_text},
    name,
    schema::{blob, mailbox as mailboxes, message, virtual_users},
    sql::{Bind, rows},
};
use crate::{
    Error,
    index::{
        AccountId, Flags, Mailbox, MailboxId, NewBlob, Outcome, PlaceMailbox, PlaceMessages,
        PlacedMessage, SpecialUse, Timestamp, Uid, check,
    },
};

pub(super) fn mailbox(conn: &mut Conn, change: &PlaceMailbox) -> Result<Outcome, Fault> {
    check::mailbox_name(&change.name)?;
    check::numbers(change)?;
    account::existing(conn, change.account)?;
    let id = match mailbox::by_name(conn, change.account, &change.name)? {
        Some(found) => {
            match check::placing(&found, change)? {
                check::Placing::Raise => raise(conn, &found, change)?,
                check::Placing::Settle => settle(conn, &found, change)?,
            }
            found.id
        }
        None => {
            name::make_parents(conn, change.account, &change.name, 1, change.created)?;
            let id = name::insert(conn, change.account, &change.name, None, change.created)?;
            let found = mailbox::by_id(conn, id)?.ok_or(Error::NotFound("mailbox"))?;
            settle(conn, &found, change)?;
            id
        }
    };
    let found = mailbox::by_id(conn, id)?.ok_or(Error::NotFound("mailbox"))?;
    mailbox::keyword_bits(conn, &found, &change.keywords, check::Unknown::Add)?;
    Ok(Outcome::Mailbox(id))
}

/// Raises the numbers of a mailbox that was placed before.
fn raise(conn: &mut Conn, found: &Mailbox, change: &PlaceMailbox) -> Result<(), Fault> {
    let uid_next = found.uid_next.max(change.uid_next);
    update(mailboxes::table.find((found.account.0, found.id.0)))
        .set((
            mailboxes::uid_next.eq(i64::from(uid_next.0)),
            mailboxes::highest_modseq.eq(found.highest_modseq.max(change.highest_modseq).0 as i64),
            mailboxes::first_recent.eq(i64::from(found.first_recent.max(change.first_recent).0)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Gives a mailbox that has never given a UID the numbers it had elsewhere.
fn settle(conn: &mut Conn, found: &Mailbox, change: &PlaceMailbox) -> Result<(), Fault> {
    let special_use = match change.special_use {
        Some(wanted) if !taken(conn, change.account, found.id, wanted)? => Some(wanted),
        _ => found.special_use,
    };
    let highest = found.highest_modseq.max(change.highest_modseq).0 as i64;
    update(mailboxes::table.find((found.account.0, found.id.0)))
        .set((
            mailboxes::selectable.eq(change.selectable),
            mailboxes::special_use.eq(special_use.map(special_use_text)),
            mailboxes::uid_validity.eq(i64::from(change.uid_validity.0)),
            mailboxes::uid_next.eq(i64::from(change.uid_next.0)),
            mailboxes::highest_modseq.eq(highest),
            mailboxes::vanished_floor.eq(highest),
            mailboxes::first_recent.eq(i64::from(change.first_recent.0)),
            mailboxes::created.eq(change.created.0),
        ))
        .execute(conn)?;
    // No later mailbox of the account may have a value as low.
    let validity = i64::from(change.uid_validity.0);
    update(
        virtual_users::table
            .filter(virtual_users::id.eq(change.account.0))
            .filter(virtual_users::last_uid_validity.lt(validity)),
    )
    .set(virtual_users::last_uid_validity.eq(validity))
    .execute(conn)?;
    Ok(())
}

fn taken(
    conn: &mut Conn,
    account: AccountId,
    but: MailboxId,
    special_use: SpecialUse,
) -> Result<bool, Fault> {
    let others: i64 = mailboxes::table
        .filter(mailboxes::account_id.eq(account.0))
        .filter(mailboxes::id.ne(but.0))
        .filter(mailboxes::special_use.eq(special_use_text(special_use)))
        .count()
        .get_result(conn)?;
    Ok(others > 0)
}

/// What is known of a body.
pub(super) struct Known {
    account: i64,
    size: i64,
    sha256: Vec<u8>,
    birth_mailbox: i64,
    doomed: bool,
}

/// A message that will be a row.
struct Row<'a> {
    from: &'a PlacedMessage,
    uid: i64,
    modseq: i64,
    flags: i64,
    size: i64,
}

pub(super) fn messages(conn: &mut Conn, change: &PlaceMessages) -> Result<Outcome, Fault> {
    check::placed(change)?;
    account::existing(conn, change.account)?;
    let found = mailbox::owned(conn, change.account, change.mailbox)?;
    let mut known = known(conn, &keys(change.messages.iter()))?;
    let next_modseq = mailbox::next_modseq(&found)?;
    let mut names = mailbox::keywords(conn, &found)?;
    let mut wanted = Vec::new();
    let (mut uid_next, mut highest) = (found.uid_next, found.highest_modseq.0 as i64);
    let mut shift = Shift::default();
    let (mut rows, mut bodies) = (Vec::new(), Vec::new());
    let mut placed = Vec::with_capacity(change.messages.len());
    for from in &change.messages {
        let body = known.get(from.blob.key.as_str());
        let born_here = body.is_some_and(|it| it.birth_mailbox == found.id.0);
        if check::was_placed(change.repeat, from, uid_next, born_here) {
            placed.push(None);
            continue;
        }
        let size = check::octets(from.blob.size)?;
        match body {
            Some(body) => body.fits(change.account, &from.blob, size)?,
            None => bodies.push((from, uid_next)),
        }
        let uid = from.uid.map_or(uid_next, |uid| uid.max(uid_next));
        let modseq = match from.modseq {
            Some(modseq) => i64::try_from(modseq.0).map_err(|_| Error::Invalid("not a MODSEQ"))?,
            None => next_modseq,
        };
        let keywords = check::keywords(&mut names, &from.keywords, check::Unknown::Add)?;
        wanted.extend_from_slice(&from.keywords);
        let flags = (from.flags.0 & Flags::SYSTEM.0) | keywords.0;
        if let Some((_, at)) = bodies.last_mut().filter(|_| body.is_none()) {
            *at = uid;
            let born = Known::born(change.account, found.id, &from.blob, size);
            known.insert(from.blob.key.as_str().to_owned(), born);
        }
        rows.push(Row {
            from,
            uid: uid.0.into(),
            modseq,
            flags: flags as i64,
            size,
        });
        shift.count(flags, size, 1);
        highest = highest.max(modseq);
        uid_next = Uid(check::uid_after(uid.0, 1)?);
        placed.push(Some(uid));
    }
    if rows.is_empty() {
        return Ok(Outcome::Placed(placed));
    }
    mailbox::keyword_bits(conn, &found, &wanted, check::Unknown::Add)?;
    let births: HashMap<&str, i64> = bodies
        .iter()
        .map(|(from, uid)| (from.blob.key.as_str(), i64::from(uid.0)))
        .collect();
    write_bodies(conn, &found, &rows, &births)?;
    write_messages(conn, change, &rows)?;
    mailbox::advance(conn, &found, shift, uid_next.0, highest)?;
    account::charge(conn, change.account, shift.size)?;
    Ok(Outcome::Placed(placed))
}

impl Known {
    /// What is known of a body that will be written.
    pub(super) fn born(account: AccountId, mailbox: MailboxId, blob: &NewBlob, size: i64) -> Self {
        Known {
            account: account.0,
            size,
            sha256: blob.sha256.to_vec(),
            birth_mailbox: mailbox.0,
            doomed: false,
        }
    }

    /// Another account's body, or other octets, never come under a key (I6); a doomed one never comes back (I2).
    pub(super) fn fits(&self, account: AccountId, blob: &NewBlob, size: i64) -> Result<(), Error> {
        let same = self.account == account.0 && self.size == size && self.sha256 == blob.sha256;
        match (same, self.doomed) {
            (false, _) => Err(Error::Exists("blob")),
            (true, true) => Err(Error::NotFound("blob")),
            (true, false) => Ok(()),
        }
    }
}

fn keys<'a>(rows: impl Iterator<Item = &'a PlacedMessage>) -> Vec<&'a str> {
    rows.map(|it| it.blob.key.as_str()).collect()
}

/// What is known of bodies, by their keys.
pub(super) fn known(conn: &mut Conn, keys: &[&str]) -> Result<HashMap<String, Known>, Fault> {
    type Found = (String, i64, i64, Vec<u8>, i64, Option<i64>);
    let found: Vec<Found> = blob::table
        .filter(blob::key.eq_any(keys))
        .select((
            blob::key,
            blob::account_id,
            blob::size,
            blob::sha256,
            blob::birth_mailbox,
            blob::doomed,
        ))
        .load(conn)?;
    let known = |(key, account, size, sha256, birth_mailbox, doomed): Found| {
        let known = Known {
            account,
            size,
            sha256,
            birth_mailbox,
            doomed: doomed.is_some(),
        };
        (key, known)
    };
    Ok(found.into_iter().map(known).collect())
}

/// A body that is new.
pub(super) struct Born<'a> {
    pub(super) blob: &'a NewBlob,
    pub(super) size: i64,
    pub(super) line_size: Option<i64>,
    pub(super) uid: i64,
    pub(super) modseq: i64,
}

/// Writes the bodies that are new, and what was read from them.
fn write_bodies(
    conn: &mut Conn,
    mailbox: &Mailbox,
    rows: &[Row<'_>],
    births: &HashMap<&str, i64>,
) -> Result<(), Fault> {
    let mut born = Vec::with_capacity(births.len());
    for row in rows {
        let blob = &row.from.blob;
        if births.get(blob.key.as_str()) != Some(&row.uid) {
            continue;
        }
        born.push(Born {
            blob,
            size: row.size,
            line_size: line_size(blob)?,
            uid: row.uid,
            modseq: row.modseq,
        });
    }
    match born.is_empty() {
        true => Ok(()),
        false => append::bodies(conn, mailbox.account, mailbox.id, &born),
    }
}

/// Octets as lines, where they are others than the body's.
pub(super) fn line_size(blob: &NewBlob) -> Result<Option<i64>, Error> {
    match blob.line_size {
        same if same == blob.size => Ok(None),
        other => check::octets(other).map(Some),
    }
}

fn write_messages(conn: &mut Conn, change: &PlaceMessages, rows: &[Row<'_>]) -> Result<(), Fault> {
    let ids = ids(conn, &keys(rows.iter().map(|it| it.from)))?;
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        messages.push((
            message::account_id.eq(change.account.0),
            message::mailbox_id.eq(change.mailbox.0),
            message::uid.eq(row.uid),
            message::modseq.eq(row.modseq),
            message::flags.eq(row.flags),
            message::size.eq(row.size),
            message::internal_date.eq(row.from.internal_date.0),
            message::save_date.eq(row.from.save_date.0),
            message::blob_id.eq(id_of(&ids, row)?),
            message::retrieved_at.eq(row.from.retrieved.map(|it| it.0)),
            message::pop3_uidl.eq(row.from.unique_id.as_deref()),
        ));
    }
    insert_into(message::table)
        .values(&messages)
        .execute(conn)?;
    Ok(())
}

pub(super) fn ids(conn: &mut Conn, keys: &[&str]) -> Result<HashMap<String, i64>, Fault> {
    let found: Vec<(String, i64)> = blob::table
        .filter(blob::key.eq_any(keys))
        .select((blob::key, blob::id))
        .load(conn)?;
    Ok(found.into_iter().collect())
}

fn id_of(ids: &HashMap<String, i64>, row: &Row<'_>) -> Result<i64, Error> {
    let id = ids.get(row.from.blob.key.as_str()).copied();
    id.ok_or_else(|| Error::Corrupt("a body that was written is not there".to_owned()))
}

pub(super) fn unique_ids(conn: &mut Conn, id: MailboxId) -> Result<Vec<(Uid, String)>, Fault> {
    let Some(mailbox) = mailbox::by_id(conn, id)? else {
        return Ok(Vec::new());
    };
    let found: Vec<(i64, String)> = rows::<(BigInt, Text), _>(
        conn,
        concat!(
            "SELECT uid, pop3_uidl FROM message ",
            indexed_by!("message_uidl"),
            "WHERE account_id = ? AND mailbox_id = ? AND pop3_uidl IS NOT NULL ORDER BY uid",
        ),
        &[Bind::Number(mailbox.account.0), Bind::Number(id.0)],
    )?;
    let read = |(uid, unique_id)| Ok((Uid(number(uid, "UID")?), unique_id));
    Ok(found.into_iter().map(read).collect::<Result<_, Error>>()?)
}

pub(super) fn retrieved(conn: &mut Conn, id: MailboxId) -> Result<Vec<(Uid, Timestamp)>, Fault> {
    let Some(mailbox) = mailbox::by_id(conn, id)? else {
        return Ok(Vec::new());
    };
    let found: Vec<(i64, i64)> = rows::<(BigInt, BigInt), _>(
        conn,
        concat!(
            "SELECT uid, retrieved_at FROM message ",
            indexed_by!("message_retrieved"),
            "WHERE account_id = ? AND mailbox_id = ? AND retrieved_at IS NOT NULL ORDER BY uid",
        ),
        &[Bind::Number(mailbox.account.0), Bind::Number(id.0)],
    )?;
    let read = |(uid, at)| Ok((Uid(number(uid, "UID")?), Timestamp(at)));
    Ok(found.into_iter().map(read).collect::<Result<_, Error>>()?)
}
