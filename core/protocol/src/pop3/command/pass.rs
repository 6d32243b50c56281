//! PASS: the password, blanks and all (RFC 1939 section 7).

use super::{AUTHORIZATION, Access, Args, Spec, Step};
use crate::pop3::ask::Ask;
use crate::pop3::response::Response;
use crate::pop3::session::{Pop3Session, Waiting};
use crate::sasl::{Credentials, PASSWORD_LIMIT};

pub(super) const SPEC: Spec = Spec {
    name: "PASS",
    states: AUTHORIZATION,
    access: Access::Confidential,
    limit: PASSWORD_LIMIT + 7,
    run,
};

fn run(session: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    let user = session.user.take().ok_or(Response::UserFirst)?;
    let credentials = Credentials::new("USER", b"", user.as_bytes(), args.octets())?;
    Ok(Step::Ask(Ask::Authenticate(credentials), Waiting::Verdict))
}
