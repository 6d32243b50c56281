//! STAT: how many messages and octets are not marked (RFC 1939 section 5).

use super::{Access, Args, LINE, Spec, Step, TRANSACTION};
use crate::pop3::response::Response;
use crate::pop3::session::Pop3Session;

pub(super) const SPEC: Spec = Spec {
    name: "STAT",
    states: TRANSACTION,
    access: Access::Anybody,
    limit: LINE,
    run,
};

fn run(session: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    args.none()?;
    let (count, octets) = session.maildrop()?.total();
    Ok(Step::Data(format!("{count} {octets}")))
}
