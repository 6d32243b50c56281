//! The schema: brought up to date by who comes first, while the others wait.
//!
//! Migrations only add, so that programs of the version before go on working while a newer one starts beside them. One that finds a
//! schema newer than itself does not start.

use std::collections::BTreeSet;

use diesel::{
    migration::{Migration, MigrationSource},
    pg::Pg,
    sql_types::{BigInt, Bool, Text},
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use super::{
    Conn, account, apply,
    fault::{Fault, trouble},
    sql::{self, Bind, rows, run},
};
use crate::{
    Error,
    index::{AccountId, Timestamp},
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Held while migrations run: an arbitrary number, the same in every version.
const LOCK: &str =
    "BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(7097103114)";

/// Accounts that are taken over in one transaction.
const CHUNK: i64 = 50;

/// Accounts without mailboxes.
const BARE: &str = "SELECT u.id::bigint FROM virtual_users u WHERE NOT EXISTS ( \
    SELECT 1 FROM mailbox m WHERE m.account_id = u.id) ORDER BY u.id LIMIT ?";

type Pending = Vec<Box<dyn Migration<Pg>>>;

/// Brings the schema up to date; what it applied.
pub(super) fn migrate(conn: &mut Conn) -> Result<Vec<String>, Error> {
    // The usual start finds nothing to do and takes no lock.
    conn.begin("BEGIN");
    let found = encoding(conn).and_then(|()| pending(conn));
    conn.end_unheard("ROLLBACK");
    if found?.is_empty() {
        return Ok(Vec::new());
    }
    conn.begin(LOCK);
    match apply_all(conn) {
        Ok(applied) => {
            apply::commit(conn).map_err(error_of)?;
            Ok(applied)
        }
        Err(error) => {
            conn.end_unheard("ROLLBACK");
            Err(error)
        }
    }
}

/// Names of mailboxes and people are in any script. A database that takes some of them alone would hold up mail for ever; one that looks at no
/// octets takes all.
fn encoding(conn: &mut Conn) -> Result<(), Error> {
    let found = rows::<(Text,), (String,)>(conn, "SELECT current_setting('server_encoding')", &[]);
    let found = found.map_err(|it| trouble(&it))?;
    match found.first().map(|(name,)| name.as_str()) {
        Some("UTF8" | "SQL_ASCII") | None => Ok(()),
        Some(other) => Err(Error::Unavailable(format!(
            "the database is encoded in {other}, which cannot hold all names; make one with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        ))),
    }
}

fn error_of(failed: apply::Failed) -> Error {
    match failed {
        apply::Failed::Again(error) | apply::Failed::Final(error) => error,
    }
}

fn apply_all(conn: &mut Conn) -> Result<Vec<String>, Error> {
    run(
        conn,
        "CREATE TABLE IF NOT EXISTS __diesel_schema_migrations ( \
            version VARCHAR(50) PRIMARY KEY, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
        &[],
    )
    .map_err(|it| trouble(&it))?;
    let mut applied = Vec::new();
    for migration in pending(conn)? {
        let version = migration.name().version().to_string();
        migration.run(conn).map_err(|it| schema(&*it, &version))?;
        run(
            conn,
            "INSERT INTO __diesel_schema_migrations (version) VALUES (?)",
            &[Bind::Text(&version)],
        )
        .map_err(|it| trouble(&it))?;
        applied.push(version);
    }
    Ok(applied)
}

/// Migrations that the database has not, oldest first.
fn pending(conn: &mut Conn) -> Result<Pending, Error> {
    let present = present(conn)?;
    let mut known: Pending = MIGRATIONS
        .migrations()
        .map_err(|it| schema(&*it, "embedded"))?;
    known.sort_unstable_by(|a, b| a.name().version().cmp(&b.name().version()));
    let version = |it: &dyn Migration<Pg>| it.name().version().to_string();
    let ours: BTreeSet<String> = known.iter().map(|it| version(&**it)).collect();
    if let Some(found) = present.difference(&ours).last() {
        return Err(Error::NewerSchema {
            found: found.clone(),
            known: ours.last().cloned().unwrap_or_default(),
        });
    }
    known.retain(|it| !present.contains(&version(&**it)));
    Ok(known)
}

fn present(conn: &mut Conn) -> Result<BTreeSet<String>, Error> {
    let there = rows::<(Bool,), (bool,)>(
        conn,
        "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL",
        &[],
    );
    if there.map_err(|it| trouble(&it))? != [(true,)] {
        return Ok(BTreeSet::new());
    }
    let versions = rows::<(Text,), (String,)>(
        conn,
        "SELECT version FROM __diesel_schema_migrations ORDER BY version",
        &[],
    );
    let versions = versions.map_err(|it| trouble(&it))?;
    Ok(versions.into_iter().map(|(version,)| version).collect())
}

fn schema(error: &(dyn std::error::Error + 'static), version: &str) -> Error {
    Error::Unavailable(format!("migration {version}: {error}"))
}

/// Whether another program made accounts, which have no mailboxes.
pub(super) fn some_are_bare(conn: &mut Conn) -> Result<bool, Fault> {
    let found = rows::<(BigInt,), (i64,)>(conn, BARE, &[Bind::Number(1)])?;
    Ok(!found.is_empty())
}

/// Gives the accounts that another program made their mailboxes; how many there were.
pub(super) fn take_over(conn: &mut Conn, begin: &str, now: Timestamp) -> Result<usize, Error> {
    let mut taken = 0;
    loop {
        conn.begin(begin);
        let some = take_over_some(conn, now);
        let some = some.map_err(|it| error_of(apply::given_up(conn, it)))?;
        match some {
            0 => conn.end_unheard("ROLLBACK"),
            _ => apply::commit(conn).map_err(error_of)?,
        }
        taken += some;
        if some == 0 {
            return Ok(taken);
        }
    }
}

/// Gives one account its mailboxes, if it has none; whether this was what made them.
pub(super) fn take_over_one(
    conn: &mut Conn,
    begin: &str,
    account: AccountId,
    now: Timestamp,
) -> Result<bool, apply::Failed> {
    conn.begin(begin);
    match furnish_bare(conn, account, now) {
        Err(fault) => Err(apply::given_up(conn, fault)),
        Ok(false) => {
            conn.end_unheard("ROLLBACK");
            Ok(false)
        }
        Ok(true) => {
            apply::commit(conn)?;
            Ok(true)
        }
    }
}

fn furnish_bare(conn: &mut Conn, account: AccountId, now: Timestamp) -> Result<bool, Fault> {
    // Hosts that come at once do so one after the other, and the second one finds them made.
    sql::lock_accounts(conn, &BTreeSet::from([account.0]))?;
    let bare = is_bare(conn, account)?;
    if bare {
        account::furnish_foreign(conn, account, now)?;
    }
    Ok(bare)
}

/// Whether it is the account of another program, and has no mailboxes.
pub(super) fn is_bare(conn: &mut Conn, account: AccountId) -> Result<bool, Fault> {
    let found = rows::<(BigInt,), (i64,)>(
        conn,
        "SELECT u.id::bigint FROM virtual_users u WHERE u.id = ? AND NOT EXISTS ( \
            SELECT 1 FROM mailbox m WHERE m.account_id = u.id)",
        &[Bind::Number(account.0)],
    )?;
    Ok(!found.is_empty())
}

fn take_over_some(conn: &mut Conn, now: Timestamp) -> Result<usize, Fault> {
    let found = rows::<(BigInt,), (i64,)>(conn, BARE, &[Bind::Number(CHUNK)])?;
    let accounts: BTreeSet<i64> = found.into_iter().map(|(id,)| id).collect();
    if accounts.is_empty() {
        return Ok(0);
    }
    sql::lock_accounts(conn, &accounts)?;
    // Somebody else may have done it while this one waited.
    let found = rows::<(BigInt,), (i64,)>(conn, BARE, &[Bind::Number(CHUNK)])?;
    let mut taken = 0;
    for (id,) in found.into_iter().filter(|(id,)| accounts.contains(id)) {
        account::furnish_foreign(conn, AccountId(id), now)?;
        taken += 1;
    }
    Ok(taken)
}
