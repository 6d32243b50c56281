//! RSET: forget the transaction (RFC 5321 section 4.1.1.5).

use super::{ANY, Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::smtp::reply::Reply;
use crate::smtp::session::SmtpSession;
use crate::smtp::syntax::Args;

pub(crate) const SPEC: Spec = Spec {
    name: "RSET",
    states: ANY,
    access: Access::Anybody,
    purpose: Purpose::Chatter,
    payload: Payload::None,
    group: Group::Anywhere,
    limit: LINE,
    run,
};

fn run(session: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    args.none()?;
    session.transaction = None;
    Ok(Step::Reply(Reply::Done))
}
