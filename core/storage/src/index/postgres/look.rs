//! Reads that clients wait for most, in one way to the server: all their statements are sent together, and rows are taken as they come.
//!
//! Nothing blocks a thread. A read of one state alone is a statement alone and needs no transaction; whoever stops waiting leaves a task behind that
//! reads to the end and gives the connection back.
//!
//! **Bounds.** A statement alone is cancelled at the server after `statement_timeout`; in a transaction the server sees to it itself.
//! **On failure.** As any other read: again, where the connection was lost or the server took its side.

use std::{borrow::Cow, sync::Arc};

use futures_util::{TryStreamExt, pin_mut};
use tokio_postgres::{
    Client, Error as PgError, Row, RowStream,
    types::{FromSql, Type},
};

use super::{
    apply::{self, Failed},
    conn::{Value, heard, send},
    fault::Fault,
    kept::{self, Kept, Parameter},
    pool::{Lease, Pool},
};
use crate::Error;

/// A statement and its parameters.
pub(super) type Query = (Cow<'static, str>, Vec<(Value, Type)>);

/// What is asked of a server.
pub(super) enum Ask<'a> {
    /// To be planned for its parameters.
    Planned(&'static str, Vec<(Value, Type)>),
    /// Planned once, whatever its parameters.
    Kept(Kept, Vec<Parameter<'a>>),
}

/// What takes the rows of some statements for what they are.
pub(super) trait Look: Send + 'static {
    /// What it makes of them.
    type Found: Send + 'static;

    /// The statements.
    fn asks(&self) -> Vec<Ask<'_>>;

    /// Takes a row of the statement of this number; those of the first come first.
    fn row(&mut self, query: usize, row: Row) -> Result<(), Error>;

    /// Everything has come.
    fn found(self) -> Result<Self::Found, Error>;
}

/// Whether statements have to see the same state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// They are one, or it does not matter.
    Any,
    /// One and the same.
    One,
}

/// Looks once, and gives the connection back.
pub(super) async fn once<L: Look>(
    mut lease: Lease,
    pool: Arc<Pool>,
    begin: Option<String>,
    look: L,
) -> Result<L::Found, Failed> {
    let conn = &mut lease.conn;
    let in_transaction = begin.is_some();
    match begin {
        Some(begin) => conn.begin(&begin),
        None => conn.forget(),
    }
    let queries = look
        .asks()
        .into_iter()
        .map(|it| conn.query(it, pool.keeps()));
    let queries: Vec<Query> = queries.collect();
    let (ahead, patience) = (conn.take_ahead(), conn.patience());
    let cancelled = match in_transaction {
        true => patience,
        false => pool.target.statement_timeout,
    };
    let ended = {
        let client = conn.client();
        let token = client.cancel_token();
        let work = async {
            let sent = send(client, ahead).await;
            let rows = rows(client, look, queries);
            if sent.is_empty() {
                return rows.await;
            }
            let (before, rows) = futures_util::future::join(heard(sent), rows).await;
            before?;
            rows
        };
        pin_mut!(work);
        match tokio::time::timeout(cancelled, &mut work).await {
            Err(_) if !in_transaction => {
                // Whether it was heard shows in the answer.
                let asked = token.cancel_query(pool.tls());
                let (_, ended) = futures_util::future::join(
                    tokio::time::timeout(patience, asked),
                    tokio::time::timeout(patience.saturating_sub(cancelled), &mut work),
                )
                .await;
                ended
            }
            ended => ended,
        }
    };
    let answer = match ended {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            if kept::refused(&error) {
                pool.keep_nothing();
            }
            Err(Fault::Database(lease.conn.failed(&error)))
        }
        Err(_) => Err(Fault::Database(lease.conn.silent())),
    };
    let answer = match answer {
        Err(fault) => Err(apply::given_up(&mut lease.conn, fault)),
        Ok(found) => {
            if in_transaction {
                lease.conn.end_unheard("COMMIT");
            }
            found.map_err(Failed::Final)
        }
    };
    pool.give_back(lease);
    answer
}

/// Sends all statements, then takes their rows as they come.
async fn rows<L: Look>(
    client: &Client,
    mut look: L,
    queries: Vec<Query>,
) -> Result<Result<L::Found, Error>, PgError> {
    let mut answers = Vec::with_capacity(queries.len());
    for (text, values) in queries {
        let mut answer = Box::pin(async move { client.query_typed_raw(&text, values).await });
        // The first look sends it.
        let early = futures_util::poll!(&mut answer);
        answers.push((answer, early));
    }
    let mut refused = None;
    for (nth, (answer, early)) in answers.into_iter().enumerate() {
        let rows: RowStream = match early {
            std::task::Poll::Ready(ended) => ended?,
            std::task::Poll::Pending => answer.await?,
        };
        pin_mut!(rows);
        while let Some(row) = rows.try_next().await? {
            if refused.is_none() {
                refused = look.row(nth, row).err();
            }
        }
    }
    Ok(match refused {
        Some(error) => Err(error),
        None => look.found(),
    })
}

/// A column of a row.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Error> {
    row.try_get(at).map_err(|it| Error::Corrupt(it.to_string()))
}

/// A number as a parameter.
pub(super) fn number(value: i64) -> (Value, Type) {
    (Box::new(value), Type::INT8)
}

/// Numbers as a parameter.
pub(super) fn numbers(values: Vec<i64>) -> (Value, Type) {
    (Box::new(values), Type::INT8_ARRAY)
}

/// A text as a parameter.
pub(super) fn text(value: &str) -> (Value, Type) {
    (Box::new(without_nul(value)), Type::TEXT)
}

/// The server takes no text with NUL, and no row has one.
pub(super) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{1}")
}
