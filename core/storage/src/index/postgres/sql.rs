//! Statements given as text, and lists of numbers as one array so that their text never changes.

use std::{borrow::Cow, collections::BTreeSet, marker::PhantomData};

use diesel::{
    QueryResult, RunQueryDsl,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    query_dsl::LoadQuery,
    sql_types::{Array, BigInt, Bool, Text},
};

use super::{Conn, fault::Fault, lock};
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

/// Numbers as an array.
#[derive(Clone, Debug)]
pub(super) struct List(Vec<i64>);

/// A statement without a result.
#[derive(Debug)]
pub(super) struct Sql<'a> {
    text: &'a str,
    binds: &'a [Bind<'a>],
}

/// Runs a statement; brings how many rows it changed.
pub(super) fn run(conn: &mut Conn, text: &str, binds: &[Bind<'_>]) -> QueryResult<usize> {
    Sql { text, binds }.execute(conn)
}

/// Runs a statement whose text is made for this one time; here none is kept.
pub(super) fn run_once(conn: &mut Conn, text: &str, binds: &[Bind<'_>]) -> QueryResult<usize> {
    run(conn, text, binds)
}

impl QueryId for Sql<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Sql<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut binds = self.binds.iter();
        let mut pieces = self.text.split('?');
        out.push_sql(pieces.next().unwrap_or_default());
        for piece in pieces {
            match binds.next() {
                Some(Bind::Number(number)) => out.push_bind_param::<BigInt, i64>(number)?,
                Some(Bind::Bool(value)) => out.push_bind_param::<Bool, bool>(value)?,
                Some(Bind::Text(text)) => out.push_bind_param::<Text, str>(text)?,
                Some(Bind::Among(list)) => {
                    out.push_sql("= ANY (");
                    out.push_bind_param::<Array<BigInt>, Vec<i64>>(&list.0)?;
                    out.push_sql(")");
                }
                Some(Bind::Numbered(list)) => {
                    out.push_sql("(SELECT value, place - 1 AS key FROM unnest(");
                    out.push_bind_param::<Array<BigInt>, Vec<i64>>(&list.0)?;
                    out.push_sql(") WITH ORDINALITY AS listed (value, place))");
                }
                None => out.push_sql("?"),
            }
            out.push_sql(piece);
        }
        Ok(())
    }
}

impl RunQueryDsl<Conn> for Sql<'_> {}

/// A statement whose rows are tuples of the SQL types `T`.
#[derive(Debug)]
pub(super) struct Select<'a, T> {
    sql: Sql<'a>,
    row: PhantomData<T>,
}

/// Runs a query; its rows, as tuples of the SQL types `T` in the order of its columns.
pub(super) fn rows<'conn, 'a, T, R>(
    conn: &'conn mut Conn,
    text: &'static str,
    binds: &'a [Bind<'a>],
) -> QueryResult<Vec<R>>
where
    Select<'a, T>: LoadQuery<'conn, Conn, R>,
{
    let sql = Sql { text, binds };
    let row = PhantomData;
    Select { sql, row }.load(conn)
}

impl<T> QueryId for Select<'_, T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T> Query for Select<'_, T> {
    type SqlType = T;
}

impl<T> QueryFragment<Pg> for Select<'_, T> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.sql.walk_ast(out)
    }
}

impl<T> RunQueryDsl<Conn> for Select<'_, T> {}

/// A list of UIDs.
pub(super) fn uid_list(uids: &[Uid]) -> List {
    list(uids.iter().map(|uid| i64::from(uid.0)))
}

/// A list of numbers.
pub(super) fn list(numbers: impl Iterator<Item = i64>) -> List {
    List(numbers.collect())
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

/// Keeps others from changing accounts until the transaction ends.
pub(super) fn lock_accounts(conn: &mut Conn, accounts: &BTreeSet<i64>) -> Result<(), Fault> {
    lock::accounts(conn, accounts)
}
