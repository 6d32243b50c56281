//! EXPUNGE (RFC 9051 section 6.4.3) and UID EXPUNGE (RFC 4315 section 2.1).

use super::*;
use crate::imap::ask::{Answer, Ask};
use crate::imap::syntax::sequence::SequenceSet;
use crate::imap::view::Expunges;

pub(super) const SPEC: Spec = Spec {
    name: "EXPUNGE",
    states: SELECTED,
    uid: Uid::May,
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    let uids = match session.by_uid() {
        true => {
            args.sp()?;
            let set = SequenceSet::parse(args)?;
            Some(session.named(&set)?)
        }
        false => None,
    };
    args.end()?;
    session.needs_write()?;
    Step::ask(Ask::Expunge { uids }, |session, answer| match answer {
        Answer::Synced(synced) => {
            session.tell(synced, Expunges::Allowed, Vec::new(), |_| Step::done())
        }
        _ => Err(Refusal::Bug),
    })
}
