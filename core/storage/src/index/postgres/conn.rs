//! A connection as Diesel uses it, over the client of `tokio-postgres`.
//!
//! Statements are unnamed, but for the few that servers keep (`kept`): a pooler that gives each transaction another connection (pgbouncer)
//! never meets a name it does not know, no plan outlives the schema it was made for, and one statement is one way to the server and back.
//! What needs no answer goes ahead of the next statement in the same write, so that `BEGIN`, settings and locks cost no way of their own.
//!
//! Used from threads that may block; the connection itself is driven by the runtime that made it.
//!
//! **On failure.** What failed is remembered ([`Conn::cause`]); a connection that is [`Conn::lost`] is dropped.

use std::{pin::Pin, time::Duration};

use diesel::{
    ConnectionError, ConnectionResult, QueryResult,
    connection::{
        AnsiTransactionManager, CacheSize, Connection, ConnectionSealed, Instrumentation,
        LoadConnection, SimpleConnection,
    },
    expression::QueryMetadata,
    pg::{Pg, PgMetadataLookup, PgQueryBuilder, PgTypeMetadata},
    query_builder::{
        Query, QueryBuilder, QueryFragment, QueryId, bind_collector::RawBytesBindCollector,
    },
    result::{DatabaseErrorKind, Error as DieselError},
};
use futures_util::{TryStreamExt, future::FutureExt, pin_mut};
use tokio::runtime::Handle;
use tokio_postgres::{
    Client, Error as PgError,
    error::SqlState,
    types::{IsNull, Kind, ToSql, Type, private::BytesMut, to_sql_checked},
};

use super::{
    kept::{self, Kept},
    look::{self, Ask},
    row::{PgRow, Rows},
};

/// OIDs of `text` and `timestamp`: the server takes what such a value is from its place, where it may be an enum or have a time zone.
const FROM_THEIR_PLACE: [u32; 2] = [25, 1114];

/// Why a statement failed, as far as it decides what is done about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cause {
    /// The same transaction may succeed when it is tried again: a deadlock, or a row that another made first.
    Collision,
    /// The connection is gone, or its server no longer does what it should (it takes no writes).
    Lost,
    /// Anything else.
    Other,
}

/// What goes ahead of the next statement.
pub(super) enum Ahead {
    /// Statements without parameters.
    Text(String),
    /// A statement with parameters.
    Typed(&'static str, Vec<(Value, Type)>),
}

/// A parameter.
pub(super) type Value = Box<dyn ToSql + Sync + Send>;

/// A connection.
pub(super) struct Conn {
    client: Client,
    runtime: Handle,
    /// How long a statement may take here before the connection counts as lost.
    patience: Duration,
    ahead: Vec<Ahead>,
    /// What its server was told to keep.
    kept: Vec<Kept>,
    cause: Option<Cause>,
    transactions: AnsiTransactionManager,
    instrumentation: Option<Box<dyn Instrumentation>>,
}

impl Conn {
    pub(super) fn new(client: Client, runtime: Handle, patience: Duration) -> Conn {
        Conn {
            client,
            runtime,
            patience,
            ahead: Vec::new(),
            kept: Vec::new(),
            cause: None,
            transactions: AnsiTransactionManager::default(),
            instrumentation: None,
        }
    }

    /// Whether it can be used no more.
    pub(super) fn lost(&self) -> bool {
        self.cause == Some(Cause::Lost) || self.client.is_closed()
    }

    /// Why a statement failed since the transaction began, if one did.
    pub(super) fn cause(&self) -> Option<Cause> {
        match self.client.is_closed() {
            true => Some(Cause::Lost),
            false => self.cause,
        }
    }

    /// Lets statements go ahead of the next one.
    pub(super) fn send_ahead(&mut self, text: &str) {
        match self.ahead.last_mut() {
            Some(Ahead::Text(before)) => {
                before.push(';');
                before.push_str(text);
            }
            _ => self.ahead.push(Ahead::Text(text.to_owned())),
        }
    }

    /// Lets a statement with parameters go ahead of the next one.
    pub(super) fn send_typed_ahead(&mut self, text: &'static str, values: Vec<(Value, Type)>) {
        self.ahead.push(Ahead::Typed(text, values));
    }

    /// Begins a transaction: what failed before no longer counts.
    pub(super) fn begin(&mut self, text: &str) {
        self.forget();
        self.send_ahead(text);
    }

    /// Forgets what failed before, for statements outside of a transaction.
    pub(super) fn forget(&mut self) {
        self.cause = None;
        self.ahead.clear();
    }

    /// Ends a transaction whose end nobody waits for.
    pub(super) fn end_unheard(&mut self, text: &str) {
        self.ahead.clear();
        // The first look sends it; its answer is read and dropped by who drives the connection.
        let sent = self.client.batch_execute(text).now_or_never();
        if let Some(Err(error)) = sent {
            self.failed(&error);
        }
    }

