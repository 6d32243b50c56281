//! HELO: the client's name, no extensions (RFC 5321 section 4.1.1.1).

use super::{ANY, Access, Group, LINE, Payload, Purpose, Spec, Step, ehlo};
use crate::smtp::reply::Reply;
use crate::smtp::session::SmtpSession;
use crate::smtp::syntax::Args;
use crate::smtp::transaction::Manner;

pub(crate) const SPEC: Spec = Spec {
    name: "HELO",
    states: ANY,
    access: Access::Encrypted,
    purpose: Purpose::Chatter,
    payload: Payload::None,
    group: Group::Last,
    limit: LINE,
    run,
};

fn run(session: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    ehlo::introduce(session, args, Manner::Plain)?;
    Ok(Step::Lines {
        first: session.config.hostname.clone(),
        rest: Vec::new(),
    })
}
