//! ENABLE (RFC 9051 section 6.3.1, RFC 5161).

use super::*;

pub(super) const SPEC: Spec = Spec {
    name: "ENABLE",
    states: LOGGED_IN,
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    let mut rev2 = false;
    let mut count = 0;
    while args.try_sp() {
        rev2 |= args.atom()?.eq_ignore_ascii_case("IMAP4rev2");
        count += 1;
    }
    args.end()?;
    if count == 0 {
        return Err(Refusal::Bad("capabilities expected"));
    }
    let newly = rev2 && !session.enabled.rev2;
    session.enabled.rev2 |= rev2;
    session.out.line(if newly {
        "* ENABLED IMAP4rev2"
    } else {
        "* ENABLED"
    });
    Step::done()
}
