//! STORE (RFC 9051 section 6.4.6).

use super::*;
use crate::imap::ask::{Answer, Ask};
use crate::imap::session::flags_of;
use crate::imap::syntax::store::{Echo, Store};
use crate::imap::types::Uid as MessageUid;
use crate::session::BATCH;

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
        session.tell(
            synced,
            session.expunges(),
            named.clone(),
            move |session| match echo {
                Echo::Flags => tell_flags(session, named, 0),
                Echo::Silent => done(session, &named),
            },
        )
    })
}

/// The response says so where messages are gone that the client still sees. It is OK all the same: the others have their flags, and
/// clients in use take a `NO` for a failure (RFC 2180 section 4.2 has both, RFC 5530 section 3).
fn done(session: &mut ImapSession, uids: &[MessageUid]) -> Result<Step, Refusal> {
    let view = &session.selected()?.view;
    let gone = uids.iter().any(|uid| view.is_gone(*uid));
    Ok(Step::Done(gone.then_some(Code::ExpungeIssued)))
}

/// The flags of these messages as they are now, from the `from`th on, a batch at a time.
fn tell_flags(
    session: &mut ImapSession,
    uids: Vec<MessageUid>,
    mut from: usize,
) -> Result<Step, Refusal> {
    let (by_uid, rev2) = (
        session.by_uid() || session.enabled.rev2,
        session.enabled.rev2,
    );
    let mut text = std::mem::take(session.out.text());
    let selected = session.selected()?;
    let messages = selected.view.messages();
    while let Some(uid) = uids.get(from).filter(|_| text.len() < BATCH) {
        from += 1;
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
    match from < uids.len() {
        true => Step::resume(move |session| tell_flags(session, uids, from)),
        false => done(session, &uids),
    }
}
