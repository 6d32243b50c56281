//! APPEND: a new message (I1, I2, I3, I4).

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SqliteConnection, insert_into,
    sql_types::{BigInt, Nullable},
};

use super::{
    account,
    fault::{Fault, number},
    mailbox::{self, Shift},
    place::{self, Born},
    schema::{blob, message, summary},
    sql::{Bind, rows},
};
use crate::{
    Error,
    index::{
        AccountId, Append, AppendAll, Appended, Change, Flags, Mailbox, MailboxId, ModSeq, Outcome,
        Uid, check,
    },
};

/// What is known of a body that was appended before.
struct Known {
    id: i64,
    birth_mailbox: i64,
    birth_uid: i64,
    birth_modseq: i64,
}

/// Makes a change that is one.
pub(super) fn make(conn: &mut SqliteConnection, change: &Change) -> Result<Outcome, Fault> {
    match change {
        Change::Append(one) => append(conn, one).map(Outcome::Appended),
        Change::AppendAll(all) => append_all(conn, all),
        _ => Err(Error::Invalid("not an append").into()),
    }
}

fn append(conn: &mut SqliteConnection, change: &Append) -> Result<Appended, Fault> {
    let (used, quota) = room(conn, change.account)?;
    let mailbox = mailbox::owned(conn, change.account, change.mailbox)?;
    let size = check::octets(change.blob.size)?;
    let known = known(conn, change, size)?;
    if let Some(known) = &known
        && let Some(again) = repeated(conn, &mailbox, known)?
    {
        return Ok(again);
    }
    check::room_for(used, change.blob.size, quota)?;
    let uid = mailbox.uid_next;
    let uid_next = check::uid_after(uid.0, 1)?;
    let modseq = mailbox::next_modseq(&mailbox)?;
    let keywords = mailbox::keyword_bits(conn, &mailbox, &change.keywords, check::Unknown::Add)?;
    let flags = (change.flags.0 & Flags::SYSTEM.0) | keywords.0;
    let blob = match known {
        Some(known) => known.id,
        None => insert_blob(conn, change, size, uid, modseq)?,
    };
    insert_into(message::table)
        .values((
            message::account_id.eq(change.account.0),
            message::mailbox_id.eq(change.mailbox.0),
            message::uid.eq(i64::from(uid.0)),
            message::modseq.eq(modseq),
            message::flags.eq(flags as i64),
            message::size.eq(size),
            message::internal_date.eq(change.internal_date.0),
            message::save_date.eq(change.now.0),
            message::blob_id.eq(blob),
        ))
        .execute(conn)?;
    let mut shift = Shift::default();
    shift.count(flags, size, 1);
    mailbox::advance(conn, &mailbox, shift, uid_next, modseq)?;
    account::charge(conn, change.account, size)?;
    Ok(Appended {
        uid_validity: mailbox.uid_validity,
        uid,
        modseq: ModSeq(number(modseq, "MODSEQ")?),
    })
}

/// What an account uses, and its quota. `NotFound` if it is gone.
fn room(conn: &mut SqliteConnection, id: AccountId) -> Result<(u64, Option<u64>), Fault> {
    let found: Vec<(i64, Option<i64>)> = rows::<(BigInt, Nullable<BigInt>), _>(
        conn,
        "SELECT used_quota, quota FROM virtual_users WHERE id = ?",
        &[Bind::Number(id.0)],
    )?;
    let (used, quota) = found.into_iter().next().ok_or(Error::NotFound("account"))?;
    let quota = quota.map(|it| number(it, "quota")).transpose()?;
    Ok((number(used, "used quota")?, quota))
}

/// All or none: who is refused takes the others back, because the batch gave this change one savepoint.
fn append_all(conn: &mut SqliteConnection, change: &AppendAll) -> Result<Outcome, Fault> {
    let appended: Result<_, _> = change.appends.iter().map(|it| append(conn, it)).collect();
    Ok(Outcome::AllAppended(appended?))
}

