//! TOP: the header and some lines of the body (RFC 1939 section 7).

use super::{Access, Args, LINE, Spec, Step, TRANSACTION, number};
use crate::pop3::ask::Ask;
use crate::pop3::response::Response;
use crate::pop3::session::{Pop3Session, Waiting, Wanted};

pub(super) const SPEC: Spec = Spec {
    name: "TOP",
    states: TRANSACTION,
    access: Access::Anybody,
    limit: LINE,
    run,
};

fn run(session: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    let mut words = args.words();
    let (Some(message), Some(lines), None) = (words.next(), words.next(), words.next()) else {
        return Err(Response::BadSyntax);
    };
    let lines = number(lines)?;
    let uid = session.maildrop()?.listed(number(message)?)?.uid;
    Ok(Step::Ask(
        Ask::Body { uid },
        Waiting::Body(Wanted::Top(lines)),
    ))
}
