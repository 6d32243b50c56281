//! STORE: flags (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).

use diesel::sql_types::BigInt;

use super::{
    Conn,
    fault::{Fault, number},
    mailbox::{self, Shift},
    sql::{self, Bind, rows, run},
};
use crate::index::{Flags, Outcome, Store, StoreMode, Stored, Uid, check};

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

fn combine(mode: StoreMode, before: u64, bits: u64) -> u64 {
    match mode {
        StoreMode::Replace => bits,
        StoreMode::Add => before | bits,
        StoreMode::Remove => before & !bits,
    }
}
