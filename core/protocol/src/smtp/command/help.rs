//! HELP: the same for every topic (RFC 5321 section 4.1.1.8).

use super::{ANY, Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::smtp::reply::Reply;
use crate::smtp::session::SmtpSession;
use crate::smtp::syntax::Args;

pub(crate) const SPEC: Spec = Spec {
    name: "HELP",
    states: ANY,
    access: Access::Anybody,
    purpose: Purpose::Chatter,
    payload: Payload::None,
    group: Group::Anywhere,
    limit: LINE,
    run,
};

fn run(_: &mut SmtpSession, _: Args<'_>) -> Result<Step, Reply> {
    Ok(Step::Reply(Reply::Help))
}