    /// Runs something that may send statements of its own, behind those that wait.
    pub(super) fn with<T>(
        &mut self,
        run: impl AsyncFnOnce(&Client) -> Result<T, PgError>,
    ) -> QueryResult<T> {
        let ahead = std::mem::take(&mut self.ahead);
        let (client, patience) = (&self.client, self.patience);
        let work = async {
            let sent = send(client, ahead).await;
            let answered = run(client);
            pin_mut!(answered);
            if sent.is_empty() {
                return answered.await;
            }
            let both = futures_util::future::join(heard(sent), answered);
            let (before, answered) = both.await;
            before?;
            answered
        };
        let ended = self
            .runtime
            .block_on(async { tokio::time::timeout(patience, work).await });
        match ended {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(_) => Err(self.silent()),
        }
    }

    /// There was no answer for as long as one waits: the connection is lost.
    pub(super) fn silent(&mut self) -> DieselError {
        self.cause = Some(Cause::Lost);
        let text = format!("the database gave no answer for {:?}", self.patience);
        let kind = DatabaseErrorKind::ClosedConnection;
        DieselError::DatabaseError(kind, Box::new(text))
    }

    /// The client, for who waits without blocking a thread.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// What is to be sent for an ask; the server is told ahead what it is to keep, if servers keep anything.
    pub(super) fn query(&mut self, ask: Ask<'_>, keeps: bool) -> look::Query {
        match ask {
            Ask::Planned(text, values) => (text.into(), values),
            Ask::Kept(kept, parameters) if keeps => {
                if !self.kept.iter().any(|it| it.is(&kept)) {
                    self.send_ahead(&kept.prepare(&parameters));
                    self.kept.push(kept);
                }
                (kept.execute(&parameters).into(), Vec::new())
            }
            Ask::Kept(kept, parameters) => kept.planned(&parameters),
        }
    }

    /// What goes ahead of the next statement, for who sends it.
    pub(super) fn take_ahead(&mut self) -> Vec<Ahead> {
        std::mem::take(&mut self.ahead)
    }

    /// How long a statement may take here before the connection counts as lost.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Sends what waits, and hears that all of it was done.
    pub(super) fn flush(&mut self) -> QueryResult<()> {
        match self.ahead.is_empty() {
            true => Ok(()),
            false => self.with(async |_| Ok(())),
        }
    }

    /// Remembers why a statement failed.
    pub(super) fn failed(&mut self, error: &PgError) -> DieselError {
        let cause = cause(error);
        // A lost connection stays lost, whatever is tried on it.
        if self.cause != Some(Cause::Lost) {
            self.cause = Some(cause);
        }
        let Some(told) = error.as_db_error() else {
            let text = text(error);
            let kind = DatabaseErrorKind::ClosedConnection;
            return DieselError::DatabaseError(kind, Box::new(text));
        };
        let code = told.code();
        let kind = match *code {
            SqlState::UNIQUE_VIOLATION => DatabaseErrorKind::UniqueViolation,
            SqlState::FOREIGN_KEY_VIOLATION => DatabaseErrorKind::ForeignKeyViolation,
            SqlState::NOT_NULL_VIOLATION => DatabaseErrorKind::NotNullViolation,
            SqlState::CHECK_VIOLATION => DatabaseErrorKind::CheckViolation,
            SqlState::T_R_SERIALIZATION_FAILURE => DatabaseErrorKind::SerializationFailure,
            SqlState::READ_ONLY_SQL_TRANSACTION => DatabaseErrorKind::ReadOnlyTransaction,
            _ => DatabaseErrorKind::Unknown,
        };
        let text = format!("{} (SQLSTATE {})", told.message(), code.code());
        DieselError::DatabaseError(kind, Box::new(text))
    }

