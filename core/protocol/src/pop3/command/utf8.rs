//! UTF8: the client reads UTF-8 headers (RFC 6856 section 2.1).
//!
//! Messages are sent as they are with or without it. RFC 6856 would have a message with UTF-8 in its header made another one, or refused,
//! for who has not said UTF8: nearly every client, which then could neither fetch nor delete it, and sizes that depend on the mode. Such
//! headers came long before that RFC, and clients show them.

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
