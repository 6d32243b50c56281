//! SEARCH (RFC 9051 section 6.4.4) with its result options (RFC 4731) and `$` (RFC 5182).
//!
//! The session decides what it can from the snapshot, then from summaries; only messages that are still open after that are
//! looked into, by the engine, a few hundred an ask.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::*;
use crate::imap::ask::{Answer, Ask, Found, MESSAGES_PER_ASK};
use crate::imap::response::search as response;
use crate::imap::search::{self, Verdict};
use crate::imap::snapshot::Entry;
use crate::imap::syntax::Numbering;
use crate::imap::syntax::search::{DateOf, Returns, Search, SearchKey};
use crate::imap::syntax::sequence::{NumberSet, SequenceSet};
use crate::imap::types::{SeqNum, Uid as MessageUid};
use crate::message::summary::Kept;

pub(super) const SPEC: Spec = Spec {
    name: "SEARCH",
    states: SELECTED,
    uid: Uid::May,
    by_sequence: true,
    run,
    ..PLAIN
};

/// Keys decided from the snapshot before others get their turn: so many messages times the keys of the search.
const KEYS_PER_STEP: usize = 200_000;

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    let parsed = Search::parse(args);
    if let Err(ArgumentError::Charset { save: true }) = parsed {
        // NO leaves nothing saved, BAD leaves what was (RFC 5182 section 2.1).
        session.selected()?.saved.clear();
    }
    let Search { returns, key } = parsed?;
    if !is_offered(&key) {
        return Err(Refusal::Bad("this key's extension is not offered"));
    }
    // Boxed, so that its sets stay where they are while the search goes on.
    let key = Box::new(key);
    let sets = Sets::of(session, &key)?;
    let selected = session.selected()?;
    if returns.is_some_and(|returns| returns.save) {
        // A search that fails leaves nothing saved (RFC 5182 section 2.1).
        selected.saved.clear();
    }
    let messages = selected.view.messages();
    let mut looking = Looking {
        leaves: leaves_of(&key),
        returns,
        sets,
        key,
        found: Vec::new(),
        open: VecDeque::new(),
        rest: Vec::new(),
        next: Some(MessageUid(0)),
    };
    if messages.count() == 0 {
        looking.next = None;
    }
    by_entries(session, looking)
}

/// Whether all keys are of extensions that are announced; no answer is better than one that finds nothing.
fn is_offered(key: &SearchKey) -> bool {
    let mut offered = true;
    key.visit(&mut |key| {
        offered &= !matches!(
            key,
            SearchKey::Younger(_)
                | SearchKey::Older(_)
                | SearchKey::ModSeq(_)
                | SearchKey::EmailId(_)
                | SearchKey::ThreadId(_)
                | SearchKey::SaveDateSupported
                | SearchKey::Date {
                    of: DateOf::Saved,
                    ..
                }
        );
    });
    offered
}

/// A search under way.
struct Looking {
    key: Box<SearchKey>,
    returns: Option<Returns>,
    sets: Sets,
    /// The keys that need the message itself.
    leaves: Arc<[SearchKey]>,
    found: Vec<MessageUid>,
    /// Not decided by the snapshot, rising.
    open: VecDeque<MessageUid>,
    /// What was asked for and not looked at, rising.
    rest: Vec<MessageUid>,
    /// Where to go on in the snapshot.
    next: Option<MessageUid>,
}

/// The sets that a search names, resolved when it begins; by their place in the key, since a search may name a thousand.
struct Sets(HashMap<usize, NumberSet<MessageUid>>);

/// Where a set stands in a boxed key.
fn place(set: &SequenceSet) -> usize {
    std::ptr::from_ref(set).addr()
}

