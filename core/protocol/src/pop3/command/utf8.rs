//! UTF8: the client reads UTF-8 headers (RFC 6856 section 2.1). Messages are sent as they are with or without it.

use super::{AUTHORIZATION, Access, Args, LINE, Spec, Step};
use crate::pop3::response::Response;
use crate::pop3::session::Pop3Session;

pub(super) const SPEC: Spec = Spec {
    name: "UTF8",
    states: AUTHORIZATION,
    access: Access::Anybody,
    limit: LINE,
    run,
};

fn run(_: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    args.none()?;
    Ok(Step::Response(Response::Utf8On))
}
