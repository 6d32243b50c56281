//! CLOSE: expunge in silence, then leave the mailbox (RFC 9051 section 6.4.1).

use super::*;
use crate::imap::ask::{Access, Answer, Ask};

pub(super) const SPEC: Spec = Spec {
    name: "CLOSE",
    states: SELECTED,
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.end()?;
    let access = session.selected()?.access;
    if access == Access::ReadOnly {
        session.leave();
        return Step::ask_done(Ask::Leave);
    }
    Step::ask(
        Ask::Expunge { uids: None },
        |session, answer| match answer {
            Answer::Synced(_) => {
                session.leave();
                Step::ask_done(Ask::Leave)
            }
            _ => Err(Refusal::Bug),
        },
    )
}
