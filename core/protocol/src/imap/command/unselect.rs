//! UNSELECT: leave the mailbox without expunging (RFC 9051 section 6.4.2, RFC 3691).

use super::*;
use crate::imap::ask::Ask;

pub(super) const SPEC: Spec = Spec {
    name: "UNSELECT",
    states: SELECTED,
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.end()?;
    session.leave();
    Step::ask_done(Ask::Leave)
}
