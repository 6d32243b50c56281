//! The maildrop of an account: a lease that one POP3 session holds.

use super::State;
use crate::{
    Error,
    index::{ExpungeMaildrop, Hold, HoldMaildrop, MaildropBy, Outcome, check},
};

impl State {
    pub(super) fn hold_maildrop(&mut self, change: HoldMaildrop) -> Result<Outcome, Error> {
        check::lease(&change.holder)?;
        let name = check::maildrop(change.account);
        let held = self.leases.get(&name);
        let own = held.is_some_and(|(holder, _)| *holder == change.holder);
        match change.hold {
            Hold::Take(until) => {
                let taken = !own && held.is_some_and(|(_, until)| *until > change.now);
                self.owner(change.account)?;
                if taken {
                    return Err(Error::Exists("maildrop"));
                }
                self.leases.insert(name, (change.holder, until));
            }
            Hold::Prolong(until) if own => {
                self.leases.insert(name, (change.holder, until));
            }
            Hold::Prolong(_) => return Err(Error::NotFound("maildrop lease")),
            Hold::Release if own => {
                self.leases.remove(&name);
            }
            Hold::Release => {}
        }
        Ok(Outcome::Done)
    }

    pub(super) fn expunge_maildrop(&mut self, change: ExpungeMaildrop) -> Result<Outcome, Error> {
        let ExpungeMaildrop { expunge, by } = change;
        let name = check::maildrop(expunge.account);
        match (&by, self.leases.get(&name)) {
            (MaildropBy::Holder(own), Some((holder, _))) if own == holder => {}
            (MaildropBy::Holder(_), _) => return Err(Error::NotFound("maildrop lease")),
            (MaildropBy::Nobody, Some((_, until))) if *until > expunge.now => {
                return Err(Error::Exists("maildrop"));
            }
            (MaildropBy::Nobody, _) => {}
        }
        let outcome = self.expunge(expunge)?;
        if matches!(by, MaildropBy::Holder(_)) {
            self.leases.remove(&name);
        }
        Ok(outcome)
    }
}
