//! DELE: marks a message; QUIT removes it (RFC 1939 section 5).

use super::{Access, Args, LINE, Spec, Step, TRANSACTION, number};
use crate::pop3::response::Response;
use crate::pop3::session::Pop3Session;

pub(super) const SPEC: Spec = Spec {
    name: "DELE",
    states: TRANSACTION,
    access: Access::Anybody,
    limit: LINE,
    run,
};

fn run(session: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    let message = number(args.one()?)?;
    session.maildrop()?.delete(message)?;
    Ok(Step::Response(Response::Marked))
}
