//! STORE: flags (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).

use std::collections::BTreeMap;

use diesel::sql_types::{BigInt, Bool};

use super::{
    Conn,
    fault::{Fault, number},
    mailbox::{self, Shift},
    sql::{self, Bind, rows, run},
};
use crate::index::{Flags, Outcome, Reflag, Store, StoreMode, Stored, Uid, check};

pub(super) fn store(conn: &mut Conn, change: &Store) -> Result<Outcome, Fault> {
    let mailbox = mailbox::selectable(conn, change.mailbox)?;
    let unknown = match change.mode {
        StoreMode::Remove => check::Unknown::PassOver,
        StoreMode::Add | StoreMode::Replace => check::Unknown::Add,
    };
    let keywords = mailbox::keyword_bits(conn, &mailbox, &change.keywords, unknown)?;
    let bits = (change.flags.0 & Flags::SYSTEM.0) | keywords.0;
    let found: Vec<(i64, i64, i64)> = rows::<(BigInt, BigInt, BigInt), _>(
        conn,
        "SELECT uid, modseq, flags FROM message WHERE account_id = ? AND mailbox_id = ? \
         AND uid ? ORDER BY uid",
        &[
            Bind::Number(mailbox.account.0),
            Bind::Number(mailbox.id.0),
            Bind::Among(&sql::uid_list(&change.uids)),
        ],
    )?;
    let mut modified = Vec::new();
    let mut changed = Vec::new();
    let mut shift = Shift::default();
    for (uid, modseq, flags) in found {
        let uid = Uid(number(uid, "UID")?);
        let modseq: u64 = number(modseq, "MODSEQ")?;
        if change.unchanged_since.is_some_and(|it| modseq > it.0) {
            modified.push(uid);
            continue;
        }
        let before: u64 = number(flags, "flags")?;
        let after = combine(change.mode, before, bits);
        if after != before {
            shift.count(before, 0, -1);
            shift.count(after, 0, 1);
            changed.push(uid);
        }
    }
    if changed.is_empty() {
        return Ok(Outcome::Stored(Stored {
            highest_modseq: mailbox.highest_modseq.0,
            modified,
        }));
    }
    let modseq = mailbox::next_modseq(&mailbox)?;
    // Adding and removing have one bit mask for all messages, replacing one value.
    let text = match change.mode {
        StoreMode::Replace => {
            "UPDATE message SET flags = ?, modseq = ? \
             WHERE account_id = ? AND mailbox_id = ? AND uid ?"
        }
        StoreMode::Add => {
            "UPDATE message SET flags = flags | ?, modseq = ? \
             WHERE account_id = ? AND mailbox_id = ? AND uid ?"
        }
        StoreMode::Remove => {
            "UPDATE message SET flags = flags & ~?, modseq = ? \
             WHERE account_id = ? AND mailbox_id = ? AND uid ?"
        }
    };
    run(
        conn,
        text,
        &[
            Bind::Number(bits as i64),
            Bind::Number(modseq),
            Bind::Number(mailbox.account.0),
            Bind::Number(mailbox.id.0),
            Bind::Among(&sql::uid_list(&changed)),
        ],
    )?;
    mailbox::advance(conn, &mailbox, shift, mailbox.uid_next.0, modseq)?;
    Ok(Outcome::Stored(Stored {
        highest_modseq: number(modseq, "MODSEQ")?,
        modified,
    }))
}

/// Flags from elsewhere, where nobody has changed those here since they came.
pub(super) fn reflag(conn: &mut Conn, change: &Reflag) -> Result<Outcome, Fault> {
    check::reflagged(change)?;
    let mailbox = mailbox::owned(conn, change.account, change.mailbox)?;
    let mut wanted = BTreeMap::new();
    let mut known: BTreeMap<&[String], u64> = BTreeMap::new();
    for it in &change.messages {
        let keywords = match known.get(it.keywords.as_slice()) {
            Some(bits) => *bits,
            None => mailbox::keyword_bits(conn, &mailbox, &it.keywords, check::Unknown::Add)?.0,
        };
        known.insert(&it.keywords, keywords);
        wanted.insert(it.uid, (it.flags.0 & Flags::SYSTEM.0) | keywords);
    }
    let uids: Vec<Uid> = wanted.keys().copied().collect();
    let uids = sql::uid_list(&uids);
    let found: Vec<(i64, i64, bool)> = rows::<(BigInt, BigInt, Bool), _>(
        conn,
        concat!(
            "SELECT m.uid, m.flags, b.birth_mailbox = m.mailbox_id AND b.birth_uid = m.uid AND b.birth_modseq = m.modseq \
             FROM message m JOIN blob b ON ",
            same_account!("b", "m"),
            "b.id = m.blob_id WHERE m.account_id = ? AND m.mailbox_id = ? AND m.uid ? ORDER BY m.uid"
        ),
        &[
            Bind::Number(mailbox.account.0),
            Bind::Number(mailbox.id.0),
            Bind::Among(&uids),
        ],
    )?;
    let mut modified = Vec::new();
    let mut changed: BTreeMap<u64, Vec<Uid>> = BTreeMap::new();
    let mut shift = Shift::default();
    for (uid, flags, as_born) in found {
        let uid = Uid(number(uid, "UID")?);
        let before: u64 = number(flags, "flags")?;
        let after = wanted.get(&uid).copied().unwrap_or(before);
        if !as_born {
            modified.push(uid);
        } else if after != before {
            shift.count(before, 0, -1);
            shift.count(after, 0, 1);
            changed.entry(after).or_default().push(uid);
        }
    }
    if changed.is_empty() {
        return Ok(Outcome::Stored(Stored {
            highest_modseq: mailbox.highest_modseq.0,
            modified,
        }));
    }
    let modseq = mailbox::next_modseq(&mailbox)?;
    for (flags, uids) in &changed {
        run(
            conn,
            "UPDATE message SET flags = ?, modseq = ? WHERE account_id = ? AND mailbox_id = ? AND uid ?",
            &[
                Bind::Number(*flags as i64),
                Bind::Number(modseq),
                Bind::Number(mailbox.account.0),
                Bind::Number(mailbox.id.0),
                Bind::Among(&sql::uid_list(uids)),
            ],
        )?;
        // As if they had come like this.
        run(
            conn,
            "UPDATE blob SET birth_modseq = ? WHERE account_id = ? AND id IN ( \
                SELECT blob_id FROM message WHERE account_id = ? AND mailbox_id = ? AND uid ?)",
            &[
                Bind::Number(modseq),
                Bind::Number(mailbox.account.0),
                Bind::Number(mailbox.account.0),
                Bind::Number(mailbox.id.0),
                Bind::Among(&sql::uid_list(uids)),
            ],
        )?;
    }
    mailbox::advance(conn, &mailbox, shift, mailbox.uid_next.0, modseq)?;
    Ok(Outcome::Stored(Stored {
        highest_modseq: number(modseq, "MODSEQ")?,
        modified,
    }))
}

fn combine(mode: StoreMode, before: u64, bits: u64) -> u64 {
    match mode {
        StoreMode::Replace => bits,
        StoreMode::Add => before | bits,
        StoreMode::Remove => before & !bits,
    }
}
