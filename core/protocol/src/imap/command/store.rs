//! STORE (RFC 9051 section 6.4.6).
//!
//! **Invariants.** Whatever the suffix, the client knows the flags of the messages it named when the command is through: `.SILENT`
//! withholds what follows from the command and from what the client knew, never what somebody else changed.

use super::*;
use crate::imap::ask::{Answer, Ask, StoreMode};
use crate::imap::session::flags_of;
use crate::imap::snapshot::Snapshot;
use crate::imap::syntax::flag::FlagList;
use crate::imap::syntax::store::{Echo, Store};
use crate::imap::types::{Flags, Uid as MessageUid};
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
    let change = Change {
        mode,
        flags: flags.clone(),
    };
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
        let told = match echo {
            Echo::Flags => named.clone(),
            Echo::Silent => {
                let was = session.selected()?.view.messages();
                change.surprises(was, &synced.snapshot, &named)
            }
        };
        session.tell(synced, session.expunges(), named.clone(), move |session| {
            tell_flags(session, named, told, 0)
        })
    })
}

/// What a STORE does to the flags of a message.
struct Change {
    mode: StoreMode,
    flags: FlagList,
}

impl Change {
    /// Those of the named messages whose flags are others than this change makes of what the client knows.
    fn surprises(&self, was: &Snapshot, is: &Snapshot, named: &[MessageUid]) -> Vec<MessageUid> {
        let ours = self.bits(is.keywords());
        let is_surprise = |uid: &&MessageUid| match (was.find(**uid), is.find(**uid)) {
            (Some((_, was)), Some((_, is))) => is.flags != self.made_of(was.flags, ours),
            _ => false,
        };
        named.iter().filter(is_surprise).copied().collect()
    }

    /// The flags by their bits. A keyword without a number has no bit.
    fn bits(&self, keywords: &[String]) -> Flags {
        let mut bits = self.flags.system;
        for keyword in &self.flags.keywords {
            let is = |known: &String| known.eq_ignore_ascii_case(keyword.as_str());
            if let Some(number) = keywords.iter().position(is) {
                bits = bits | Flags::keyword(number);
            }
        }
        bits
    }

    fn made_of(&self, was: Flags, ours: Flags) -> Flags {
        match self.mode {
            StoreMode::Replace => ours,
            StoreMode::Add => was | ours,
            StoreMode::Remove => Flags(was.0 & !ours.0),
        }
    }
}

/// The response says so where messages are gone that the client still sees. It is OK all the same: the others have their flags, and
/// clients in use take a `NO` for a failure (RFC 2180 section 4.2 has both, RFC 5530 section 3).
fn done(session: &mut ImapSession, uids: &[MessageUid]) -> Result<Step, Refusal> {
    let view = &session.selected()?.view;
    let gone = uids.iter().any(|uid| view.is_gone(*uid));
    Ok(Step::Done(gone.then_some(Code::ExpungeIssued)))
}

/// The flags of the messages in `told` as they are now, from the `from`th on, a batch at a time.
fn tell_flags(
    session: &mut ImapSession,
    named: Vec<MessageUid>,
    told: Vec<MessageUid>,
    mut from: usize,
) -> Result<Step, Refusal> {
    let (by_uid, rev2) = (
        session.by_uid() || session.enabled.rev2,
        session.enabled.rev2,
    );
    let mut text = std::mem::take(session.out.text());
    let selected = session.selected()?;
    let messages = selected.view.messages();
    while let Some(uid) = told.get(from).filter(|_| text.len() < BATCH) {
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
    match from < told.len() {
        true => Step::resume(move |session| tell_flags(session, named, told, from)),
        false => done(session, &named),
    }
}
