//! APOP: not offered, it wants passwords kept in clear (RFC 1939 section 7).

use super::{AUTHORIZATION, Access, Args, LINE, Spec, Step};
use crate::pop3::response::Response;
use crate::pop3::session::Pop3Session;

pub(super) const SPEC: Spec = Spec {
    name: "APOP",
    states: AUTHORIZATION,
    access: Access::Anybody,
    limit: LINE + 255,
    run,
};

fn run(_: &mut Pop3Session, _: Args<'_>) -> Result<Step, Response> {
    Err(Response::NotImplemented)
}
