//! Bringing expunged messages back (I10): what there is, and how it comes.

use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::{
    Conn, account,
    fault::{Fault, number},
    mailbox::{self, Shift},
    sql::{self, Bind, rising, rows, run},
};
use crate::{
    Error,
    index::{
        AccountId, BlobId, Copied, Flags, Mailbox, MailboxId, Outcome, Recoverable, Restore,
        Timestamp, Uid, check,
    },
};

/// Notes the name of a mailbox that is about to go, for as long as its messages can be brought back.
pub(super) fn note(conn: &mut Conn, mailbox: &Mailbox, now: Timestamp) -> Result<(), Fault> {
    let keywords = mailbox::keywords(conn, mailbox)?.join(" ");
    run(
        conn,
        "INSERT INTO gone_mailbox (account_id, id, name, keywords, deleted_at) VALUES (?, ?, ?, ?, ?)",
        &[
            Bind::Number(mailbox.account.0),
            Bind::Number(mailbox.id.0),
            Bind::Text(&mailbox.name),
            Bind::Text(&keywords),
            Bind::Number(now.0),
        ],
    )?;
    Ok(())
}

/// Forgets the names of an account that goes.
pub(super) fn forget(conn: &mut Conn, account: AccountId) -> Result<(), Fault> {
    run(
        conn,
        "DELETE FROM gone_mailbox WHERE account_id = ?",
        &[Bind::Number(account.0)],
    )?;
    Ok(())
}

/// Forgets the names of mailboxes that went before a time and left nothing that can be brought back.
pub(super) fn forget_old(conn: &mut Conn, before: Timestamp) -> Result<(), Fault> {
    run(
        conn,
        "DELETE FROM gone_mailbox WHERE deleted_at < ? AND NOT EXISTS (SELECT 1 FROM expunged e \
         WHERE e.account_id = gone_mailbox.account_id AND e.mailbox_id = gone_mailbox.id)",
        &[Bind::Number(before.0)],
    )?;
    Ok(())
}

pub(super) fn recoverable(
    conn: &mut Conn,
    account: AccountId,
    after: (MailboxId, Uid),
    limit: u32,
) -> Result<Vec<Recoverable>, Fault> {
    type Columns = (
        (BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt),
        Nullable<Text>,
        Nullable<Text>,
        Nullable<Binary>,
    );
    type Row = (
        (i64, i64, i64, i64, i64, i64, i64),
        Option<String>,
        Option<String>,
        Option<Vec<u8>>,
    );
    let found: Vec<Row> = rows::<Columns, _>(
        conn,
        concat!(
            "SELECT e.mailbox_id, e.uid, e.flags, e.size, e.internal_date, e.expunged_at, e.blob_id, \
                m.name, g.name, s.octets \
             FROM expunged e \
             LEFT JOIN mailbox m ON m.account_id = e.account_id AND m.id = e.mailbox_id \
             LEFT JOIN gone_mailbox g ON g.account_id = e.account_id AND g.id = e.mailbox_id \
             LEFT JOIN summary s ON ",
            same_account!("s", "e"),
            "s.blob_id = e.blob_id \
             WHERE e.account_id = ? AND (e.mailbox_id, e.uid) > (?, ?) AND e.recoverable \
             ORDER BY e.mailbox_id, e.uid LIMIT ?"
        ),
        &[
            Bind::Number(account.0),
            Bind::Number(after.0.0),
            Bind::Number(after.1.0.into()),
            Bind::Number(limit.into()),
        ],
    )?;
    let read = |(numbers, name, was, summary): Row| {
        let (mailbox, uid, flags, size, internal_date, expunged, blob) = numbers;
        Ok(Recoverable {
            mailbox: MailboxId(mailbox),
            there: name.is_some(),
            name: name.or(was),
            uid: Uid(number(uid, "UID")?),
            flags: Flags(number(flags, "flags")?),
            size: number(size, "size of a message")?,
            internal_date: Timestamp(internal_date),
            expunged: Timestamp(expunged),
            blob: BlobId(blob),
            summary: summary.unwrap_or_default(),
        })
    };
    Ok(found.into_iter().map(read).collect::<Result<_, Error>>()?)
}

