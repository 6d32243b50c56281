//! STARTTLS: the handshake, then everything anew (RFC 3207 section 4).
//!
//! The connection refuses what was pipelined behind it; the session forgets what came before it.

use super::{Access, LINE, Payload, Purpose, Spec, Step};
use crate::smtp::config::Tls;
use crate::smtp::reply::Reply;
use crate::smtp::session::{Secrecy, SmtpSession, State};
use crate::smtp::syntax::Args;

pub(crate) const SPEC: Spec = Spec {
    name: "STARTTLS",
    states: &[State::Ready],
    access: Access::Anybody,
    purpose: Purpose::Mail,
    payload: Payload::None,
    limit: LINE,
    run,
};

fn run(session: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    args.none()?;
    match (session.secrecy, session.config.tls) {
        (Secrecy::Tls, _) => Err(Reply::AlreadySecure),
        (Secrecy::Clear, Tls::Absent) => Err(Reply::NotImplemented),
        (Secrecy::Clear, Tls::Offered | Tls::Required | Tls::Implicit) => Ok(Step::StartTls),
    }
}
