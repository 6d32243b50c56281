//! NAMESPACE (RFC 9051 section 6.3.10): one personal namespace, nobody else's and nothing shared.

use super::*;

pub(super) const SPEC: Spec = Spec {
    name: "NAMESPACE",
    states: LOGGED_IN,
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.end()?;
    session.out.line("* NAMESPACE ((\"\" \"/\")) NIL NIL");
    Step::done()
}
