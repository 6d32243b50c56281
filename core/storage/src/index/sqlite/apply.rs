//! A batch of changes: one transaction, one savepoint a change.

use diesel::{QueryResult, SqliteConnection};

use super::{
    change,
    commits::Commits,
    counter,
    fault::{Fault, trouble},
    generation::Foreign,
    mark,
    sql::run,
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
    for each in changes {
        word(conn, "SAVEPOINT change")?;
        match change::make(conn, each) {
            Ok(outcome) => {
                word(conn, "RELEASE change")?;
                generations += i64::from(check::of_directory(each));
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
        counter::raise(conn, "generation", generations)?;
    }
    Ok(answers)
}
