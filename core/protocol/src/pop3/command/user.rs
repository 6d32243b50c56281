//! USER: who logs in; the response is the same for everybody (RFC 1939 section 7, RFC 6856 section 2.2).

use super::{AUTHORIZATION, Access, Args, Spec, Step};
use crate::pop3::response::Response;
use crate::pop3::session::Pop3Session;
use crate::sasl::{USER_LIMIT, identity};

pub(in crate::pop3) const SPEC: Spec = Spec {
    name: "USER",
    states: AUTHORIZATION,
    access: Access::Confidential,
    limit: USER_LIMIT + 7,
    run,
};

fn run(session: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    session.user = None;
    session.user = Some(identity(args.octets())?);
    Ok(Step::Response(Response::UserTaken))
}