/// Writes what was read from the body; its row.
fn insert_blob(
    conn: &mut SqliteConnection,
    change: &Append,
    size: i64,
    uid: Uid,
    modseq: i64,
) -> Result<i64, Fault> {
    // Nearly all have the same.
    let line_size = place::line_size(&change.blob)?;
    let id = insert_into(blob::table)
        .values((
            blob::account_id.eq(change.account.0),
            blob::key.eq(change.blob.key.as_str()),
            blob::size.eq(size),
            blob::sha256.eq(change.blob.sha256.as_slice()),
            blob::birth_mailbox.eq(change.mailbox.0),
            blob::birth_uid.eq(i64::from(uid.0)),
            blob::birth_modseq.eq(modseq),
            blob::line_size.eq(line_size),
        ))
        .returning(blob::id)
        .get_result(conn)?;
    insert_into(summary::table)
        .values((
            summary::blob_id.eq(id),
            summary::octets.eq(&change.blob.summary),
        ))
        .execute(conn)?;
    Ok(id)
}

/// Writes bodies that came from elsewhere, and what was read from them.
pub(super) fn bodies(
    conn: &mut SqliteConnection,
    account: AccountId,
    mailbox: MailboxId,
    born: &[Born<'_>],
) -> Result<(), Fault> {
    let bodies: Vec<_> = born
        .iter()
        .map(|it| {
            (
                blob::account_id.eq(account.0),
                blob::key.eq(it.blob.key.as_str()),
                blob::size.eq(it.size),
                blob::sha256.eq(it.blob.sha256.as_slice()),
                blob::birth_mailbox.eq(mailbox.0),
                blob::birth_uid.eq(it.uid),
                blob::birth_modseq.eq(it.modseq),
                blob::line_size.eq(it.line_size),
            )
        })
        .collect();
    insert_into(blob::table).values(&bodies).execute(conn)?;
    let keys: Vec<&str> = born.iter().map(|it| it.blob.key.as_str()).collect();
    let ids = place::ids(conn, &keys)?;
    let summaries: Vec<_> = born
        .iter()
        .filter_map(|it| {
            let id = ids.get(it.blob.key.as_str())?;
            Some((
                summary::blob_id.eq(*id),
                summary::octets.eq(it.blob.summary.as_slice()),
            ))
        })
        .collect();
    insert_into(summary::table)
        .values(&summaries)
        .execute(conn)?;
    Ok(())
}

/// The body of this key, if the index has it. Another account's body, or other octets, never come under a key (I6); a doomed one
/// never comes back (I2).
fn known(conn: &mut SqliteConnection, change: &Append, size: i64) -> Result<Option<Known>, Fault> {
    type Row = (i64, i64, i64, Vec<u8>, i64, i64, i64, Option<i64>);
    let row: Option<Row> = blob::table
        .filter(blob::key.eq(change.blob.key.as_str()))
        .select((
            blob::id,
            blob::account_id,
            blob::size,
            blob::sha256,
            blob::birth_mailbox,
            blob::birth_uid,
            blob::birth_modseq,
            blob::doomed,
        ))
        .get_result(conn)
        .optional()?;
    let Some((id, account, known_size, sha256, birth_mailbox, birth_uid, birth_modseq, doomed)) =
        row
    else {
        return Ok(None);
    };
    if account != change.account.0 || known_size != size || sha256 != change.blob.sha256 {
        return Err(Error::Exists("blob").into());
    }
    if doomed.is_some() {
        return Err(Error::NotFound("blob").into());
    }
    Ok(Some(Known {
        id,
        birth_mailbox,
        birth_uid,
        birth_modseq,
    }))
}

/// What the first append of a body to this mailbox brought, wherever the message went since.
fn repeated(
    conn: &mut SqliteConnection,
    mailbox: &Mailbox,
    known: &Known,
) -> Result<Option<Appended>, Fault> {
    let found = if known.birth_mailbox == mailbox.id.0 {
        Some((known.birth_uid, known.birth_modseq))
    } else {
        message::table
            .filter(message::blob_id.eq(known.id))
            .filter(message::account_id.eq(mailbox.account.0))
            .filter(message::mailbox_id.eq(mailbox.id.0))
            .order(message::uid)
            .select((message::uid, message::modseq))
            .first(conn)
            .optional()?
    };
    let Some((uid, modseq)) = found else {
        return Ok(None);
    };
    Ok(Some(Appended {
        uid_validity: mailbox.uid_validity,
        uid: Uid(number(uid, "UID")?),
        modseq: ModSeq(number(modseq, "MODSEQ")?),
    }))
}
