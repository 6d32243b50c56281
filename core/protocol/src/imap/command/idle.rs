//! IDLE (RFC 9051 section 6.3.13, RFC 2177): news at once, until the client says DONE.

use super::*;
use crate::imap::ask::{Answer, Ask};
use crate::imap::session::{Event, For, MAILBOX_GONE};
use crate::imap::view::Expunges;

pub(super) const SPEC: Spec = Spec {
    name: "IDLE",
    states: LOGGED_IN,
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.end()?;
    session.out.line("+ idling");
    idle()
}

fn idle() -> Result<Step, Refusal> {
    Step::wait(For::LineOrChange, |session, event| match event {
        Event::Line(line) if line.eq_ignore_ascii_case(b"DONE") => Step::done(),
        Event::Line(line) => append::refuse_line(session, line, Refusal::Bad("expected DONE")),
        Event::Changed => look(session),
        _ => Err(Refusal::Bug),
    })
}

fn look(session: &mut ImapSession) -> Result<Step, Refusal> {
    let recent = session.recent();
    Step::wait(For::Answer(Ask::Sync { recent }), |session, event| {
        session.told_all();
        match event {
            Event::Answer(Answer::Synced(synced)) => {
                session.tell(synced, Expunges::Allowed, Vec::new(), |_| idle())
            }
            Event::Answer(Answer::Refused(Trouble::NonExistent)) => {
                session.bye(MAILBOX_GONE);
                Step::silent()
            }
            // What cannot be told now is told with the next change, or at the end.
            _ => idle(),
        }
    })
}
