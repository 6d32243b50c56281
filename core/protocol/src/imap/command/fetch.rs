//! FETCH (RFC 9051 section 6.4.5).
//!
//! What the snapshot knows is written at once; what the summary knows comes with one ask for a few hundred messages; octets of
//! messages go from the store to the peer and never through here. `\Seen` is set before the octets are sent, for all messages
//! of the command in one change, so that the responses can tell it.

mod octets;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;

use super::*;
use crate::imap::ask::{Access, Answer, Ask, MESSAGES_PER_ASK, StoreMode};
use crate::imap::response::fetch::FetchResponse;
use crate::imap::response::flags::Recency;
use crate::imap::session::Selected;
use crate::imap::snapshot::Entry;
use crate::imap::syntax::fetch::{Fetch, FetchItem};
use crate::imap::syntax::flag::FlagList;
use crate::imap::syntax::section::Section;
use crate::imap::types::{Flags, SeqNum, Uid as MessageUid};
use crate::message::summary::Kept;
use crate::session::BATCH;

pub(super) const SPEC: Spec = Spec {
    name: "FETCH",
    states: SELECTED,
    uid: Uid::May,
    by_sequence: true,
    run,
    ..PLAIN
};

/// A FETCH under way.
pub(super) struct Job {
    items: Arc<[FetchItem]>,
    needs: Needs,
    /// Messages to come, rising.
    uids: VecDeque<MessageUid>,
    /// Those before them that were too much to be read at once, rising.
    rest: Vec<MessageUid>,
    /// Messages that became `\Seen`, rising: their flags are told too.
    seen: Vec<MessageUid>,
    /// A message that the client still sees is gone, and nothing is told of it (RFC 2180 section 4.1).
    gone: bool,
    /// A message is there that cannot be read.
    damaged: bool,
}

impl Job {
    fn is_over(&self) -> bool {
        self.rest.is_empty() && self.uids.is_empty()
    }

    /// All messages have had their turn.
    fn done(&self) -> Result<Step, Refusal> {
        match self.damaged {
            true => Err(Trouble::Damaged.into()),
            false => Ok(Step::Done(self.gone.then_some(Code::ExpungeIssued))),
        }
    }
}

/// What the dearest item of a FETCH needs: in this order, but that a summary beside whole messages needs both.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Needs {
    Snapshot,
    /// Messages as they lie in the store: their place there is all that is asked for.
    Whole,
    Summary,
    Octets,
}

fn needs(item: &FetchItem) -> Result<Needs, Refusal> {
    Ok(match item {
        FetchItem::Flags | FetchItem::InternalDate | FetchItem::Size | FetchItem::Uid => {
            Needs::Snapshot
        }
        FetchItem::Envelope | FetchItem::Body | FetchItem::BodyStructure => Needs::Summary,
        FetchItem::Section { section, .. } if *section == Section::default() => Needs::Whole,
        FetchItem::Section { .. } | FetchItem::Binary { .. } | FetchItem::BinarySize { .. } => {
            Needs::Octets
        }
        FetchItem::ModSeq
        | FetchItem::EmailId
        | FetchItem::ThreadId
        | FetchItem::SaveDate
        | FetchItem::Preview { .. } => {
            return Err(Refusal::Bad("this item's extension is not offered"));
        }
    })
}

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    let fetch = Fetch::parse(args)?;
    if fetch.changed_since.is_some() {
        return Err(Refusal::Bad("CONDSTORE is not offered"));
    }
    let mut items = Vec::with_capacity(fetch.items.len() + 1);
    if session.by_uid() && !fetch.items.contains(&FetchItem::Uid) {
        items.push(FetchItem::Uid);
    }
    // What is named twice is sent once: two hundred structures of one message are of use to nobody.
    for item in fetch.items {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    let mut dearest = Needs::Snapshot;
    for item in &items {
        dearest = match (dearest, needs(item)?) {
            (Needs::Whole, Needs::Summary) | (Needs::Summary, Needs::Whole) => Needs::Octets,
            (before, this) => before.max(this),
        };
    }
    let uids = session.named(&fetch.set)?;
    let mut job = Job {
        needs: dearest,
        uids: uids.into(),
        rest: Vec::new(),
        seen: Vec::new(),
        gone: false,
        damaged: false,
        items: items.into(),
    };
    job.seen = to_be_seen(session.selected()?, &job);
    match job.seen.is_empty() {
        true => go_on(session, job),
        false => set_seen(job),
    }
}

/// The messages that this FETCH makes `\Seen`.
fn to_be_seen(selected: &Selected, job: &Job) -> Vec<MessageUid> {
    if selected.access == Access::ReadOnly || !job.items.iter().any(FetchItem::sets_seen) {
        return Vec::new();
    }
    let messages = selected.view.messages();
    let unseen = |uid: &&MessageUid| {
        let found = messages.find(**uid);
        found.is_some_and(|(_, entry)| !entry.flags.contains(Flags::SEEN))
    };
    job.uids.iter().filter(unseen).copied().collect()
}

fn set_seen(mut job: Job) -> Result<Step, Refusal> {
    let ask = Ask::Store {
        uids: job.seen.clone(),
        mode: StoreMode::Add,
        flags: FlagList {
            system: Flags::SEEN,
            ..FlagList::default()
        },
        unchanged_since: None,
    };
    Step::wait(For::Answer(ask), move |session, event| match event {
        Event::Answer(Answer::Stored { synced, .. }) => {
            let (expunges, seen) = (session.expunges(), job.seen.clone());
            session.tell(synced, expunges, seen, |session| go_on(session, job))
        }
        // Reading is worth more than the mark that it was read.
        _ => {
            job.seen.clear();
            go_on(session, job)
        }
    })
}

