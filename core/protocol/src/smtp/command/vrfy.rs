//! VRFY: answered without telling who exists (RFC 5321 section 4.1.1.6 and section 7.3).

use super::{ANY, Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::smtp::reply::Reply;
use crate::smtp::session::SmtpSession;
use crate::smtp::syntax::Args;

pub(crate) const SPEC: Spec = Spec {
    name: "VRFY",
    states: ANY,
    access: Access::LoggedIn,
    purpose: Purpose::Chatter,
    payload: Payload::None,
    group: Group::Last,
    limit: LINE + 10,
    run,
};

fn run(_: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    match args.octets() {
        b"" => Err(Reply::BadArguments),
        _ => Ok(Step::Reply(Reply::CannotVerify)),
    }
}
