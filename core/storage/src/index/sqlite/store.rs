//! STORE: flags (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).

use diesel::{
    QueryableByName, RunQueryDsl, SqliteConnection, sql_query,
    sql_types::{BigInt, Text},
};

use super::{
    fault::{Fault, number},
    mailbox::{self, Shift},
    sql::{self, Bind, run},
};
use crate::index::{Flags, Outcome, Store, StoreMode, Stored, Uid, check};

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    uid: i64,
    #[diesel(sql_type = BigInt)]
    modseq: i64,
    #[diesel(sql_type = BigInt)]
    flags: i64,
}

pub(super) fn store(conn: &mut SqliteConnection, change: &Store) -> Result<Outcome, Fault> {
    let mailbox = mailbox::selectable(conn, change.mailbox)?;
    let unknown = match change.mode {
        StoreMode::Remove => check::Unknown::PassOver,
        StoreMode::Add | StoreMode::Replace => check::Unknown::Add,
    };
    let keywords = mailbox::keyword_bits(conn, &mailbox, &change.keywords, unknown)?;
    let bits = (change.flags.0 & Flags::SYSTEM.0) | keywords.0;
    let rows: Vec<Row> = sql_query(
        "SELECT uid, modseq, flags FROM message WHERE account_id = ? AND mailbox_id = ? \
         AND uid IN (SELECT value FROM json_each(?)) ORDER BY uid",
    )
    .bind::<BigInt, _>(mailbox.account.0)
    .bind::<BigInt, _>(mailbox.id.0)
    .bind::<Text, _>(sql::uid_list(&change.uids))
    .load(conn)?;
    let mut modified = Vec::new();
    let mut changed = Vec::new();
    let mut shift = Shift::default();
    for row in rows {
        let uid = Uid(number(row.uid, "UID")?);
        let modseq: u64 = number(row.modseq, "MODSEQ")?;
        if change.unchanged_since.is_some_and(|it| modseq > it.0) {
            modified.push(uid);
            continue;
        }
        let before: u64 = number(row.flags, "flags")?;
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
             WHERE account_id = ? AND mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))"
        }
        StoreMode::Add => {
            "UPDATE message SET flags = flags | ?, modseq = ? \
             WHERE account_id = ? AND mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))"
        }
        StoreMode::Remove => {
            "UPDATE message SET flags = flags & ~?, modseq = ? \
             WHERE account_id = ? AND mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))"
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
            Bind::Text(&sql::uid_list(&changed)),
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
