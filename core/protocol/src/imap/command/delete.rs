//! DELETE (RFC 9051 section 6.3.5).

use super::*;
use crate::imap::ask::Ask;

pub(super) const SPEC: Spec = Spec {
    name: "DELETE",
    states: LOGGED_IN,
    run,
    ..PLAIN
};

fn run(_: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.sp()?;
    let mailbox = last_mailbox(args)?;
    if mailbox.is_inbox() {
        return Err(Refusal::No(Some(Code::Cannot), "INBOX cannot be deleted"));
    }
    Step::ask_done(Ask::Delete { mailbox })
}
