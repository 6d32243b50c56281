//! Whether something changed: a look at the commits of other processes.

use std::sync::atomic::{AtomicI64, Ordering};

use diesel::{
    QueryResult, QueryableByName, RunQueryDsl, SqliteConnection, sql_query, sql_types::BigInt,
};

use super::{
    apply::{self, Ending},
    commits::Commits,
    counter,
    fault::trouble,
    mark,
};
use crate::Error;

/// Counts commits of other processes.
///
/// `PRAGMA data_version` changes when another connection has committed, so it is asked on the one connection that makes all commits of this
/// process: whatever it tells of is not ours.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    version: AtomicI64,
    seen: AtomicI64,
}

#[derive(QueryableByName)]
struct DataVersion {
    #[diesel(sql_type = BigInt)]
    data_version: i64,
}

fn data_version(conn: &mut SqliteConnection) -> QueryResult<i64> {
    let row: DataVersion = sql_query("PRAGMA data_version").get_result(conn)?;
    Ok(row.data_version)
}

impl Foreign {
    /// Begins with a new connection. What happened between it and the one before is not known, so it counts as a change.
    pub(super) fn reset(&self, conn: &mut SqliteConnection) -> QueryResult<()> {
        self.version.store(data_version(conn)?, Ordering::Relaxed);
        self.seen.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Looks whether another process has committed since the last look. Only on the writing connection.
    pub(super) fn look(&self, conn: &mut SqliteConnection) -> QueryResult<()> {
        let version = data_version(conn)?;
        if self.version.swap(version, Ordering::Relaxed) != version {
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How many times it had.
    pub(super) fn seen(&self) -> i64 {
        self.seen.load(Ordering::Relaxed)
    }
}

/// Commits something, and so proves that changes can be made.
pub(super) fn probe(conn: &mut SqliteConnection, commits: &Commits) -> Result<(), Error> {
    apply::begin(conn, "BEGIN IMMEDIATE").map_err(|it| trouble(&it))?;
    match counter::raise(conn, "probe", 1).and_then(|_| mark::count(conn)) {
        Ok(counted) => commits.commit(conn, counted).map_err(|it| trouble(&it)),
        Err(fault) => {
            apply::end(conn, Ending::RollBack).map_err(|it| trouble(&it))?;
            Err(fault.into())
        }
    }
}