impl Sets {
    fn of(session: &mut ImapSession, key: &SearchKey) -> Result<Self, Refusal> {
        let selected = session.selected()?;
        let messages = selected.view.messages();
        let mut sets = HashMap::new();
        key.visit(&mut |key| {
            let (set, by_uid) = match key {
                SearchKey::Sequence(set) => (set, false),
                SearchKey::Uid(set) => (set, true),
                _ => return,
            };
            let mut uids = NumberSet::default();
            match set {
                SequenceSet::Saved => selected.saved.iter().for_each(|uid| uids.push(*uid)),
                SequenceSet::Listed(listed) if by_uid => {
                    uids = listed.resolve(messages.last_uid());
                }
                SequenceSet::Listed(listed) => {
                    // A number that no message has is a key that nothing matches, not an error: RFC 9051 section 9
                    // speaks of COPY, FETCH and STORE.
                    for (first, last) in listed.resolve(SeqNum(messages.count())).ranges() {
                        if let (Some(first), Some(last)) =
                            (messages.get(*first), messages.get(*last))
                        {
                            uids.push_range(first.uid, last.uid);
                        }
                    }
                }
            }
            sets.insert(place(set), uids);
        });
        Ok(Self(sets))
    }

    fn contains(&self, set: &SequenceSet, uid: MessageUid) -> bool {
        let uids = self.0.get(&place(set));
        uids.is_some_and(|uids| uids.contains(uid))
    }
}

/// The keys that may need the message itself, each once.
fn leaves_of(key: &SearchKey) -> Arc<[SearchKey]> {
    let mut leaves: Vec<SearchKey> = Vec::new();
    key.visit(&mut |key| {
        let looks_inside = matches!(
            key,
            SearchKey::Address { .. }
                | SearchKey::Header { .. }
                | SearchKey::Body(_)
                | SearchKey::Text(_)
        );
        if looks_inside && !leaves.contains(key) {
            leaves.push(key.clone());
        }
    });
    leaves.into()
}

impl Looking {
    /// Decides a leaf as far as the snapshot goes.
    fn leaf(&self, key: &SearchKey, entry: &Entry, session: &Facts<'_>) -> Verdict {
        match key {
            SearchKey::Sequence(set) => Some(self.sets.contains(set, entry.uid)),
            SearchKey::Uid(set) => Some(self.sets.contains(set, entry.uid)),
            SearchKey::Recent => Some(session.selected.is_recent(entry.uid)),
            key => search::by_entry(key, entry, session.keywords),
        }
    }
}

/// What a session knows of its mailbox.
struct Facts<'a> {
    selected: &'a crate::imap::session::Selected,
    keywords: &'a [String],
}

fn by_entries(session: &mut ImapSession, mut looking: Looking) -> Result<Step, Refusal> {
    let selected = session.selected()?;
    let messages = selected.view.messages();
    let facts = Facts {
        selected,
        keywords: messages.keywords(),
    };
    let mut next = None;
    let mut keys = 0;
    looking.key.visit(&mut |_| keys += 1);
    let step = (KEYS_PER_STEP / keys).max(100);
    if let Some(from) = looking.next {
        for (count, (_, entry)) in messages.iter_from(from).enumerate() {
            if count == step {
                next = Some(entry.uid);
                break;
            }
            if selected.view.is_gone(entry.uid) {
                continue;
            }
            match search::decide(&looking.key, &mut |key| looking.leaf(key, entry, &facts)) {
                Some(true) => looking.found.push(entry.uid),
                Some(false) => {}
                None => looking.open.push_back(entry.uid),
            }
        }
    }
    looking.next = next;
    match looking.next {
        Some(_) => Step::resume(|session| by_entries(session, looking)),
        None => by_summaries(session, looking),
    }
}

fn by_summaries(session: &mut ImapSession, mut looking: Looking) -> Result<Step, Refusal> {
    let mut uids = std::mem::take(&mut looking.rest);
    if uids.is_empty() {
        let count = looking.open.len().min(MESSAGES_PER_ASK);
        uids.extend(looking.open.drain(..count));
    }
    if uids.is_empty() {
        return answer(session, looking);
    }
    let next = looking
        .open
        .iter()
        .take(MESSAGES_PER_ASK)
        .copied()
        .collect();
    Step::ask(Ask::Summaries { uids, next }, move |session, answer| {
        // What cannot be read holds nothing that is searched for.
        let Answer::Summaries {
            found: summaries,
            rest,
            ..
        } = answer
        else {
            return Err(Refusal::Bug);
        };
        looking.rest = rest;
        let selected = session.selected()?;
        let messages = selected.view.messages();
        let facts = Facts {
            selected,
            keywords: messages.keywords(),
        };
        let mut open = Vec::new();
        for (uid, summary) in summaries {
            let Some((_, entry)) = messages.find(uid) else {
                continue;
            };
            let verdict = search::decide(&looking.key, &mut |key| {
                looking
                    .leaf(key, entry, &facts)
                    .or_else(|| search::by_summary(key, entry, &summary))
            });
            match verdict {
                Some(true) => looking.found.push(uid),
                Some(false) => {}
                None => open.push((uid, summary)),
            }
        }
        match open.is_empty() {
            true => by_summaries(session, looking),
            false => by_messages(looking, open),
        }
    })
}

