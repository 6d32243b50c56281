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
    let from = args.astring()?;
    args.sp()?;
    let to = args.astring()?;
    args.end()?;
    let from = MailboxName::from_wire(&from, args.utf8())?;
    let to = MailboxName::to_create(&to, args.utf8())?;
    if to.is_inbox() {
        return Err(Refusal::No(
            Some(Code::AlreadyExists),
            "INBOX is always there",
        ));
    }
    Step::ask_done(Ask::Rename { from, to })
}
