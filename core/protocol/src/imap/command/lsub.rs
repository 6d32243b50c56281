//! LSUB (RFC 3501 section 6.3.9): LIST of what is subscribed, as it was before LIST-EXTENDED.

use super::*;
use crate::imap::response::list::Listing;
use crate::imap::syntax::list::List;

pub(super) const SPEC: Spec = Spec {
    name: "LSUB",
    states: LOGGED_IN,
    run,
    ..PLAIN
};

fn run(_: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    list::answer(List::parse_lsub(args)?, Listing::Lsub)
}