fn by_messages(mut looking: Looking, open: Vec<(MessageUid, Kept)>) -> Result<Step, Refusal> {
    let ask = Ask::Search {
        keys: looking.leaves.clone(),
        uids: open.iter().map(|(uid, _)| *uid).collect(),
    };
    Step::ask(ask, move |session, answer| {
        let Answer::Found(found) = answer else {
            return Err(Refusal::Bug);
        };
        let selected = session.selected()?;
        let messages = selected.view.messages();
        let facts = Facts {
            selected,
            keywords: messages.keywords(),
        };
        for Found { uid, matches } in found {
            let Some((_, entry)) = messages.find(uid) else {
                continue;
            };
            let summary = open.iter().find(|(open, _)| *open == uid);
            let verdict = search::decide(&looking.key, &mut |key| {
                if let Some(verdict) = looking.leaf(key, entry, &facts) {
                    return Some(verdict);
                }
                if let Some(leaf) = looking.leaves.iter().position(|leaf| leaf == key) {
                    return matches.get(leaf).copied();
                }
                summary.and_then(|(_, summary)| search::by_summary(key, entry, summary))
            });
            // What nobody can decide (a key of an extension we do not speak) is not found.
            if verdict == Some(true) {
                looking.found.push(uid);
            }
        }
        Step::resume(|session| by_summaries(session, looking))
    })
}

fn answer(session: &mut ImapSession, mut looking: Looking) -> Result<Step, Refusal> {
    looking.found.sort_unstable();
    let (by_uid, rev2, tag) = (
        session.by_uid(),
        session.enabled.rev2,
        session.tag().to_owned(),
    );
    let returns = match (looking.returns, rev2) {
        (None, true) => Some(Returns {
            all: true,
            ..Returns::default()
        }),
        (returns, _) => returns,
    };
    if returns.is_some_and(|returns| returns.save) {
        session.selected()?.saved = saved(&returns.unwrap_or_default(), &looking.found);
    }
    let selected = session.selected()?;
    let messages = selected.view.messages();
    let mut uids = NumberSet::default();
    let mut seqs = NumberSet::default();
    for uid in &looking.found {
        match by_uid {
            true => uids.push(*uid),
            false => messages
                .find(*uid)
                .into_iter()
                .for_each(|(seq, _)| seqs.push(seq)),
        }
    }
    let text = session.out.text();
    match returns {
        // SAVE alone has nothing to tell (RFC 5182 section 2.1).
        Some(returns)
            if returns.save && !(returns.min || returns.max || returns.all || returns.count) => {}
        Some(returns) if by_uid => {
            response::esearch(&tag, Numbering::Uid, returns, &uids, None, text);
        }
        Some(returns) => {
            response::esearch(&tag, Numbering::Sequence, returns, &seqs, None, text);
        }
        None if by_uid => response::search(&uids, None, text),
        None => response::search(&seqs, None, text),
    }
    // What is gone is not found, though the client still counts it (RFC 2180 section 4.3, RFC 5530 section 3).
    let owes = session.selected()?.view.owes();
    Ok(Step::Done(owes.then_some(Code::ExpungeIssued)))
}

/// What `$` stands for after SAVE: all, or only MIN and MAX if only these were asked for (RFC 5182 section 2.4).
fn saved(returns: &Returns, found: &[MessageUid]) -> Vec<MessageUid> {
    if returns.all || returns.count || !(returns.min || returns.max) {
        return found.to_vec();
    }
    let min = found.first().filter(|_| returns.min);
    let max = found.last().filter(|_| returns.max);
    let mut saved: Vec<MessageUid> = min.into_iter().chain(max).copied().collect();
    saved.dedup();
    saved
}
