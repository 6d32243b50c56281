//! ID (RFC 2971). What clients say of themselves is parsed and passed over.

use super::*;

/// Pairs a client may send (RFC 2971 section 3.3).
const PAIRS: usize = 30;

pub(super) const SPEC: Spec = Spec {
    name: "ID",
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.sp()?;
    if !args.try_word("NIL") {
        let pairs = args.parenthesised_or_empty(|args| {
            args.string()?;
            args.sp()?;
            args.nstring()
        })?;
        if pairs.len() > PAIRS {
            return Err(Refusal::Bad("at most 30 fields"));
        }
    }
    args.end()?;
    session.out.line("* ID (\"name\" \"Postrider\")");
    Step::done()
}
