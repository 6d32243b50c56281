//! Opening the database file: its mode, the settings of each connection, the schema.
//!
//! **Invariants.** Only the owner may read the file. A commit is on disk when it returns (`synchronous=FULL`). Two processes that
//! start together migrate once.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use diesel::{
    Connection, ConnectionError, ConnectionResult, SqliteConnection,
    connection::SimpleConnection,
    migration::{Migration, MigrationSource},
    sqlite::Sqlite,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::fault::trouble;
use crate::Error;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// How long a statement waits for another process that writes. A caller's deadline is shorter than the sum of several.
const BUSY: Duration = Duration::from_secs(5);

/// Settings of every connection. No memory map: an I/O error under one kills the process instead of failing a statement. A write-ahead
/// log that grew under a long read is cut back to 64 MiB. What another program may have planted in the schema does not run.
const COMMON: &str = "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA mmap_size = 0; \
    PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864; PRAGMA trusted_schema = OFF;";
/// The writer touches leaves of several trees for each append: 16 MiB keep the inner pages and the warm leaves.
const WRITER: &str = "PRAGMA cache_size = -16384;";
/// Readers go through a mailbox once; 4 MiB each, the page cache of the system holds the rest.
const READER: &str = "PRAGMA cache_size = -4096; PRAGMA query_only = ON;";

/// What a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    Read,
    Write,
}

/// The file that a path or `sqlite:` URL names.
pub(super) fn file(path_or_url: &str) -> Result<PathBuf, Error> {
    let path = path_or_url
        .strip_prefix("sqlite://")
        .or_else(|| path_or_url.strip_prefix("sqlite:"))
        .unwrap_or(path_or_url);
    if path.is_empty() || path.contains('\0') || path.contains(":memory:") {
        return Err(Error::Invalid("not the path of a database file"));
    }
    // Absolute, so that no name looks like a `file:` URI to SQLite and no later change of directory matters.
    std::path::absolute(path).map_err(|it| Error::Unavailable(format!("{path}: {it}")))
}

/// Makes the file if it is not there, for its owner alone. SQLite gives its log the same mode.
pub(super) fn create(path: &Path) -> Result<(), Error> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let done = match made {
        Ok(_) => path
            .parent()
            .map_or(Ok(()), |it| File::open(it)?.sync_all()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    };
    done.map_err(|it| Error::Unavailable(format!("{}: {it}", path.display())))
}

/// Opens a connection. Blocks.
pub(super) fn open(path: &str, purpose: Purpose) -> ConnectionResult<SqliteConnection> {
    let mut conn = SqliteConnection::establish(path)?;
    set_up(&mut conn, purpose).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

fn set_up(conn: &mut SqliteConnection, purpose: Purpose) -> diesel::QueryResult<()> {
    conn.batch_execute(&format!("PRAGMA busy_timeout = {};", BUSY.as_millis()))?;
    if purpose == Purpose::Write {
        write_ahead_log(conn)?;
    }
    conn.batch_execute(COMMON)?;
    conn.batch_execute(match purpose {
        Purpose::Read => READER,
        Purpose::Write => WRITER,
    })
}

/// Switching to the log needs the file alone for a moment, and SQLite does not wait for that by itself.
fn write_ahead_log(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
    let start = Instant::now();
    loop {
        match conn.batch_execute("PRAGMA journal_mode = WAL;") {
            Err(error) if error.to_string().contains("locked") && start.elapsed() < BUSY => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

/// What a connection that could not be opened means.
pub(super) fn refused(error: &ConnectionError) -> Error {
    match error {
        ConnectionError::CouldntSetupConfiguration(error) => trouble(error),
        error => Error::Unavailable(error.to_string()),
    }
}

/// Brings the schema up to date; what it applied. Blocks.
pub(super) fn migrate(path: &Path) -> Result<Vec<String>, Error> {
    create(path)?;
    let text = path.to_str().ok_or(Error::Invalid("not UTF-8"))?;
    let mut conn = open(text, Purpose::Write).map_err(|it| refused(&it))?;
    // The usual start finds nothing to do and takes no lock.
    if pending(&mut conn)?.is_empty() {
        return Ok(Vec::new());
    }
    conn.exclusive_transaction(|conn| {
        let mut applied = Vec::new();
        for migration in pending(conn).map_err(Halt)? {
            let version = conn
                .run_migration(&migration)
                .map_err(|it| Halt(schema(&*it)))?;
            applied.push(version.to_string());
        }
        Ok(applied)
    })
    .map_err(|Halt(error)| error)
}

/// Takes the newest migration back.
#[cfg(test)]
pub(super) fn undo(conn: &mut SqliteConnection) -> Result<(), Error> {
    let undone = conn.revert_last_migration(MIGRATIONS);
    undone.map(|_| ()).map_err(|it| schema(&*it))
}

/// Migrations that the database has not, oldest first.
fn pending(conn: &mut SqliteConnection) -> Result<Vec<Box<dyn Migration<Sqlite>>>, Error> {
    let present = conn.applied_migrations().map_err(|it| schema(&*it))?;
    let mut known =
        MigrationSource::<Sqlite>::migrations(&MIGRATIONS).map_err(|it| schema(&*it))?;
    known.sort_unstable_by(|a, b| a.name().version().cmp(&b.name().version()));
    let newest = known.last().map(|it| it.name().version().to_string());
    for version in &present {
        if !known.iter().any(|it| it.name().version() == *version) {
            return Err(Error::NewerSchema {
                found: version.to_string(),
                known: newest.unwrap_or_default(),
            });
        }
    }
    known.retain(|it| !present.contains(&it.name().version()));
    Ok(known)
}

fn schema(error: &(dyn std::error::Error + 'static)) -> Error {
    match error.downcast_ref::<diesel::result::Error>() {
        Some(error) => trouble(error),
        None => Error::Unavailable(error.to_string()),
    }
}

/// Carries our error through Diesel's transaction.
struct Halt(Error);

impl From<diesel::result::Error> for Halt {
    fn from(error: diesel::result::Error) -> Self {
        Self(trouble(&error))
    }
}
