//! SUBSCRIBE and UNSUBSCRIBE (RFC 9051 sections 6.3.7 and 6.3.8).

use super::*;
use crate::imap::ask::Ask;

pub(super) const SUBSCRIBE: Spec = Spec {
    name: "SUBSCRIBE",
    states: LOGGED_IN,
    run: |_, args| set(args, true),
    ..PLAIN
};

pub(super) const UNSUBSCRIBE: Spec = Spec {
    name: "UNSUBSCRIBE",
    states: LOGGED_IN,
    run: |_, args| set(args, false),
    ..PLAIN
};

fn set(args: &mut Args<'_>, subscribed: bool) -> Result<Step, Refusal> {
    args.sp()?;
    let mailbox = last_mailbox(args)?;
    Step::ask_done(Ask::Subscribe {
        mailbox,
        subscribed,
    })
}
