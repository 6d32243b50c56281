//! That a server works on a database: for `fsck` and `copy`, on whatever host they run.
//!
//! Who listens holds a lock on the connection that it listens on, shared with all others who do: it ends with the connection, and so with the
//! process. Behind a pooler that gives each transaction another connection there is none to hold it on. A server that hears nothing writes a row
//! instead, again and again, which ends by itself.
//!
//! **Bounds.** The row of a server that stopped counts for [`VALID`]; a row every [`RENEWED`] while nothing is heard.
//! **On failure.** What cannot be written is tried again at the next [`LOOK`]; the log says so at the start.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use diesel::sql_types::Bool;
use tokio::time::{Instant, sleep};

use super::{
    Conn, Hearing, PostgresIndex,
    apply::{self, Failed},
    fault::Fault,
    notice::Notices,
    sql::{Bind, rows, run},
};
use crate::Error;

/// The lock.
const SERVES: i64 = 7_097_103_115;
/// How long a row counts: longer than a database may be away from one server while others reach it.
const VALID: Duration = Duration::from_secs(60);
/// How often it is written.
const RENEWED: Duration = Duration::from_secs(10);
/// How often it is looked whether one has to be.
const LOOK: Duration = Duration::from_secs(1);

/// What takes the lock, on a connection that stays.
pub(super) fn lock() -> String {
    format!("SELECT pg_advisory_lock_shared({SERVES})")
}

/// Whether anybody holds the lock, or has a row that counts.
pub(super) fn somebody(conn: &mut Conn) -> Result<bool, Fault> {
    let held: Vec<(bool,)> = rows::<(Bool,), _>(
        conn,
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND classid::bigint = ? AND objid::bigint = ?) \
         OR EXISTS (SELECT 1 FROM lease WHERE name LIKE 'serves %' \
         AND until > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)",
        &[
            Bind::Number(SERVES >> 32),
            Bind::Number(SERVES & 0xffff_ffff),
        ],
    )?;
    Ok(held.first().is_some_and(|(it,)| *it))
}

/// Says that a server works here, as long as somebody holds the index.
pub(super) async fn begin(index: &PostgresIndex) {
    let mut written = None;
    // Before anything else is done: a first attempt to listen takes longer than who opens waits for it.
    if let Err(error) = say(index, &mut written).await {
        tracing::warn!(%error, "fsck and copy do not see that a server works here");
    }
    let (pool, begin) = (index.pool.clone(), index.begin.clone());
    let remembered = index.remembered.clone();
    let again = move |notices| PostgresIndex {
        pool: pool.clone(),
        notices,
        hearing: Hearing::Everybody,
        remembered: remembered.clone(),
        begin: begin.clone(),
    };
    let keep = keep(Arc::downgrade(&index.notices), again, written);
    index.pool.runtime.spawn(keep);
}

async fn keep(
    notices: Weak<Notices>,
    again: impl Fn(Arc<Notices>) -> PostgresIndex,
    mut written: Option<Instant>,
) {
    loop {
        sleep(LOOK).await;
        let Some(notices) = notices.upgrade() else {
            return;
        };
        if let Err(error) = say(&again(notices), &mut written).await {
            tracing::debug!(%error, "fsck and copy do not see that a server works here");
        }
    }
}

/// Writes the row if it has to be.
async fn say(index: &PostgresIndex, written: &mut Option<Instant>) -> Result<(), Error> {
    if index.notices.hears() {
        // The lock says it; once that is lost the row has to come at once.
        *written = None;
        return Ok(());
    }
    if written.is_some_and(|it| it.elapsed() < RENEWED) {
        return Ok(());
    }
    let name = format!("serves {}", index.notices.name());
    index
        .trying(move |conn, begin| write(conn, &begin.0, &name))
        .await?;
    *written = Some(Instant::now());
    Ok(())
}

fn write(conn: &mut Conn, begin: &str, name: &str) -> Result<(), Failed> {
    conn.begin(begin);
    let valid = i64::try_from(VALID.as_micros()).unwrap_or(i64::MAX);
    let wrote = run(
        conn,
        "INSERT INTO lease (name, holder, until) \
         VALUES (?, 'a server', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + ?) \
         ON CONFLICT (name) DO UPDATE SET until = excluded.until",
        &[Bind::Text(name), Bind::Number(valid)],
    )
    .and_then(|_| {
        // Those of servers that are gone; what somebody else is at is left to him.
        run(
            conn,
            "DELETE FROM lease WHERE name IN (SELECT name FROM lease WHERE name LIKE 'serves %' \
             AND until < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FOR UPDATE SKIP LOCKED)",
            &[],
        )
    });
    match wrote {
        Ok(_) => apply::commit(conn),
        Err(error) => Err(apply::given_up(conn, error.into())),
    }
}
