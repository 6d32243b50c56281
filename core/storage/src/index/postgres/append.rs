//! APPEND: new messages (I1, I2, I3, I4), as many as come together.
//!
//! Deliveries are what a server does all day, so they take two ways to the server, however many they are: one that holds the accounts and reads
//! what the rules need, and one that writes all rows and commits. Between them the rules are checked in memory, where a message that
//! is refused leaves no trace and needs no savepoint.

mod ledger;
mod rows;

use super::{Conn, fault::Fault};
use crate::{
    Error,
    index::{Append, Appended, Change, Outcome},
};
use ledger::Ledger;
pub(super) use rows::bodies;

/// Whether a change is made here.
pub(super) fn is(change: &Change) -> bool {
    matches!(change, Change::Append(_) | Change::AppendAll(_))
}

/// The appends that a change is made of.
fn appends(change: &Change) -> &[Append] {
    match change {
        Change::Append(one) => std::slice::from_ref(one),
        Change::AppendAll(all) => &all.appends,
        _ => &[],
    }
}

/// Makes changes that are appends, one after the other; an answer for each.
pub(super) fn all(
    conn: &mut Conn,
    changes: &[Change],
) -> Result<Vec<Result<Outcome, Error>>, Fault> {
    let every: Vec<&Append> = changes.iter().flat_map(appends).collect();
    let mut ledger = Ledger::read(conn, &every)?;
    let mut answers = Vec::with_capacity(changes.len());
    for change in changes {
        answers.push(match change {
            Change::AppendAll(all) => {
                let before = ledger.mark();
                let appended: Result<Vec<Appended>, Error> =
                    all.appends.iter().map(|it| ledger.append(it)).collect();
                if appended.is_err() {
                    ledger.back_to(before);
                }
                appended.map(Outcome::AllAppended)
            }
            Change::Append(one) => ledger.append(one).map(Outcome::Appended),
            _ => continue,
        });
    }
    ledger.write(conn)?;
    Ok(answers)
}

/// Makes a change that is one.
pub(super) fn make(conn: &mut Conn, change: &Change) -> Result<Outcome, Fault> {
    let answer = all(conn, std::slice::from_ref(change))?.pop();
    let missing = || Error::Corrupt("an append without an answer".to_owned());
    Ok(answer.ok_or_else(missing)??)
}