pub(super) fn restore(conn: &mut Conn, change: &Restore) -> Result<Outcome, Fault> {
    let account = account::existing(conn, change.account)?;
    let to = mailbox::owned(conn, change.account, change.to)?;
    type Row = (i64, i64, i64, i64);
    let found: Vec<Row> = rows::<(BigInt, BigInt, BigInt, BigInt), _>(
        conn,
        "SELECT uid, flags & ~8, size, keywords FROM expunged WHERE account_id = ? AND mailbox_id = ? AND recoverable \
         AND uid ? ORDER BY uid",
        &[
            Bind::Number(change.account.0),
            Bind::Number(change.from.0),
            Bind::Among(&sql::uid_list(&rising(&change.uids))),
        ],
    )?;
    let mut shift = Shift::default();
    let mut any_keywords = 0;
    let mut from = Vec::with_capacity(found.len());
    for (uid, flags, size, keywords) in found {
        shift.count(number(flags, "flags")?, size, 1);
        any_keywords |= number::<u64>(keywords, "keywords")?;
        from.push(Uid(number(uid, "UID")?));
    }
    let mut copied = Copied {
        uid_validity: to.uid_validity.0,
        ..Copied::default()
    };
    if from.is_empty() {
        return Ok(Outcome::Copied(copied));
    }
    check::room_for(account.used, number(shift.size, "size")?, account.quota)?;
    let first = to.uid_next.0;
    let uid_next = check::uid_after(first, from.len())?;
    let modseq = mailbox::next_modseq(&to)?;
    let keywords = translated_keywords(conn, change, &to, any_keywords)?;
    let list = sql::uid_list(&from);
    let text = format!(
        "INSERT INTO message (account_id, mailbox_id, uid, modseq, flags, size, internal_date, save_date, blob_id) \
         SELECT e.account_id, ?, ? + j.key, ?, (e.flags & ~8) | {keywords}, e.size, e.internal_date, ?, e.blob_id \
         FROM ? j CROSS JOIN expunged e WHERE e.account_id = ? AND e.mailbox_id = ? AND e.uid = j.value"
    );
    sql::run_once(
        conn,
        &text,
        &[
            Bind::Number(to.id.0),
            Bind::Number(first.into()),
            Bind::Number(modseq),
            Bind::Number(change.now.0),
            Bind::Numbered(&list),
            Bind::Number(change.account.0),
            Bind::Number(change.from.0),
        ],
    )?;
    // The trace stays for who still has to hear that they went.
    run(
        conn,
        "UPDATE expunged SET recoverable = FALSE WHERE account_id = ? AND mailbox_id = ? \
         AND uid ?",
        &[
            Bind::Number(change.account.0),
            Bind::Number(change.from.0),
            Bind::Among(&list),
        ],
    )?;
    mailbox::advance(conn, &to, shift, uid_next, modseq)?;
    account::charge(conn, change.account, shift.size)?;
    copied.from = from;
    copied.to = (first..uid_next).map(Uid).collect();
    Ok(Outcome::Copied(copied))
}

/// An SQL expression for the keywords of a message that comes back, by the numbers of its new mailbox. Made of numbers alone.
fn translated_keywords(
    conn: &mut Conn,
    change: &Restore,
    to: &Mailbox,
    any: u64,
) -> Result<String, Fault> {
    if any == 0 {
        return Ok("0".to_owned());
    }
    if change.from == change.to {
        return Ok("e.keywords".to_owned());
    }
    let mut expression = "(0".to_owned();
    let names = names_of_keywords(conn, change.account, change.from)?;
    for (number, name) in names.into_iter().enumerate() {
        let bit = check::keyword_bit(number);
        if any & bit == 0 {
            continue;
        }
        let there = match mailbox::keyword_bits(conn, to, &[name], check::Unknown::Add) {
            Ok(there) => there.0,
            // The message is worth more than one of its keywords.
            Err(Fault::Refused(Error::Limit { .. })) => continue,
            Err(fault) => return Err(fault),
        };
        expression.push_str(&format!(
            " | CASE WHEN e.keywords & {bit} <> 0 THEN {there} ELSE 0 END"
        ));
    }
    expression.push(')');
    Ok(expression)
}

/// The names of the keywords of a mailbox, by number, also of one that is gone.
fn names_of_keywords(
    conn: &mut Conn,
    account: AccountId,
    id: MailboxId,
) -> Result<Vec<String>, Fault> {
    if let Some(mailbox) = mailbox::by_id(conn, id)? {
        return mailbox::keywords(conn, &mailbox);
    }
    let noted: Vec<(String,)> = rows::<(Text,), _>(
        conn,
        "SELECT keywords FROM gone_mailbox WHERE account_id = ? AND id = ?",
        &[Bind::Number(account.0), Bind::Number(id.0)],
    )?;
    let names = noted.first().map_or("", |(names,)| names.as_str());
    Ok(names.split_whitespace().map(str::to_owned).collect())
}
