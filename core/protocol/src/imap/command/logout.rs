//! LOGOUT (RFC 9051 section 6.1.3).

use super::*;

pub(super) const SPEC: Spec = Spec {
    name: "LOGOUT",
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.end()?;
    session.out.line("* BYE closing");
    session.selected = None;
    session.state = State::Logout;
    Step::done()
}
