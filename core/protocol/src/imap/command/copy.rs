//! COPY (RFC 9051 section 6.4.7) and MOVE (section 6.4.8, RFC 6851).

use super::*;
use crate::imap::ask::{Answer, Ask, CopyMode};
use crate::imap::response::condition::untagged;
use crate::imap::syntax::sequence::{NumberSet, SequenceSet};
use crate::imap::types::Uid as MessageUid;
use crate::imap::view::Expunges;

pub(super) const COPY: Spec = Spec {
    name: "COPY",
    states: SELECTED,
    uid: Uid::May,
    run: |session, args| run(session, args, CopyMode::Copy),
    ..PLAIN
};

pub(super) const MOVE: Spec = Spec {
    name: "MOVE",
    states: SELECTED,
    uid: Uid::May,
    run: |session, args| run(session, args, CopyMode::Move),
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>, mode: CopyMode) -> Result<Step, Refusal> {
    args.sp()?;
    let set = SequenceSet::parse(args)?;
    args.sp()?;
    let to = last_mailbox(args)?;
    if mode == CopyMode::Move {
        session.needs_write()?;
    }
    let uids = session.named(&set)?;
    if uids.is_empty() {
        return Step::done();
    }
    // All of the messages that the client names, or none (RFC 2180 section 4.4).
    let view = &session.selected()?.view;
    if uids.iter().any(|uid| view.is_gone(*uid)) {
        return Err(Trouble::Expunged.into());
    }
    let ask = Ask::Copy { uids, to, mode };
    Step::wait(For::Answer(ask), move |session, event| {
        let (uid_validity, from, to, synced) = match event {
            Event::Answer(Answer::Copied {
                uid_validity,
                from,
                to,
                synced,
            }) => (uid_validity, from, to, synced),
            Event::Answer(Answer::Refused(trouble)) => return Err(try_create(trouble)),
            _ => return Err(Refusal::Bug),
        };
        let code = (!from.is_empty()).then(|| Code::CopyUid {
            uid_validity,
            from: set_of(&from),
            to: set_of(&to),
        });
        match (mode, code) {
            (CopyMode::Copy, code) => Ok(Step::Done(code)),
            (CopyMode::Move, code) => {
                // COPYUID comes before the EXPUNGEs it explains (RFC 6851 section 4.3).
                if let Some(code) = code {
                    untagged(Condition::Ok, Some(&code), "moved", session.out.text());
                }
                session.tell(synced, Expunges::Allowed, Vec::new(), |_| Step::done())
            }
        }
    })
}

fn set_of(uids: &[MessageUid]) -> NumberSet<MessageUid> {
    let mut set = NumberSet::default();
    uids.iter().for_each(|uid| set.push(*uid));
    set
}
