//! NOOP (RFC 9051 section 6.1.2) and CHECK (RFC 3501 section 6.4.1), which is the same here: all is durable already.

use super::*;

pub(super) const SPEC: Spec = Spec {
    name: "NOOP",
    looks: true,
    run,
    ..PLAIN
};

pub(super) const CHECK: Spec = Spec {
    name: "CHECK",
    states: SELECTED,
    looks: true,
    run,
    ..PLAIN
};

fn run(_: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.end()?;
    Step::done()
}
