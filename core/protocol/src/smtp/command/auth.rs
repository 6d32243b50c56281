//! AUTH: a SASL exchange (RFC 4954 section 4).

use super::{Access, Group, Payload, Purpose, Spec, Step};
use crate::sasl::{self, Exchange, RESPONSE_LIMIT};
use crate::smtp::ask::Ask;
use crate::smtp::config::Role;
use crate::smtp::reply::Reply;
use crate::smtp::session::{SmtpSession, Waiting};
use crate::smtp::syntax::Args;
use crate::smtp::transaction::{Manner, State};

pub(crate) const SPEC: Spec = Spec {
    name: "AUTH",
    states: &[State::Ready],
    access: Access::Encrypted,
    purpose: Purpose::Mail,
    payload: Payload::None,
    group: Group::Anywhere,
    limit: RESPONSE_LIMIT + 2,
    run,
};

fn run(session: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    if session.config.role == Role::Mx {
        return Err(Reply::NotImplemented);
    }
    if matches!(&session.hello, Some(hello) if hello.manner == Manner::Plain) {
        return Err(Reply::HelloFirst);
    }
    if session.account.is_some() {
        return Err(Reply::AlreadyAuthenticated);
    }
    let mut words = args.words();
    let (Some(mechanism), initial, None) = (words.next(), words.next(), words.next()) else {
        return Err(Reply::BadArguments);
    };
    step(Exchange::begin(mechanism, session.channel(), initial))
}

/// What a step of the exchange means here.
pub(crate) fn step(step: sasl::Step) -> Result<Step, Reply> {
    match step {
        sasl::Step::Challenge { text, exchange } => Ok(Step::Challenge { text, exchange }),
        sasl::Step::Credentials(credentials) => {
            Ok(Step::Ask(Ask::Authenticate(credentials), Waiting::Verdict))
        }
        sasl::Step::Failed(failure) => Err(failure.into()),
    }
}
