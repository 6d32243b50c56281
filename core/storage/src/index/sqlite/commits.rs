//! What this process knows of commits beside the rows: those of other processes, how many there were in all, and whether one failed.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use diesel::{QueryResult, SqliteConnection};

use super::{
    apply::{self, Ending},
    counter,
    fault::{Fault, trouble},
    generation::{self, Foreign},
    mark::{self, Mark},
    renew,
};
use crate::{Error, index::Timestamp};

/// Beside the writing connection, and longer than it.
#[derive(Debug)]
pub(super) struct Commits {
    pub(super) foreign: Foreign,
    mark: Mark,
    /// A commit failed, and what it had written may still lie in the log.
    unsettled: AtomicBool,
}

impl Commits {
    /// Of the database in this file.
    pub(super) fn of(database: &Path) -> Self {
        Self {
            foreign: Foreign::default(),
            mark: Mark::of(database),
            unsettled: AtomicBool::new(false),
        }
    }

    /// Whether a failed commit may still lie in the log.
    pub(super) fn is_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// Begins with a new writing connection.
    ///
    /// The frames of a commit whose fsync failed are whole, and who reads the log after a crash would take them for a commit: a change
    /// that was refused would appear. The next commit is written over them, so one is made before anything else.
    pub(super) fn begin(&self, conn: &mut SqliteConnection) -> Result<(), Error> {
        let reset = self.foreign.reset(conn);
        reset.map_err(|it| trouble(&it))?;
        if self.is_unsettled() {
            generation::probe(conn, self)?;
            self.unsettled.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Ends a transaction that `count`ed itself.
    pub(super) fn commit(&self, conn: &mut SqliteConnection, counted: i64) -> QueryResult<()> {
        match apply::end(conn, Ending::Commit) {
            Ok(()) => {
                self.mark.write(counted);
                Ok(())
            }
            Err(error) => {
                self.unsettled.store(true, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Looks whether the database is older than its mark, which is what a restored backup is, and renews every UIDVALIDITY if so.
    pub(super) fn notice_restored(
        &self,
        conn: &mut SqliteConnection,
        now: Timestamp,
    ) -> Result<(), Error> {
        let marked = self.mark.read();
        let counted = mark::counted(conn)?;
        if marked == counted {
            return Ok(());
        }
        if marked < counted {
            // The first start, or the mark's last writes went with the power.
            self.mark.write(counted);
            return Ok(());
        }
        apply::begin(conn, "BEGIN IMMEDIATE").map_err(|it| trouble(&it))?;
        let renewed = renew_once(conn, marked, now);
        match renewed {
            Ok(Some(commits)) => {
                let committed = self.commit(conn, commits);
                committed.map_err(|it| trouble(&it))?;
                tracing::warn!(
                    commits = counted,
                    marked,
                    "the database is older than its mark: restored from a backup? every mailbox has a new UIDVALIDITY; run fsck --repair"
                );
                Ok(())
            }
            // Another process was first.
            Ok(None) => apply::end(conn, Ending::RollBack).map_err(|it| trouble(&it)),
            Err(fault) => {
                let _ = apply::end(conn, Ending::RollBack);
                Err(fault.into())
            }
        }
    }
}

/// Renews if the database is still older than `marked`; how many commits it then counts.
fn renew_once(
    conn: &mut SqliteConnection,
    marked: i64,
    now: Timestamp,
) -> Result<Option<i64>, Fault> {
    if mark::counted(conn)? >= marked {
        return Ok(None);
    }
    renew::all(conn, now)?;
    counter::raise(conn, "generation", 1)?;
    mark::count_from(conn, marked).map(Some)
}
