//! STARTTLS: the handshake, then everything anew (RFC 3207 section 4).
//!
//! The connection refuses what was pipelined behind it; the session forgets what came before it.

use super::{Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::smtp::reply::Reply;
use crate::smtp::session::SmtpSession;
use crate::smtp::syntax::Args;
use crate::smtp::transaction::State;
use crate::tls::Secrecy;

pub(crate) const SPEC: Spec = Spec {
    name: "STARTTLS",
    states: &[State::Ready],
    access: Access::Anybody,
    purpose: Purpose::Mail,
    payload: Payload::None,
    group: Group::Anywhere,
    limit: LINE,
    run,
};

fn run(session: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    args.none()?;
    match session.secrecy {
        Secrecy::Tls => Err(Reply::AlreadySecure),
        Secrecy::Clear if session.config.tls.is_offered() => Ok(Step::StartTls),
        Secrecy::Clear => Err(Reply::NotImplemented),
    }
}
