//! A batch of changes: one transaction, one savepoint a change.

use diesel::{QueryResult, SqliteConnection};

use super::{
    account, alias, append, blob,
    commits::Commits,
    copy, domain, entry, expunge,
    fault::{Fault, trouble},
    generation::{self, Foreign},
    mailbox, mark, name, renew, restore, retention,
    sql::run,
    store,
};
use crate::{
    Error,
    index::{Change, Outcome, check},
};

/// How a transaction ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    Commit,
    RollBack,
}

/// Runs one of the words of a transaction, which are prepared once as all statements are.
pub(super) fn word(conn: &mut SqliteConnection, word: &'static str) -> QueryResult<()> {
    run(conn, word, &[]).map(drop)
}

/// Begins a transaction. What a task that panicked left open is rolled back first.
pub(super) fn begin(conn: &mut SqliteConnection, begin: &'static str) -> QueryResult<()> {
    match word(conn, begin) {
        Err(error) if error.to_string().contains("within a transaction") => {
            word(conn, "ROLLBACK")?;
            word(conn, begin)
        }
        done => done,
    }
}

/// Ends a transaction. A commit that failed is rolled back.
pub(super) fn end(conn: &mut SqliteConnection, ending: Ending) -> QueryResult<()> {
    if ending == Ending::RollBack {
        return word(conn, "ROLLBACK");
    }
    word(conn, "COMMIT").inspect_err(|_| {
        // The connection is closed after this in any case.
        let _ = word(conn, "ROLLBACK");
    })
}

/// Applies the changes; an answer for each, or why there was no commit.
pub(super) fn batch(
    conn: &mut SqliteConnection,
    changes: &[Change],
    commits: &Commits,
) -> Result<Vec<Result<Outcome, Error>>, Error> {
    begin(conn, "BEGIN IMMEDIATE").map_err(|it| trouble(&it))?;
    let done = all(conn, changes, &commits.foreign).and_then(|answers| {
        let something = answers.iter().any(Result::is_ok);
        let counted = something.then(|| mark::count(conn)).transpose()?;
        Ok((answers, counted))
    });
    let ended = match done {
        Ok((_, Some(counted))) => commits.commit(conn, counted),
        _ => end(conn, Ending::RollBack),
    };
    let (answers, _) = done?;
    ended.map_err(|it| match trouble(&it) {
        Error::Corrupt(text) => Error::Corrupt(text),
        error => Error::Unavailable(error.to_string()),
    })?;
    Ok(answers)
}

fn all(
    conn: &mut SqliteConnection,
    changes: &[Change],
    foreign: &Foreign,
) -> Result<Vec<Result<Outcome, Error>>, Fault> {
    foreign.look(conn)?;
    let mut answers = Vec::with_capacity(changes.len());
    let mut generations = 0;
    for change in changes {
        word(conn, "SAVEPOINT change")?;
        match one(conn, change) {
            Ok(outcome) => {
                word(conn, "RELEASE change")?;
                generations += i64::from(check::of_directory(change));
                answers.push(Ok(outcome));
            }
            Err(Fault::Refused(error)) => {
                word(conn, "ROLLBACK TO change")?;
                word(conn, "RELEASE change")?;
                answers.push(Err(error));
            }
            Err(fault) => return Err(fault),
        }
    }
    if generations > 0 {
        generation::raise(conn, "generation", generations)?;
    }
    Ok(answers)
}

fn one(conn: &mut SqliteConnection, change: &Change) -> Result<Outcome, Fault> {
    match change {
        Change::AddDomain(it) => domain::add(conn, it),
        Change::SetDomainActive(it) => domain::set_active(conn, it),
        Change::RemoveDomain(it) => domain::remove(conn, it),
        Change::AddAccounts(it) => account::add(conn, it),
        Change::SetPassword(it) => account::set_password(conn, it),
        Change::SetQuota(it) => account::set_quota(conn, it),
        Change::SetRetention(it) => retention::set(conn, it),
        Change::SetAccountActive(it) => account::set_active(conn, it),
        Change::RemoveAccount(it) => account::remove(conn, it),
        Change::TouchLogin(it) => account::touch_login(conn, it),
        Change::AddAlias(it) => alias::add(conn, it),
        Change::RemoveAlias(it) => alias::remove(conn, it),
        Change::BindEntry(it) => entry::bind(conn, it),
        Change::UnbindEntry(it) => entry::unbind(conn, it),
        Change::RenameAccount(it) => account::rename(conn, it),
        Change::SetEntryActive(it) => entry::set_active(conn, it),
        Change::TakeLease(it) => entry::take_lease(conn, it),
        Change::CreateMailbox(it) => name::create(conn, it),
        Change::DeleteMailbox(it) => name::delete(conn, it),
        Change::RenameMailbox(it) => name::rename(conn, it),
        Change::RenewUidValidities(it) => renew::renew(conn, it),
        Change::Subscribe(it) => mailbox::subscribe(conn, it),
        Change::ClaimRecent(it) => mailbox::claim_recent(conn, it),
        Change::Append(it) => append::append(conn, it).map(Outcome::Appended),
        Change::AppendAll(it) => append::append_all(conn, it),
        Change::Store(it) => store::store(conn, it),
        Change::Copy(it) => copy::copy(conn, it),
        Change::Expunge(it) => expunge::expunge(conn, it),
        Change::Retrieved(it) => retention::retrieved(conn, it),
        Change::Restore(it) => restore::restore(conn, it),
        Change::Reap(it) => blob::reap(conn, it),
        Change::Forget(it) => blob::forget(conn, it),
    }
}
