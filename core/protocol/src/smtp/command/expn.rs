//! EXPN: not implemented, who is on a list is nobody's business (RFC 5321 section 4.1.1.7 and section 7.3).

use super::{ANY, Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::smtp::reply::Reply;
use crate::smtp::session::SmtpSession;
use crate::smtp::syntax::Args;

pub(crate) const SPEC: Spec = Spec {
    name: "EXPN",
    states: ANY,
    access: Access::LoggedIn,
    purpose: Purpose::Chatter,
    payload: Payload::None,
    group: Group::Last,
    limit: LINE + 10,
    run,
};

fn run(_: &mut SmtpSession, _: Args<'_>) -> Result<Step, Reply> {
    Err(Reply::NotImplemented)
}
