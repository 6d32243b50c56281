//! RETR: a message, whole (RFC 1939 section 5).

use super::{Access, Args, LINE, Spec, Step, TRANSACTION, number};
use crate::pop3::ask::{Ask, Listed};
use crate::pop3::response::Response;
use crate::pop3::session::{Pop3Session, Waiting, Wanted};

pub(super) const SPEC: Spec = Spec {
    name: "RETR",
    states: TRANSACTION,
    access: Access::Anybody,
    limit: LINE,
    run,
};

fn run(session: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    let Listed { uid, octets } = session.maildrop()?.listed(number(args.one()?)?)?;
    Ok(Step::Ask(
        Ask::Body { uid },
        Waiting::Body(Wanted::Whole(octets)),
    ))
}
