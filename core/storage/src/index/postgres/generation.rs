//! Whether something changed, and whether changes can be made.

use diesel::sql_types::BigInt;

use super::{
    Conn,
    apply::{self, Failed},
    counter,
    fault::Fault,
    sql::rows,
};
use crate::{Error, index::Timestamp};

/// A number that rises with each transaction that wrote anything, by anybody.
pub(super) fn highest_transaction(conn: &mut Conn) -> Result<i64, Fault> {
    let found = rows::<(BigInt,), (i64,)>(
        conn,
        "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint",
        &[],
    )?;
    let missing = || Error::Corrupt("a snapshot without an end".to_owned());
    let (highest,) = found.into_iter().next().ok_or_else(missing)?;
    Ok(highest)
}

/// The clock of the server: that of all who use it.
pub(super) fn clock(conn: &mut Conn) -> Result<Timestamp, Fault> {
    let found = rows::<(BigInt,), (i64,)>(
        conn,
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        &[],
    )?;
    let missing = || Error::Corrupt("a server without a clock".to_owned());
    let (micros,) = found.into_iter().next().ok_or_else(missing)?;
    Ok(Timestamp(micros))
}

/// Commits something, and so proves that changes can be made.
pub(super) fn probe(conn: &mut Conn, begin: &str) -> Result<(), Failed> {
    conn.begin(begin);
    match counter::raise(conn, "probe", 1) {
        Ok(_) => apply::commit(conn),
        Err(fault) => Err(apply::given_up(conn, fault)),
    }
}
