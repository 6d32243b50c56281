//! A batch of changes: one transaction, a savepoint for each change that is made by statements of its own.
//!
//! **On failure.** A batch that collided with another is tried again, and so is one whose connection was lost before its commit was sent.
//! When the answer to a commit is lost, nobody knows, and that is what is said.

use std::time::Duration;

use super::{
    Conn, append, change,
    conn::Cause,
    counter,
    fault::{Fault, trouble},
    lock,
};
use crate::{
    Error,
    index::{Change, Outcome, check},
};

/// How often a batch is tried.
pub(super) const ATTEMPTS: u32 = 6;

/// An answer for each change.
pub(super) type Answers = Vec<Result<Outcome, Error>>;

/// Why a transaction did not come to its end.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nothing was done; it may go well another time.
    Again(Error),
    /// As it is.
    Final(Error),
}

/// How long to wait before another attempt: longer each time, and not as long as others who collided with this one.
pub(super) fn pause(attempt: u32) -> Duration {
    let mut chance = [0; 1];
    // Without chance the pauses are the same, and somebody has to collide again.
    let _ = getrandom::fill(&mut chance);
    Duration::from_millis(2 << attempt.min(6)) + Duration::from_micros(100 * u64::from(chance[0]))
}

/// Applies the changes.
pub(super) fn batch(conn: &mut Conn, begin: &str, changes: &[Change]) -> Result<Answers, Failed> {
    conn.begin(begin);
    let answers = match all(conn, changes) {
        Ok(answers) => answers,
        Err(fault) => return Err(given_up(conn, fault)),
    };
    if answers.iter().all(Result::is_err) {
        conn.end_unheard("ROLLBACK");
        return Ok(answers);
    }
    commit(conn)?;
    Ok(answers)
}

/// Takes everything back, and says whether it is worth another try.
pub(super) fn given_up(conn: &mut Conn, fault: Fault) -> Failed {
    let cause = conn.cause();
    if cause != Some(Cause::Lost) {
        conn.end_unheard("ROLLBACK");
    }
    let error = fault.into();
    match (cause, &error) {
        (Some(Cause::Collision | Cause::Lost), Error::Unavailable(_) | Error::Corrupt(_)) => {
            Failed::Again(error)
        }
        _ => Failed::Final(error),
    }
}

/// Commits. With what goes ahead of it: if that failed there was no commit, but who lost the connection cannot know.
pub(super) fn commit(conn: &mut Conn) -> Result<(), Failed> {
    conn.send_ahead("COMMIT");
    conn.flush().map_err(|error| {
        let told = trouble(&error);
        match conn.cause() {
            Some(Cause::Collision) => {
                conn.end_unheard("ROLLBACK");
                Failed::Again(told)
            }
            Some(Cause::Lost) => {
                let text = format!("the outcome of a commit is not known: {error}");
                Failed::Final(Error::Unavailable(text))
            }
            _ => {
                conn.end_unheard("ROLLBACK");
                Failed::Final(told)
            }
        }
    })
}

fn all(conn: &mut Conn, changes: &[Change]) -> Result<Answers, Fault> {
    lock::batch(conn, changes)?;
    let mut answers = Vec::with_capacity(changes.len());
    let mut rest = changes;
    while let Some(first) = rest.first() {
        let appends = rest.iter().take_while(|it| append::is(it)).count();
        if appends > 0 {
            let (some, others) = rest.split_at(appends);
            answers.extend(append::all(conn, some)?);
            rest = others;
            continue;
        }
        // One alone needs no savepoint: refused, it takes the transaction with it.
        let answer = match changes.len() {
            1 => alone(conn, first)?,
            _ => in_savepoint(conn, first)?,
        };
        answers.push(answer);
        rest = &rest[1..];
    }
    let generations = changes.iter().zip(&answers);
    let generations = generations.filter(|(change, it)| it.is_ok() && check::of_directory(change));
    let generations = generations.count();
    if generations > 0 {
        counter::raise(conn, "generation", i64::try_from(generations).unwrap_or(1))?;
    }
    Ok(answers)
}

fn alone(conn: &mut Conn, change: &Change) -> Result<Result<Outcome, Error>, Fault> {
    match change::make(conn, change) {
        Ok(outcome) => Ok(Ok(outcome)),
        Err(Fault::Refused(error)) => Ok(Err(error)),
        Err(fault) => Err(fault),
    }
}

fn in_savepoint(conn: &mut Conn, change: &Change) -> Result<Result<Outcome, Error>, Fault> {
    conn.send_ahead("SAVEPOINT change");
    let answer = alone(conn, change)?;
    conn.send_ahead(match &answer {
        Ok(_) => "RELEASE change",
        Err(_) => "ROLLBACK TO change; RELEASE change",
    });
    Ok(answer)
}
