//! STARTTLS (RFC 9051 section 6.2.1). The connection refuses to go on if octets were sent behind it.

use super::*;
use crate::imap::session::For;
use crate::tls::Secrecy;

pub(super) const SPEC: Spec = Spec {
    name: "STARTTLS",
    states: NOT_AUTHENTICATED,
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.end()?;
    if !session.offers_tls() {
        return Err(Refusal::Bad("TLS is not offered here"));
    }
    // The tagged response comes before the handshake, so the command ends here and has nothing to say afterwards.
    session.answer_now("begin TLS");
    Step::wait(For::StartTls, |session, _| {
        session.secrecy = Secrecy::Tls;
        Step::silent()
    })
}
