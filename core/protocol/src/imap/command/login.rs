//! LOGIN (RFC 9051 section 6.2.3), and what follows every login.

use super::*;
use crate::imap::ask::{Answer, Ask};
use crate::sasl::exchange::Channel;
use crate::sasl::{Credentials, Verdict};

pub(super) const SPEC: Spec = Spec {
    name: "LOGIN",
    states: NOT_AUTHENTICATED,
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    // Nobody can ENABLE anything before login, and names and passwords are UTF-8 all the same (RFC 9051 section 9).
    args.accept_utf8();
    args.sp()?;
    let user = args.astring()?;
    args.sp()?;
    let password = args.astring()?;
    args.end()?;
    needs_privacy(session)?;
    let credentials = Credentials::new("LOGIN", b"", &user, &password)
        .map_err(|_| Refusal::No(Some(Code::AuthenticationFailed), "login failed"))?;
    authenticate(credentials)
}

/// Login only where nobody listens.
pub(super) fn needs_privacy(session: &ImapSession) -> Result<(), Refusal> {
    match session.channel() {
        Channel::Confidential => Ok(()),
        Channel::Clear => Err(Refusal::No(
            Some(Code::PrivacyRequired),
            "login needs TLS; use STARTTLS first",
        )),
    }
}

/// Puts credentials before the engine.
pub(super) fn authenticate(credentials: Credentials) -> Result<Step, Refusal> {
    Step::ask(Ask::Authenticate(credentials), |session, answer| {
        let Answer::Verdict(verdict) = answer else {
            return Err(Refusal::Bug);
        };
        let refused = |code, text| Err(Refusal::No(Some(code), text));
        match verdict {
            Verdict::Granted { account } => {
                session.account = Some(account);
                session.state = State::Authenticated;
                let capabilities = crate::imap::capability::list(session);
                Ok(Step::Done(Some(Code::Capability(capabilities.into()))))
            }
            Verdict::Denied => {
                session.login_failures += 1;
                refused(Code::AuthenticationFailed, "login failed")
            }
            Verdict::Throttled => {
                session.login_failures += 1;
                refused(Code::Unavailable, "too many failed logins, try again later")
            }
            Verdict::Unavailable => refused(Code::Unavailable, "cannot log you in now"),
        }
    })
}
