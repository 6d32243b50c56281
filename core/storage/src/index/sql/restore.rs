//! Bringing expunged messages back (I10): what there is, and how it comes.

use std::collections::BTreeMap;

use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::{
    Conn, account, blob,
    fault::{Fault, number},
    mailbox::{self, Shift},
    sql::{self, Bind, rising, rows, run},
};
use crate::{
    Error,
    index::{
        AccountId, Copied, Flags, Mailbox, MailboxId, ModSeq, Outcome, Recoverable, Restore,
        Timestamp, Uid, check,
    },
};

/// Notes the name of a mailbox that is about to go, for as long as its messages can be brought back.
pub(super) fn note(conn: &mut Conn, mailbox: &Mailbox, now: Timestamp) -> Result<(), Fault> {
    let keywords = mailbox::keywords(conn, mailbox)?;
    note_as(
        conn,
        mailbox.account,
        mailbox.id,
        (&mailbox.name, &keywords),
        now,
    )
}

/// Notes name and keywords of a mailbox that is not there.
pub(super) fn note_as(
    conn: &mut Conn,
    account: AccountId,
    id: MailboxId,
    (name, keywords): (&str, &[String]),
    deleted: Timestamp,
) -> Result<(), Fault> {
    run(
        conn,
        "INSERT INTO gone_mailbox (account_id, id, name, keywords, deleted_at) VALUES (?, ?, ?, ?, ?)",
        &[
            Bind::Number(account.0),
            Bind::Number(id.0),
            Bind::Text(name),
            Bind::Text(&keywords.join(" ")),
            Bind::Number(deleted.0),
        ],
    )?;
    Ok(())
}

/// Notes the keywords of a mailbox that is not there anew.
pub(super) fn note_keywords(
    conn: &mut Conn,
    account: AccountId,
    id: MailboxId,
    keywords: &[String],
) -> Result<(), Fault> {
    run(
        conn,
        "UPDATE gone_mailbox SET keywords = ? WHERE account_id = ? AND id = ?",
        &[
            Bind::Text(&keywords.join(" ")),
            Bind::Number(account.0),
            Bind::Number(id.0),
        ],
    )?;
    Ok(())
}

/// The mailbox that went by this name at this time, with its keywords.
pub(super) fn noted(
    conn: &mut Conn,
    account: AccountId,
    name: &str,
    deleted: Timestamp,
) -> Result<Option<(MailboxId, Vec<String>)>, Fault> {
    let found = rows::<(BigInt, Text), (i64, String)>(
        conn,
        "SELECT id, keywords FROM gone_mailbox WHERE account_id = ? AND name = ? AND deleted_at = ? \
         ORDER BY id LIMIT 1",
        &[
            Bind::Number(account.0),
            Bind::Text(name),
            Bind::Number(deleted.0),
        ],
    )?;
    let read = |(id, keywords): (i64, String)| (MailboxId(id), split(&keywords));
    Ok(found.into_iter().next().map(read))
}

fn split(keywords: &str) -> Vec<String> {
    keywords.split_whitespace().map(str::to_owned).collect()
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

pub(super) fn count(conn: &mut Conn, account: AccountId, since: Timestamp) -> Result<u64, Fault> {
    let found = rows::<(BigInt,), (i64,)>(
        conn,
        "SELECT count(*) FROM expunged WHERE account_id = ? AND expunged_at >= ? AND recoverable",
        &[Bind::Number(account.0), Bind::Number(since.0)],
    )?;
    let (count,) = found.first().copied().unwrap_or_default();
    Ok(number(count, "count of expunged messages")?)
}

pub(super) fn recoverable(
    conn: &mut Conn,
    account: AccountId,
    after: (MailboxId, Uid),
    limit: u32,
) -> Result<Vec<Recoverable>, Fault> {
    type Columns = (
        (
            BigInt,
            BigInt,
            BigInt,
            BigInt,
            BigInt,
            BigInt,
            BigInt,
            BigInt,
        ),
        (Nullable<Text>, Nullable<Text>, Nullable<BigInt>),
        Nullable<Binary>,
        (BigInt, Text, BigInt, Binary),
        BigInt,
    );
    type Row = (
        (i64, i64, i64, i64, i64, i64, i64, i64),
        (Option<String>, Option<String>, Option<i64>),
        Option<Vec<u8>>,
        blob::BlobRow,
        i64,
    );
    let found: Vec<Row> = rows::<Columns, _>(
        conn,
        concat!(
            "SELECT e.mailbox_id, e.uid, e.modseq, e.flags, e.keywords, e.size, e.internal_date, e.expunged_at, \
                m.name, g.name, g.deleted_at, s.octets, b.id, b.key, b.size, b.sha256, coalesce(b.line_size, b.size) \
             FROM expunged e \
             JOIN blob b ON ",
            same_account!("b", "e"),
            "b.id = e.blob_id \
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
    let mut names: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let mut all = Vec::with_capacity(found.len());
    for (numbers, (name, was, deleted), summary, body, line_size) in found {
        let (mailbox, uid, modseq, flags, keywords, size, internal_date, expunged) = numbers;
        if keywords != 0 && !names.contains_key(&mailbox) {
            let known = names_of_keywords(conn, account, MailboxId(mailbox))?;
            names.insert(mailbox, known);
        }
        let known = names.get(&mailbox).map_or(&[][..], Vec::as_slice);
        all.push(Recoverable {
            mailbox: MailboxId(mailbox),
            there: name.is_some(),
            name: name.or(was),
            deleted: deleted.map(Timestamp),
            uid: Uid(number(uid, "UID")?),
            modseq: ModSeq(number(modseq, "MODSEQ")?),
            flags: Flags(number(flags, "flags")?),
            keywords: check::keywords_in(number(keywords, "keywords")?, known),
            size: number(size, "size of a message")?,
            line_size: number(line_size, "size of a message")?,
            internal_date: Timestamp(internal_date),
            expunged: Timestamp(expunged),
            body: blob::read(body)?,
            summary: summary.unwrap_or_default(),
        });
    }
    Ok(all)
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
    Ok(noted.first().map_or_else(Vec::new, |(names,)| split(names)))
}
