//! AUTH: a SASL exchange (RFC 5034 section 4).

use super::{AUTHORIZATION, Access, Args, Spec, Step};
use crate::pop3::ask::Ask;
use crate::pop3::response::Response;
use crate::pop3::session::{Pop3Session, Waiting};
use crate::sasl::{self, Exchange, RESPONSE_LIMIT, offered};

pub(super) const SPEC: Spec = Spec {
    name: "AUTH",
    states: AUTHORIZATION,
    access: Access::Confidential,
    limit: RESPONSE_LIMIT + 2,
    run,
};

fn run(session: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    let mut words = args.words();
    let (mechanism, initial) = match (words.next(), words.next(), words.next()) {
        // What clients older than CAPA ask.
        (None, _, _) => {
            let names = offered(session.channel()).map(str::to_owned);
            return Ok(Step::Lines(names.collect()));
        }
        (Some(mechanism), initial, None) => (mechanism, initial),
        _ => return Err(Response::BadSyntax),
    };
    step(Exchange::begin(mechanism, session.channel(), initial))
}

/// What a step of the exchange means here.
pub(in crate::pop3) fn step(step: sasl::Step) -> Result<Step, Response> {
    match step {
        sasl::Step::Challenge { text, exchange } => Ok(Step::Challenge { text, exchange }),
        sasl::Step::Credentials(credentials) => {
            Ok(Step::Ask(Ask::Authenticate(credentials), Waiting::Verdict))
        }
        sasl::Step::Failed(failure) => Err(failure.into()),
    }
}