    /// A statement of Diesel's, with its values.
    fn ask<T>(&mut self, source: &T) -> QueryResult<(Vec<tokio_postgres::Row>, u64)>
    where
        T: QueryFragment<Pg>,
    {
        let mut builder = PgQueryBuilder::default();
        source.to_sql(&mut builder, &Pg)?;
        let sql = builder.finish();
        let mut collector = RawBytesBindCollector::<Pg>::new();
        source.collect_binds(&mut collector, &mut OwnTypes, &Pg)?;
        let mut values = Vec::with_capacity(collector.binds.len());
        for (octets, metadata) in collector.binds.into_iter().zip(&collector.metadata) {
            let oid = metadata
                .oid()
                .map_err(|it| DieselError::SerializationError(Box::new(it)))?;
            values.push(bound(octets, oid));
        }
        self.with(async |client| {
            let rows = client.query_typed_raw(&sql, values).await?;
            pin_mut!(rows);
            let mut all = Vec::new();
            while let Some(row) = rows.try_next().await? {
                all.push(row);
            }
            Ok((all, rows.rows_affected().unwrap_or(0)))
        })
    }
}

/// What an error of the client says, with what is behind it.
pub(super) fn text(error: &PgError) -> String {
    let mut text = match error.as_db_error() {
        Some(told) => format!("{} (SQLSTATE {})", told.message(), told.code().code()),
        None => error.to_string(),
    };
    if error.as_db_error().is_none()
        && let Some(source) = std::error::Error::source(error)
    {
        text.push_str(": ");
        text.push_str(&source.to_string());
    }
    text
}

fn cause(error: &PgError) -> Cause {
    let Some(code) = error.code() else {
        return Cause::Lost;
    };
    match *code {
        // What the server keeps is not asked for again.
        _ if kept::refused(error) => Cause::Collision,
        SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::UNIQUE_VIOLATION => Cause::Collision,
        // A standby that a name led to, or a server that stops: another connection may lead elsewhere.
        SqlState::READ_ONLY_SQL_TRANSACTION
        | SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW => Cause::Lost,
        _ if code.code().starts_with("08") => Cause::Lost,
        _ => Cause::Other,
    }
}

pub(super) type Sent<'a> = Pin<Box<dyn Future<Output = Result<(), PgError>> + Send + 'a>>;

/// Sends statements in their order; those of which more is to be heard.
pub(super) async fn send(client: &Client, ahead: Vec<Ahead>) -> Vec<Sent<'_>> {
    let mut sent = Vec::with_capacity(ahead.len());
    for each in ahead {
        let mut done: Sent<'_> = match each {
            Ahead::Text(text) => Box::pin(async move { client.batch_execute(&text).await }),
            Ahead::Typed(text, values) => Box::pin(async move {
                let values: Vec<(&(dyn ToSql + Sync), Type)> = values
                    .iter()
                    .map(|(value, ty)| (&**value as &(dyn ToSql + Sync), ty.clone()))
                    .collect();
                client.query_typed(text, &values).await.map(|_| ())
            }),
        };
        // The first look sends it.
        match futures_util::poll!(&mut done) {
            std::task::Poll::Ready(ended) => sent.push(Box::pin(async move { ended }) as Sent<'_>),
            std::task::Poll::Pending => sent.push(done),
        }
    }
    sent
}

/// The first thing that went wrong.
pub(super) async fn heard(sent: Vec<Sent<'_>>) -> Result<(), PgError> {
    let ended = futures_util::future::join_all(sent).await;
    ended.into_iter().collect()
}

/// The octets of a value of Diesel's, and the type that is told to the server.
fn bound(octets: Option<Vec<u8>>, oid: u32) -> (Octets, Type) {
    if FROM_THEIR_PLACE.contains(&oid) {
        let untold = Type::new(String::new(), 0, Kind::Simple, String::new());
        // The server takes no text with NUL. No row has a text with control characters that one could ask for, so that one equals none.
        let text = octets.map(|mut octets| {
            if oid == FROM_THEIR_PLACE[0] {
                octets
                    .iter_mut()
                    .filter(|it| **it == 0)
                    .for_each(|it| *it = 1);
            }
            octets
        });
        return (Octets(text), untold);
    }
    let ty = Type::from_oid(oid).unwrap_or(Type::UNKNOWN);
    (Octets(octets), ty)
}

/// A value as Diesel wrote it.
#[derive(Debug)]
struct Octets(Option<Vec<u8>>);

impl ToSql for Octets {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match &self.0 {
            Some(octets) => {
                out.extend_from_slice(octets);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Diesel asks for the numbers of types that a database made itself; here are none.
struct OwnTypes;

impl PgMetadataLookup for OwnTypes {
    fn lookup_type(&mut self, name: &str, _: Option<&str>) -> PgTypeMetadata {
        debug_assert!(false, "{name} is no type of PostgreSQL itself");
        PgTypeMetadata::new(0, 0)
    }
}

impl SimpleConnection for Conn {
    fn batch_execute(&mut self, text: &str) -> QueryResult<()> {
        self.with(async |client| client.batch_execute(text).await)
    }
}

impl ConnectionSealed for Conn {}

impl Connection for Conn {
    type Backend = Pg;
    type TransactionManager = AnsiTransactionManager;

    /// Connections come from a pool, which knows more than a URL says.
    fn establish(_: &str) -> ConnectionResult<Self> {
        let text = "made by the pool alone".to_owned();
        Err(ConnectionError::BadConnection(text))
    }

    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<Pg> + QueryId,
    {
        let (_, changed) = self.ask(source)?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn transaction_state(&mut self) -> &mut AnsiTransactionManager {
        &mut self.transactions
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        &mut self.instrumentation
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.instrumentation = Some(Box::new(instrumentation));
    }

    fn set_prepared_statement_cache_size(&mut self, _: CacheSize) {}
}

impl LoadConnection for Conn {
    type Cursor<'conn, 'query>
        = Rows
    where
        Self: 'conn;
    type Row<'conn, 'query>
        = PgRow
    where
        Self: 'conn;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> QueryResult<Rows>
    where
        T: Query + QueryFragment<Pg> + QueryId + 'query,
        Pg: QueryMetadata<T::SqlType>,
    {
        let (rows, _) = self.ask(&source)?;
        Ok(Rows::new(rows))
    }
}
