//! The maildrop of an account: a lease that one POP3 session holds (RFC 1939 section 4).
//!
//! **Invariants.** Its row is changed by who holds the account alone, so that what a session finds of it stays true until the commit.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, delete, insert_into};

use super::{Conn, account, expunge, fault::Fault, schema::lease};
use crate::{
    Error,
    index::{
        AccountId, ExpungeMaildrop, Hold, HoldMaildrop, MaildropBy, Outcome, Timestamp, check,
    },
};

/// Who holds it, and until when.
fn held(conn: &mut Conn, account: AccountId) -> Result<Option<(String, i64)>, Fault> {
    Ok(lease::table
        .find(check::maildrop(account))
        .select((lease::holder, lease::until))
        .get_result(conn)
        .optional()?)
}

fn keep(conn: &mut Conn, account: AccountId, holder: &str, until: Timestamp) -> Result<(), Fault> {
    insert_into(lease::table)
        .values((
            lease::name.eq(check::maildrop(account)),
            lease::holder.eq(holder),
            lease::until.eq(until.0),
        ))
        .on_conflict(lease::name)
        .do_update()
        .set((lease::holder.eq(holder), lease::until.eq(until.0)))
        .execute(conn)?;
    Ok(())
}

pub(super) fn hold(conn: &mut Conn, change: &HoldMaildrop) -> Result<Outcome, Fault> {
    let (id, holder) = (change.account, change.holder.as_str());
    check::lease(holder)?;
    let before = held(conn, id)?;
    let own = before.as_ref().is_some_and(|(it, _)| it == holder);
    match change.hold {
        Hold::Take(until) => {
            account::existing(conn, id)?;
            if !own && before.is_some_and(|(_, until)| until > change.now.0) {
                return Err(Error::Exists("maildrop").into());
            }
            keep(conn, id, holder, until)?;
        }
        Hold::Prolong(until) if own => keep(conn, id, holder, until)?,
        Hold::Prolong(_) => return Err(Error::NotFound("maildrop lease").into()),
        Hold::Release => release(conn, id, holder)?,
    }
    Ok(Outcome::Done)
}

pub(super) fn expunge(conn: &mut Conn, change: &ExpungeMaildrop) -> Result<Outcome, Fault> {
    let (id, now) = (change.expunge.account, change.expunge.now);
    let before = held(conn, id)?;
    match (&change.by, before) {
        // Whether or not its time is over: nobody else has taken it.
        (MaildropBy::Holder(own), Some((holder, _))) if *own == holder => {
            release(conn, id, own)?;
        }
        (MaildropBy::Holder(_), _) => return Err(Error::NotFound("maildrop lease").into()),
        (MaildropBy::Nobody, Some((_, until))) if until > now.0 => {
            return Err(Error::Exists("maildrop").into());
        }
        (MaildropBy::Nobody, _) => {}
    }
    expunge::expunge(conn, &change.expunge)
}

fn release(conn: &mut Conn, account: AccountId, holder: &str) -> Result<(), Fault> {
    let own = lease::table
        .find(check::maildrop(account))
        .filter(lease::holder.eq(holder));
    delete(own).execute(conn)?;
    Ok(())
}

/// An account that goes leaves none behind.
pub(super) fn forget(conn: &mut Conn, account: AccountId) -> Result<(), Fault> {
    delete(lease::table.find(check::maildrop(account))).execute(conn)?;
    Ok(())
}
