//! CAPABILITY (RFC 9051 section 6.1.1).

use super::*;

pub(super) const SPEC: Spec = Spec {
    name: "CAPABILITY",
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.end()?;
    let list = crate::imap::capability::list(session);
    session.out.line(format!("* CAPABILITY {list}"));
    Step::done()
}
