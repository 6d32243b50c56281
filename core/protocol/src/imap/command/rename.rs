//! RENAME (RFC 9051 section 6.3.6).

use super::*;
use crate::imap::ask::Ask;

pub(super) const SPEC: Spec = Spec {
    name: "RENAME",
    states: LOGGED_IN,
    run,
    ..PLAIN
};

fn run(_: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.sp()?;
    let from = args.mailbox()?;
    args.sp()?;
    let to = mailbox_to_create(args)?;
    args.end()?;
    if to.is_inbox() {
        return Err(Refusal::No(
            Some(Code::AlreadyExists),
            "INBOX is always there",
        ));
    }
    Step::ask_done(Ask::Rename { from, to })
}
