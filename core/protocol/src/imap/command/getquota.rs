//! GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208 section 4): one quota root an account, its name is empty.

use super::*;
use crate::imap::ask::{Answer, Ask};
use crate::imap::response::quota::{quota, quota_root};

pub(super) const GETQUOTA: Spec = Spec {
    name: "GETQUOTA",
    states: LOGGED_IN,
    run: getquota,
    ..PLAIN
};

pub(super) const GETQUOTAROOT: Spec = Spec {
    name: "GETQUOTAROOT",
    states: LOGGED_IN,
    run: getquotaroot,
    ..PLAIN
};

pub(super) const SETQUOTA: Spec = Spec {
    name: "SETQUOTA",
    states: LOGGED_IN,
    run: setquota,
    ..PLAIN
};

fn getquota(_: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.sp()?;
    let root = args.astring()?;
    args.end()?;
    if !root.is_empty() {
        return Err(Refusal::No(Some(Code::NonExistent), "no such quota root"));
    }
    ask()
}

fn getquotaroot(_: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.sp()?;
    let mailbox = last_mailbox(args)?;
    let ask_status = Ask::Status {
        mailbox: mailbox.clone(),
    };
    Step::ask(ask_status, move |session, answer| {
        let Answer::Status(_) = answer else {
            return Err(Refusal::Bug);
        };
        let utf8 = session.utf8();
        quota_root(&mailbox, utf8, session.out.text());
        ask()
    })
}

fn setquota(_: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.sp()?;
    args.astring()?;
    args.sp()?;
    args.parenthesised_or_empty(|args| {
        args.atom()?;
        args.sp()?;
        args.number64()
    })?;
    args.end()?;
    Err(Refusal::No(
        Some(Code::NoPerm),
        "quotas are set by the administrator",
    ))
}

fn ask() -> Result<Step, Refusal> {
    Step::ask(Ask::Quota, |session, answer| {
        let Answer::Quota(found) = answer else {
            return Err(Refusal::Bug);
        };
        quota(found, session.out.text());
        Step::done()
    })
}

/// Names in responses follow what the client enabled.
impl ImapSession {
    /// How mailbox names and strings are written.
    pub(in crate::imap) fn utf8(&self) -> Utf8 {
        match self.enabled.rev2 {
            true => Utf8::On,
            false => Utf8::Off,
        }
    }
}
