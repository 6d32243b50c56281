//! AUTHENTICATE (RFC 9051 section 6.2.2) with an initial response (RFC 4959).

use super::*;
use crate::imap::session::{Event, For};
use crate::sasl::Failure;
use crate::sasl::exchange::{Exchange, Step as Sasl};

pub(super) const SPEC: Spec = Spec {
    name: "AUTHENTICATE",
    states: NOT_AUTHENTICATED,
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    args.sp()?;
    let mechanism = args.atom()?;
    let initial = match args.try_sp() {
        true => Some(args.take_while(|octet| octet > b' ', "an initial response")?),
        false => None,
    };
    args.end()?;
    let step = Exchange::begin(mechanism.as_bytes(), session.channel(), initial);
    go_on(session, step)
}

fn go_on(session: &mut ImapSession, step: Sasl) -> Result<Step, Refusal> {
    match step {
        Sasl::Challenge { text, exchange } => {
            session.out.line(format!("+ {text}"));
            Step::wait(For::Line, |session, event| match event {
                Event::Line(line) => match exchange.respond(line) {
                    Sasl::Failed(failure) => append::refuse_line(session, line, refusal(failure)),
                    step => go_on(session, step),
                },
                _ => Err(Refusal::Bug),
            })
        }
        Sasl::Credentials(credentials) => login::authenticate(credentials),
        Sasl::Failed(failure) => Err(refusal(failure)),
    }
}

fn refusal(failure: Failure) -> Refusal {
    match failure {
        Failure::UnknownMechanism => Refusal::No(Some(Code::Cannot), "mechanism not offered"),
        Failure::EncryptionRequired => Refusal::No(
            Some(Code::PrivacyRequired),
            "login needs TLS; use STARTTLS first",
        ),
        Failure::Cancelled => Refusal::Bad("cancelled"),
        Failure::Encoding => Refusal::Bad("response is not base64"),
        Failure::TooLong => Refusal::Bad("response too long"),
        _ => Refusal::No(Some(Code::AuthenticationFailed), "login failed"),
    }
}
