//! CREATE (RFC 9051 section 6.3.4), with a special use (RFC 6154 section 3).

use super::*;
use crate::imap::ask::Ask;
use crate::imap::syntax::create::{Create, Use};

pub(super) const SPEC: Spec = Spec {
    name: "CREATE",
    states: LOGGED_IN,
    run,
    ..PLAIN
};

fn run(_: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    let Create { mailbox, uses } = Create::parse(args)?;
    if mailbox.is_inbox() {
        let text = "INBOX is always there";
        return Err(Refusal::No(Some(Code::AlreadyExists), text));
    }
    let special_use = match uses[..] {
        [] => None,
        [Use::Known(special_use)] => Some(special_use),
        [Use::Unknown] => return Err(use_attr("no mailbox can have this use")),
        _ => return Err(use_attr("a mailbox has one use")),
    };
    Step::ask_done(Ask::Create {
        mailbox,
        special_use,
    })
}

fn use_attr(text: &'static str) -> Refusal {
    Refusal::No(Some(Code::UseAttr), text)
}
