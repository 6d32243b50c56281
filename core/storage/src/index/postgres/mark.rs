//! The mark that servers keep outside of the database: a restored backup, or a failover that lost commits, is noticed by it.
//!
//! A new timeline alone says nothing: a failover to a synchronous standby begins one too, and loses nothing that was acknowledged. The mark is a row
//! whose value was acknowledged as committed; a database with a lower one has lost commits, whatever brought it there, and one with the same or a
//! higher one has them all up to that.
//!
//! **Invariants.** I3: who finds the database behind renews all UIDVALIDITY values, once for all who find it.
//! **Bounds.** What was lost between a mark and the moment it was lost goes unnoticed: the marks of a busy server are a second apart.

use diesel::sql_types::BigInt;

use super::{
    Conn,
    apply::{self, Failed},
    counter,
    fault::Fault,
    lock, renew,
    sql::{Bind, rows, run},
};
use crate::{
    Error,
    index::{Change, Mark, Marked, RenewUidValidities, Timestamp},
};

/// How far beyond the mark that was missed the next ones begin, so that others who knew a later one do not renew again.
const BEYOND: i64 = 1_000_000;

/// Raises the mark; none if it is behind what was known before, and then nothing is done.
pub(super) fn raise(
    conn: &mut Conn,
    begin: &str,
    before: Option<Mark>,
) -> Result<Option<Mark>, Failed> {
    conn.begin(begin);
    let mark = next(conn).map_err(|fault| apply::given_up(conn, fault))?;
    if behind(mark, before).is_some() {
        conn.end_unheard("ROLLBACK");
        return Ok(None);
    }
    apply::commit(conn)?;
    Ok(Some(mark))
}

/// Renews, unless another process was first.
pub(super) fn renew(
    conn: &mut Conn,
    begin: &str,
    before: Option<Mark>,
    now: Timestamp,
) -> Result<Marked, Failed> {
    conn.begin(begin);
    let marked = renewed(conn, before, now).map_err(|fault| apply::given_up(conn, fault))?;
    apply::commit(conn)?;
    Ok(marked)
}

fn renewed(conn: &mut Conn, before: Option<Mark>, now: Timestamp) -> Result<Marked, Fault> {
    conn.send_ahead("SELECT value FROM counter WHERE name = 'generation' FOR UPDATE");
    lock::batch(
        conn,
        &[Change::RenewUidValidities(RenewUidValidities { now })],
    )?;
    let mut mark = next(conn)?;
    let Some(known) = behind(mark, before) else {
        let restored = false;
        return Ok(Marked { mark, restored });
    };
    renew::all(conn, now)?;
    counter::raise(conn, "generation", 1)?;
    mark.number = known.saturating_add(BEYOND);
    run(
        conn,
        "UPDATE counter SET value = ? WHERE name = 'mark'",
        &[Bind::Number(mark.number)],
    )?;
    let restored = true;
    Ok(Marked { mark, restored })
}

/// What was known of this database, if that is further.
fn behind(mark: Mark, before: Option<Mark>) -> Option<i64> {
    let before = before.filter(|before| before.index == mark.index)?;
    (mark.number <= before.number).then_some(before.number)
}

fn next(conn: &mut Conn) -> Result<Mark, Fault> {
    let found = rows::<(BigInt, BigInt), (i64, i64)>(
        conn,
        "UPDATE counter SET value = value + 1 WHERE name = 'mark' \
         RETURNING value, (SELECT value FROM counter WHERE name = 'identity')",
        &[],
    )?;
    let missing = || Error::Corrupt("a counter is missing".to_owned());
    let (number, index) = found.into_iter().next().ok_or_else(missing)?;
    Ok(Mark { index, number })
}
