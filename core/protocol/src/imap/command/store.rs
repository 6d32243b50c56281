//! STORE (RFC 9051 section 6.4.6).

use super::*;
use crate::imap::ask::{Answer, Ask};
use crate::imap::session::flags_of;
use crate::imap::syntax::store::{Echo, Store};
use crate::imap::types::Uid as MessageUid;

pub(super) const SPEC: Spec = Spec {
    name: "STORE",
    states: SELECTED,
    uid: Uid::May,
    by_sequence: true,
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    let Store {
        set,
        unchanged_since,
        mode,
        echo,
        flags,
    } = Store::parse(args)?;
    if unchanged_since.is_some() {
        return Err(Refusal::Bad("CONDSTORE is not offered"));
    }
    session.needs_write()?;
    let uids = session.named(&set)?;
    if uids.is_empty() {
        return Step::done();
    }
    let named = uids.clone();
    let ask = Ask::Store {
        uids,
        mode,
        flags,
        unchanged_since: None,
    };
    Step::ask(ask, move |session, answer| {
        let Answer::Stored { synced, .. } = answer else {
            return Err(Refusal::Bug);
        };
        session.tell(synced, session.expunges(), &named);
        if echo == Echo::Flags {
            tell_flags(session, &named)?;
        }
        Step::done()
    })
}

/// The flags of these messages as they are now.
fn tell_flags(session: &mut ImapSession, uids: &[MessageUid]) -> Result<(), Refusal> {
    let (by_uid, rev2) = (
        session.by_uid() || session.enabled.rev2,
        session.enabled.rev2,
    );
    let mut text = std::mem::take(session.out.text());
    let selected = session.selected()?;
    let messages = selected.view.messages();
    for uid in uids {
        let Some((seq, entry)) = messages.find(*uid) else {
            continue;
        };
        if selected.view.is_gone(*uid) {
            continue;
        }
        let recency = selected.recency(*uid, rev2);
        let uid = by_uid.then_some(*uid);
        flags_of(seq, uid, entry, messages.keywords(), recency, &mut text);
    }
    *session.out.text() = text;
    Ok(())
}
