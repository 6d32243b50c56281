//! Statements given as text: prepared once and kept, and lists of UIDs as one JSON value so that their text never changes.

use std::{borrow::Cow, collections::BTreeSet, marker::PhantomData};

use diesel::{
    QueryResult, RunQueryDsl, SqliteConnection,
    connection::DefaultLoadingMode,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    query_dsl::LoadQuery,
    sql_types::{BigInt, Bool, Text},
    sqlite::Sqlite,
};

use super::fault::Fault;
use crate::index::Uid;

/// A value for a `?` of a [`Sql`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Bind<'a> {
    Number(i64),
    Bool(bool),
    Text(&'a str),
    /// Makes `uid ?` true for the numbers of a list.
    Among(&'a List),
    /// A table of the numbers of a list, with their places from 0: columns `value` and `key`.
    Numbered(&'a List),
}

/// Numbers as a JSON array, for `json_each`.
#[derive(Clone, Debug)]
pub(super) struct List(String);

/// A statement without a result. Diesel prepares `update(..)` and `sql_query(..)` anew each time; this one it keeps.
#[derive(Debug)]
pub(super) struct Sql<'a> {
    text: &'a str,
    binds: &'a [Bind<'a>],
    keep: Keep,
}

/// Whether a prepared statement is kept for the next time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Keep {
    Kept,
    Once,
}

/// Runs a statement; brings how many rows it changed.
pub(super) fn run(
    conn: &mut SqliteConnection,
    text: &'static str,
    binds: &[Bind<'_>],
) -> QueryResult<usize> {
    let keep = Keep::Kept;
    Sql { text, binds, keep }.execute(conn)
}

/// Runs a statement whose text is made for this one time.
pub(super) fn run_once(
    conn: &mut SqliteConnection,
    text: &str,
    binds: &[Bind<'_>],
) -> QueryResult<usize> {
    let keep = Keep::Once;
    Sql { text, binds, keep }.execute(conn)
}

impl QueryId for Sql<'_> {
    type QueryId = ();
    // Kept by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Sqlite> for Sql<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        if self.keep == Keep::Once {
            out.unsafe_to_cache_prepared();
        }
        let mut binds = self.binds.iter();
        let mut pieces = self.text.split('?');
        out.push_sql(pieces.next().unwrap_or_default());
        for piece in pieces {
            match binds.next() {
                Some(Bind::Number(number)) => out.push_bind_param::<BigInt, i64>(number)?,
                Some(Bind::Bool(value)) => out.push_bind_param::<Bool, bool>(value)?,
                Some(Bind::Text(text)) => out.push_bind_param::<Text, str>(text)?,
                Some(Bind::Among(list)) => {
                    out.push_sql("IN (SELECT value FROM json_each(");
                    out.push_bind_param::<Text, str>(&list.0)?;
                    out.push_sql("))");
                }
                Some(Bind::Numbered(list)) => {
                    out.push_sql("json_each(");
                    out.push_bind_param::<Text, str>(&list.0)?;
                    out.push_sql(")");
                }
                None => out.push_sql("?"),
            }
            out.push_sql(piece);
        }
        Ok(())
    }
}

impl RunQueryDsl<SqliteConnection> for Sql<'_> {}

/// A statement whose rows are tuples of the SQL types `T`.
#[derive(Debug)]
pub(super) struct Select<'a, T> {
    sql: Sql<'a>,
    row: PhantomData<T>,
}

/// Runs a query; its rows, as tuples of the SQL types `T` in the order of its columns.
pub(super) fn rows<'conn, 'a, T, R>(
    conn: &'conn mut SqliteConnection,
    text: &'static str,
    binds: &'a [Bind<'a>],
) -> QueryResult<Vec<R>>
where
    Select<'a, T>: LoadQuery<'conn, SqliteConnection, R>,
{
    let keep = Keep::Kept;
    let sql = Sql { text, binds, keep };
    let row = PhantomData;
    Select { sql, row }.load(conn)
}

/// The first rows of a statement, for as long as they are wanted; the others are not read.
pub(super) fn rows_while<'conn, 'a: 'conn, T, R>(
    conn: &'conn mut SqliteConnection,
    text: &'static str,
    binds: &'a [Bind<'a>],
    mut wanted: impl FnMut(&R) -> bool,
) -> QueryResult<Vec<R>>
where
    Select<'a, T>: LoadQuery<'conn, SqliteConnection, R> + 'a,
    R: 'conn,
{
    let keep = Keep::Kept;
    let sql = Sql { text, binds, keep };
    let row = PhantomData;
    let mut rows = Vec::new();
    for found in (Select { sql, row }).load_iter::<R, DefaultLoadingMode>(conn)? {
        let found = found?;
        if !wanted(&found) {
            break;
        }
        rows.push(found);
    }
    Ok(rows)
}

impl<T> QueryId for Select<'_, T> {
    type QueryId = ();
    // Kept by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T> Query for Select<'_, T> {
    type SqlType = T;
}

impl<T> QueryFragment<Sqlite> for Select<'_, T> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.sql.walk_ast(out)
    }
}

impl<T> RunQueryDsl<SqliteConnection> for Select<'_, T> {}

/// A list of UIDs.
pub(super) fn uid_list(uids: &[Uid]) -> List {
    list(uids.iter().map(|uid| i64::from(uid.0)))
}

/// A list of numbers.
pub(super) fn list(numbers: impl Iterator<Item = i64>) -> List {
    let mut text = String::from("[");
    for (nth, number) in numbers.enumerate() {
        if nth > 0 {
            text.push(',');
        }
        text.push_str(&number.to_string());
    }
    text.push(']');
    List(text)
}

/// Keeps others from changing accounts; here the transaction alone does.
pub(super) fn lock_accounts(_: &mut SqliteConnection, _: &BTreeSet<i64>) -> Result<(), Fault> {
    Ok(())
}

/// The UIDs in rising order, each once. Callers send them so; what they do not costs one sort, not a wrong answer.
pub(super) fn rising(uids: &[Uid]) -> Cow<'_, [Uid]> {
    if uids.is_sorted_by(|a, b| a < b) {
        return Cow::Borrowed(uids);
    }
    let mut sorted = uids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    Cow::Owned(sorted)
}
