//! QUIT: 221, then the end; an open transaction is dropped (RFC 5321 section 4.1.1.10).

use super::{ANY, Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::smtp::reply::Reply;
use crate::smtp::session::SmtpSession;
use crate::smtp::syntax::Args;

pub(crate) const SPEC: Spec = Spec {
    name: "QUIT",
    states: ANY,
    access: Access::Anybody,
    purpose: Purpose::Mail,
    payload: Payload::None,
    group: Group::Anywhere,
    limit: LINE,
    run,
};

fn run(_: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    args.none()?;
    Ok(Step::Reply(Reply::Closing))
}
