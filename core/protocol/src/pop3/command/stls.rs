//! STLS: the handshake, then everything anew (RFC 2595 section 4).

use super::{AUTHORIZATION, Access, Args, LINE, Spec, Step};
use crate::pop3::response::Response;
use crate::pop3::session::Pop3Session;
use crate::tls::Secrecy;

pub(super) const SPEC: Spec = Spec {
    name: "STLS",
    states: AUTHORIZATION,
    access: Access::Anybody,
    limit: LINE,
    run,
};

fn run(session: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    args.none()?;
    match session.secrecy {
        Secrecy::Tls => Err(Response::AlreadySecure),
        Secrecy::Clear if session.config.tls.is_offered() => Ok(Step::StartTls),
        Secrecy::Clear => Err(Response::NotImplemented),
    }
}
