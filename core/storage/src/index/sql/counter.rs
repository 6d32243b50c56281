//! Numbers that only rise, by name.

use diesel::sql_types::BigInt;

use super::{
    Conn,
    fault::Fault,
    sql::{Bind, rows},
};
use crate::Error;

/// Raises a counter by `by`; its new value.
pub(super) fn raise(conn: &mut Conn, name: &str, by: i64) -> Result<i64, Fault> {
    let raised = rows::<(BigInt,), (i64,)>(
        conn,
        "UPDATE counter SET value = value + ? WHERE name = ? RETURNING value",
        &[Bind::Number(by), Bind::Text(name)],
    )?;
    one(raised)
}

/// The value of a counter.
pub(super) fn value(conn: &mut Conn, name: &str) -> Result<i64, Fault> {
    let found = rows::<(BigInt,), (i64,)>(
        conn,
        "SELECT value FROM counter WHERE name = ?",
        &[Bind::Text(name)],
    )?;
    one(found)
}

fn one(rows: Vec<(i64,)>) -> Result<i64, Fault> {
    let missing = || Error::Corrupt("a counter is missing".to_owned());
    let (value,) = rows.into_iter().next().ok_or_else(missing)?;
    Ok(value)
}