/// The next messages.
fn go_on(session: &mut ImapSession, mut job: Job) -> Result<Step, Refusal> {
    if job.needs == Needs::Snapshot {
        let (rev2, utf8) = (session.enabled.rev2, session.utf8());
        let selected = session.selected.as_mut().ok_or(Refusal::Bug)?;
        let mut text = std::mem::take(session.out.text());
        while let Some(uid) = job.uids.pop_front() {
            let Some(message) = Message::of(selected, uid, None, rev2) else {
                continue;
            };
            message.write_all(&job, utf8, &mut text);
            if text.len() >= BATCH {
                break;
            }
        }
        *session.out.text() = text;
        return match job.uids.is_empty() {
            true => job.done(),
            false => Step::resume(|session| go_on(session, job)),
        };
    }
    let mut uids = std::mem::take(&mut job.rest);
    if uids.is_empty() {
        let count = job.uids.len().min(MESSAGES_PER_ASK);
        uids.extend(job.uids.drain(..count));
    }
    if uids.is_empty() {
        return job.done();
    }
    if job.needs == Needs::Whole {
        let queue = uids.into_iter().map(|uid| (uid, None)).collect();
        return octets::next(session, job, queue);
    }
    let next = job.uids.iter().take(MESSAGES_PER_ASK).copied().collect();
    let count = uids.len();
    Step::ask(Ask::Summaries { uids, next }, move |session, answer| {
        let Answer::Summaries {
            found,
            rest,
            damaged,
        } = answer
        else {
            return Err(Refusal::Bug);
        };
        job.damaged |= !damaged.is_empty();
        job.gone |= found.len() + damaged.len() + rest.len() < count;
        job.rest = rest;
        match job.needs {
            Needs::Summary => with_summaries(session, job, found.into()),
            _ => {
                let queue = found.into_iter().map(|(uid, kept)| (uid, Some(kept)));
                octets::next(session, job, queue.collect())
            }
        }
    })
}

/// Writes what these summaries say, a batch at a time: a structure may be long.
fn with_summaries(
    session: &mut ImapSession,
    job: Job,
    mut summaries: VecDeque<(MessageUid, Kept)>,
) -> Result<Step, Refusal> {
    let (rev2, utf8) = (session.enabled.rev2, session.utf8());
    let selected = session.selected.as_mut().ok_or(Refusal::Bug)?;
    let text = session.out.text();
    while let Some((uid, summary)) = summaries.pop_front() {
        let Some(message) = Message::of(selected, uid, Some(&summary), rev2) else {
            continue;
        };
        message.write_all(&job, utf8, text);
        if text.len() >= BATCH {
            break;
        }
    }
    match (summaries.is_empty(), job.is_over()) {
        (true, true) => job.done(),
        (true, false) => Step::resume(|session| go_on(session, job)),
        (false, _) => Step::resume(|session| with_summaries(session, job, summaries)),
    }
}

/// A message as its client knows it.
pub(super) struct Message<'a> {
    seq: SeqNum,
    entry: &'a Entry,
    keywords: &'a [String],
    recency: Recency,
    summary: Option<&'a Kept>,
}

impl<'a> Message<'a> {
    fn of(
        selected: &'a Selected,
        uid: MessageUid,
        summary: Option<&'a Kept>,
        rev2: bool,
    ) -> Option<Self> {
        let messages = selected.view.messages();
        let (seq, entry) = messages.find(uid)?;
        Some(Self {
            seq,
            entry,
            keywords: messages.keywords(),
            recency: selected.recency(uid, rev2),
            summary,
        })
    }

    /// Writes the whole response of a FETCH without octets.
    fn write_all(&self, job: &Job, utf8: Utf8, out: &mut BytesMut) {
        let mut response = self.open(utf8, out);
        for item in job.items.iter() {
            self.write(item, &mut response, out);
        }
        if self.told_seen(job) {
            response.flags(self.entry.flags, self.keywords, self.recency, out);
        }
        response.close(out);
    }

    /// Whether this FETCH made the message `\Seen` and nobody asked for its flags: they are told all the same.
    fn told_seen(&self, job: &Job) -> bool {
        job.seen.binary_search(&self.entry.uid).is_ok() && !job.items.contains(&FetchItem::Flags)
    }

    /// Begins the response.
    fn open(&self, utf8: Utf8, out: &mut BytesMut) -> FetchResponse {
        FetchResponse::open(self.seq, utf8, out)
    }

    /// Writes an item that the snapshot or the summary knows. Says whether it was one.
    fn write(&self, item: &FetchItem, response: &mut FetchResponse, out: &mut BytesMut) -> bool {
        let entry = self.entry;
        match (item, self.summary) {
            (FetchItem::Flags, _) => {
                response.flags(entry.flags, self.keywords, self.recency, out);
            }
            (FetchItem::InternalDate, _) => response.internal_date(entry.internal_date, out),
            (FetchItem::Size, _) => response.size(u64::from(entry.size), out),
            (FetchItem::Uid, _) => response.uid(entry.uid, out),
            (FetchItem::Envelope, Some(summary)) => response.envelope(&summary.envelope(), out),
            (FetchItem::Body, Some(summary)) => match summary.root() {
                Some(root) => response.body(&root, out),
                None => return false,
            },
            (FetchItem::BodyStructure, Some(summary)) => match summary.root() {
                Some(root) => response.body_structure(&root, out),
                None => return false,
            },
            _ => return false,
        }
        true
    }
}
