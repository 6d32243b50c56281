//! QUIT: the UPDATE state removes what is marked, all of it or nothing (RFC 1939 section 5 and section 6).

use super::{ANY, Access, Args, LINE, Spec, Step};
use crate::pop3::ask::Ask;
use crate::pop3::response::Response;
use crate::pop3::session::{Pop3Session, Waiting};

pub(super) const SPEC: Spec = Spec {
    name: "QUIT",
    states: ANY,
    access: Access::Anybody,
    limit: LINE,
    run,
};

fn run(session: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    args.none()?;
    let uids = session
        .maildrop()
        .map(|maildrop| maildrop.deleted())
        .unwrap_or_default();
    if uids.is_empty() {
        return Ok(Step::Response(Response::Bye));
    }
    Ok(Step::Ask(Ask::Remove { uids }, Waiting::Removed))
}
