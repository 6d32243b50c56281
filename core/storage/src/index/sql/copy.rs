//! COPY and MOVE (RFC 9051 section 6.4.7, section 6.4.8). Bodies stay where they lie.

use super::{
    Conn, account,
    expunge::{self, Keep, Picked, Scope},
    fault::Fault,
    mailbox,
    sql::{self, Bind},
};
use crate::index::{Copied, Copy, CopyMode, Flags, Mailbox, Outcome, Timestamp, Uid, check};

pub(super) fn copy(conn: &mut Conn, change: &Copy) -> Result<Outcome, Fault> {
    let account = account::existing(conn, change.account)?;
    let from = mailbox::owned(conn, change.account, change.from)?;
    let to = mailbox::owned(conn, change.account, change.to)?;
    let picked = expunge::pick(conn, &from, &Scope::Among(&change.uids))?;
    if change.mode == CopyMode::Copy {
        let octets = picked.size;
        check::room_for(account.used, octets, account.quota)?;
        account::charge(conn, change.account, check::octets(octets)?)?;
    }
    let new = place(conn, &from, &to, &picked, change.now)?;
    if change.mode == CopyMode::Move {
        drop_moved(conn, &from, &picked.uids, change.now)?;
    }
    Ok(Outcome::Copied(Copied {
        uid_validity: to.uid_validity.0,
        from: picked.uids,
        to: new,
    }))
}

/// Moves all messages of a mailbox to an empty one.
pub(super) fn move_all(
    conn: &mut Conn,
    from: &Mailbox,
    to: &Mailbox,
    now: Timestamp,
) -> Result<(), Fault> {
    let picked = expunge::pick(conn, from, &Scope::All)?;
    place(conn, from, to, &picked, now)?;
    drop_moved(conn, from, &picked.uids, now)
}

/// Takes messages that moved out of their old mailbox, which is read again: it may be the one they moved to.
fn drop_moved(conn: &mut Conn, from: &Mailbox, uids: &[Uid], now: Timestamp) -> Result<(), Fault> {
    if !uids.is_empty() {
        let from = mailbox::selectable(conn, from.id)?;
        expunge::take(conn, &from, Scope::Among(uids), Keep::Trace, now)?;
    }
    Ok(())
}

/// Adds copies to a mailbox; their UIDs. The quota is the caller's matter.
fn place(
    conn: &mut Conn,
    from: &Mailbox,
    to: &Mailbox,
    picked: &Picked,
    now: Timestamp,
) -> Result<Vec<Uid>, Fault> {
    if picked.uids.is_empty() {
        return Ok(Vec::new());
    }
    let first = to.uid_next.0;
    let uid_next = check::uid_after(first, picked.uids.len())?;
    let modseq = mailbox::next_modseq(to)?;
    let flags = translated_flags(conn, from, to, picked.any_flags)?;
    // `key` is the place in the list, so the new UIDs follow the order of the old ones.
    let text = format!(
        "INSERT INTO message (account_id, mailbox_id, uid, modseq, flags, size, internal_date, save_date, blob_id) \
         SELECT m.account_id, ?, ? + j.key, ?, {flags}, m.size, m.internal_date, ?, m.blob_id \
         FROM ? j CROSS JOIN message m WHERE m.account_id = ? AND m.mailbox_id = ? AND m.uid = j.value"
    );
    sql::run_once(
        conn,
        &text,
        &[
            Bind::Number(to.id.0),
            Bind::Number(first.into()),
            Bind::Number(modseq),
            Bind::Number(now.0),
            Bind::Numbered(&sql::uid_list(&picked.uids)),
            Bind::Number(from.account.0),
            Bind::Number(from.id.0),
        ],
    )?;
    mailbox::advance(conn, to, picked.shift, uid_next, modseq)?;
    Ok((first..uid_next).map(Uid).collect())
}

/// An SQL expression for the flags of a copy: keyword numbers belong to a mailbox, so each bit in use goes to where the other mailbox has
/// that keyword. Made of numbers alone.
fn translated_flags(
    conn: &mut Conn,
    from: &Mailbox,
    to: &Mailbox,
    any_flags: u64,
) -> Result<String, Fault> {
    let mut expression = format!("(m.flags & {})", Flags::SYSTEM.0);
    if from.id == to.id || any_flags & !Flags::SYSTEM.0 == 0 {
        return Ok("m.flags".to_owned());
    }
    for (number, name) in mailbox::keywords(conn, from)?.into_iter().enumerate() {
        let bit = check::keyword_bit(number);
        if any_flags & bit != 0 {
            let there = mailbox::keyword_bits(conn, to, &[name], check::Unknown::Add)?;
            expression.push_str(&format!(
                " | CASE WHEN m.flags & {bit} <> 0 THEN {} ELSE 0 END",
                there.0
            ));
        }
    }
    Ok(format!("({expression})"))
}
