//! STATUS (RFC 9051 section 6.3.11).

use super::*;
use crate::imap::ask::{Answer, Ask};
use crate::imap::response::status;
use crate::imap::syntax::status::Status;

pub(super) const SPEC: Spec = Spec {
    name: "STATUS",
    states: LOGGED_IN,
    run,
    ..PLAIN
};

fn run(_: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    let Status { mailbox, items } = Status::parse(args)?;
    Step::ask(Ask::Status { mailbox }, move |session, answer| {
        let Answer::Status(listed) = answer else {
            return Err(Refusal::Bug);
        };
        let (utf8, limit) = (session.utf8(), session.config.limits.message);
        status::status(
            &listed.name,
            &items,
            &listed.counters,
            Some(limit),
            utf8,
            session.out.text(),
        );
        Step::done()
    })
}
