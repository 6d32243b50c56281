//! The messages of a mailbox at one moment: immutable, shared by all sessions that see the same, cheap to move forward.
//!
//! **Invariants.** UIDs rise; every chunk holds at least one message; `starts[n]` counts the messages before chunk `n`.
//! **Bounds.** 32 octets a message. A change copies the chunks it touches and one pointer for each other chunk, so that a
//! million messages move forward in microseconds.

use std::sync::Arc;

use super::types::{Flags, ModSeq, SeqNum, Uid, UidValidity};

/// Messages a chunk is filled up to.
const CHUNK: usize = 512;

/// What is known of a message without looking into it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its UID.
    pub uid: Uid,
    /// Octets.
    pub size: u32,
    /// Its last change.
    pub modseq: ModSeq,
    /// Its flags.
    pub flags: Flags,
    /// INTERNALDATE, seconds since 1970.
    pub internal_date: i64,
}

/// What changed since an earlier state.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// UID of the next message.
    pub uid_next: Uid,
    /// Highest modification sequence now.
    pub highest_modseq: ModSeq,
    /// New and changed messages, by UID.
    pub changed: Vec<Entry>,
    /// UIDs that are gone, rising; ones never seen are passed over.
    pub expunged: Vec<Uid>,
    /// Names of all keywords by number.
    pub keywords: Vec<String>,
}

/// The messages of a mailbox at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    uid_validity: UidValidity,
    uid_next: Uid,
    highest_modseq: ModSeq,
    keywords: Arc<[String]>,
    chunks: Vec<Arc<[Entry]>>,
    starts: Vec<u32>,
    count: u32,
}

impl Snapshot {
    /// A mailbox without messages.
    pub fn empty(uid_validity: UidValidity) -> Self {
        Self {
            uid_validity,
            uid_next: Uid(1),
            highest_modseq: ModSeq(1),
            keywords: Arc::from([]),
            chunks: Vec::new(),
            starts: Vec::new(),
            count: 0,
        }
    }

    /// UIDVALIDITY of the mailbox.
    pub fn uid_validity(&self) -> UidValidity {
        self.uid_validity
    }

    /// UID of the next message.
    pub fn uid_next(&self) -> Uid {
        self.uid_next
    }

    /// Highest modification sequence.
    pub fn highest_modseq(&self) -> ModSeq {
        self.highest_modseq
    }

    /// Names of the keywords by number.
    pub fn keywords(&self) -> &[String] {
        &self.keywords
    }

    /// How many messages there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The message with this sequence number.
    pub fn get(&self, seq: SeqNum) -> Option<&Entry> {
        let index = seq.0.checked_sub(1)?;
        if index >= self.count {
            return None;
        }
        let chunk = self.starts.partition_point(|&start| start <= index) - 1;
        self.chunks[chunk].get((index - self.starts[chunk]) as usize)
    }

    /// The message with this UID and its sequence number.
    pub fn find(&self, uid: Uid) -> Option<(SeqNum, &Entry)> {
        let entry = self.iter_from(uid).next()?;
        (entry.1.uid == uid).then_some(entry)
    }

    /// The messages whose UID is `uid` or above, with their sequence numbers.
    pub fn iter_from(&self, uid: Uid) -> impl Iterator<Item = (SeqNum, &Entry)> {
        let chunk = self
            .chunks
            .partition_point(|chunk| chunk[chunk.len() - 1].uid < uid);
        let (skip, before) = match self.chunks.get(chunk) {
            Some(entries) => (
                entries.partition_point(|entry| entry.uid < uid),
                self.starts[chunk],
            ),
            None => (0, self.count),
        };
        let rest = self.chunks[chunk..].iter().flat_map(|chunk| chunk.iter());
        rest.skip(skip)
            .zip(before + skip as u32 + 1..)
            .map(|(entry, seq)| (SeqNum(seq), entry))
    }

    /// All messages with their sequence numbers.
    pub fn iter(&self) -> impl Iterator<Item = (SeqNum, &Entry)> {
        self.iter_from(Uid(0))
    }

    /// The last message's UID, 0 if there is none.
    pub fn last_uid(&self) -> Uid {
        self.chunks
            .last()
            .map_or(Uid(0), |chunk| chunk[chunk.len() - 1].uid)
    }

    /// The state after `changes`.
    pub fn apply(&self, changes: &Changes) -> Snapshot {
        let mut chunks = Chunks::default();
        let (mut changed, mut expunged) = (&changes.changed[..], &changes.expunged[..]);
        for (n, chunk) in self.chunks.iter().enumerate() {
            // The last chunk takes new messages in, so that it fills up.
            let end = match self.chunks.get(n + 1) {
                Some(next) => next[0].uid,
                None => Uid(u32::MAX),
            };
            let (mine, later) = changed.split_at(changed.partition_point(|e| e.uid < end));
            let (gone, later_gone) = expunged.split_at(expunged.partition_point(|u| *u < end));
            (changed, expunged) = (later, later_gone);
            if mine.is_empty() && gone.is_empty() {
                chunks.share(chunk.clone());
            } else {
                chunks.fill(merge(chunk, mine, gone));
            }
        }
        if self.chunks.is_empty() {
            chunks.fill(merge(&[], changed, expunged));
        }
        let keywords = match *changes.keywords == *self.keywords {
            true => self.keywords.clone(),
            false => changes.keywords.clone().into(),
        };
        chunks.into_snapshot(Snapshot {
            uid_next: self.uid_next.max(changes.uid_next),
            highest_modseq: self.highest_modseq.max(changes.highest_modseq),
            keywords,
            ..Snapshot::empty(self.uid_validity)
        })
    }

    /// What leads from this state to `later`.
    pub fn diff(&self, later: &Snapshot) -> Diff {
        let mut diff = Diff::default();
        let (mut old, mut new) = (Cursor::of(self), Cursor::of(later));
        loop {
            if old.skip_shared(&mut new) {
                continue;
            }
            match (old.entry(), new.entry()) {
                (None, None) => return diff,
                (Some(was), Some(is)) if was.uid == is.uid => {
                    if was != is {
                        diff.changed.push(is.uid);
                    }
                    old.step();
                    new.step();
                }
                (Some(was), is) if is.is_none_or(|is| was.uid < is.uid) => {
                    diff.expunged.push((SeqNum(old.seq), *was));
                    old.step();
                }
                (_, Some(_)) => {
                    diff.added += 1;
                    new.step();
                }
                (Some(_), None) => unreachable!("taken by the arm above"),
            }
        }
    }

    /// This state with messages that a client has not been told are gone.
    pub fn retaining(&self, gone: &[Entry]) -> Snapshot {
        let mut changes = Changes {
            uid_next: self.uid_next,
            highest_modseq: self.highest_modseq,
            changed: gone.to_vec(),
            expunged: Vec::new(),
            keywords: self.keywords.to_vec(),
        };
        changes.changed.sort_by_key(|entry| entry.uid);
        self.apply(&changes)
    }
}

/// What leads from one state to a later one.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// Messages that are gone, by their sequence number in the earlier state, rising.
    pub expunged: Vec<(SeqNum, Entry)>,
    /// UIDs of messages in both states that differ, rising.
    pub changed: Vec<Uid>,
    /// How many messages are new.
    pub added: u32,
}

/// `entries` with `changed` put in and `expunged` taken out; all by UID.
fn merge(entries: &[Entry], changed: &[Entry], expunged: &[Uid]) -> Vec<Entry> {
    let mut merged = Vec::with_capacity(entries.len() + changed.len());
    let (mut changed, mut expunged) = (changed.iter().peekable(), expunged.iter().peekable());
    let mut keep = |entry: &Entry| {
        while expunged.next_if(|uid| **uid < entry.uid).is_some() {}
        if expunged.peek().is_none_or(|uid| **uid != entry.uid) {
            merged.push(*entry);
        }
    };
    for entry in entries {
        while let Some(new) = changed.next_if(|new| new.uid < entry.uid) {
            keep(new);
        }
        keep(changed.next_if(|new| new.uid == entry.uid).unwrap_or(entry));
    }
    changed.for_each(keep);
    merged
}

/// Chunks being put together.
#[derive(Default)]
struct Chunks {
    chunks: Vec<Arc<[Entry]>>,
}

impl Chunks {
    fn share(&mut self, chunk: Arc<[Entry]>) {
        self.chunks.push(chunk);
    }

    fn fill(&mut self, entries: Vec<Entry>) {
        self.chunks.extend(entries.chunks(CHUNK).map(Arc::from));
    }

    fn into_snapshot(self, mut snapshot: Snapshot) -> Snapshot {
        for chunk in &self.chunks {
            snapshot.starts.push(snapshot.count);
            snapshot.count += chunk.len() as u32;
        }
        snapshot.chunks = self.chunks;
        snapshot
    }
}

/// A place in a snapshot.
struct Cursor<'a> {
    chunks: &'a [Arc<[Entry]>],
    at: usize,
    seq: u32,
}

impl<'a> Cursor<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        Self {
            chunks: &snapshot.chunks,
            at: 0,
            seq: 1,
        }
    }

    fn entry(&self) -> Option<&'a Entry> {
        self.chunks.first().map(|chunk| &chunk[self.at])
    }

    fn step(&mut self) {
        self.at += 1;
        self.seq += 1;
        if self.at == self.chunks[0].len() {
            self.chunks = &self.chunks[1..];
            self.at = 0;
        }
    }

    /// Passes over a chunk that both share.
    fn skip_shared(&mut self, other: &mut Cursor<'_>) -> bool {
        let shared = self.at == 0
            && other.at == 0
            && matches!((self.chunks.first(), other.chunks.first()), (Some(a), Some(b)) if Arc::ptr_eq(a, b));
        if shared {
            let count = self.chunks[0].len() as u32;
            self.chunks = &self.chunks[1..];
            other.chunks = &other.chunks[1..];
            self.seq += count;
            other.seq += count;
        }
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn entry(uid: u32, modseq: u64) -> Entry {
        Entry {
            uid: Uid(uid),
            size: uid,
            modseq: ModSeq(modseq),
            flags: Flags(modseq),
            internal_date: 0,
        }
    }

    /// Steps of (UID, put or take); UIDs are dense enough to collide.
    fn steps() -> impl Strategy<Value = Vec<Vec<(u32, bool)>>> {
        proptest::collection::vec(
            proptest::collection::vec((1u32..3000, any::<bool>()), 0..400),
            1..12,
        )
    }

    proptest! {
        #[test]
        fn equals_a_plain_map(steps in steps()) {
            let mut model = BTreeMap::new();
            let mut snapshot = Snapshot::empty(UidValidity(7));
            for (n, step) in steps.iter().enumerate() {
                let step: BTreeMap<u32, bool> = step.iter().copied().collect();
                let before = (snapshot.clone(), model.clone());
                let mut changes = Changes { uid_next: Uid(3000), highest_modseq: ModSeq(n as u64 + 2), ..Changes::default() };
                for (uid, put) in step {
                    if put {
                        model.insert(uid, entry(uid, n as u64 + 2));
                        changes.changed.push(entry(uid, n as u64 + 2));
                    } else {
                        model.remove(&uid);
                        changes.expunged.push(Uid(uid));
                    }
                }
                snapshot = snapshot.apply(&changes);
                prop_assert_eq!(snapshot.count() as usize, model.len());
                prop_assert!(snapshot.iter().map(|(_, e)| e).eq(model.values()));
                for (seq, found) in snapshot.iter() {
                    prop_assert_eq!(snapshot.get(seq), Some(found));
                    prop_assert_eq!(snapshot.find(found.uid), Some((seq, found)));
                }
                prop_assert_eq!(snapshot.get(SeqNum(snapshot.count() + 1)), None);
                prop_assert_eq!(snapshot.get(SeqNum(0)), None);

                let diff = before.0.diff(&snapshot);
                let gone: Vec<u32> = before.1.keys().filter(|uid| !model.contains_key(uid)).copied().collect();
                prop_assert_eq!(diff.expunged.iter().map(|(_, e)| e.uid.0).collect::<Vec<_>>(), gone);
                for (seq, was) in &diff.expunged {
                    prop_assert_eq!(before.0.get(*seq), Some(was));
                }
                prop_assert_eq!(diff.added as usize, model.keys().filter(|uid| !before.1.contains_key(uid)).count());
                let changed: Vec<u32> = model.iter().filter(|(uid, e)| before.1.get(uid).is_some_and(|was| was != *e)).map(|(uid, _)| *uid).collect();
                prop_assert_eq!(diff.changed.iter().map(|uid| uid.0).collect::<Vec<_>>(), changed);

                let entries: Vec<Entry> = diff.expunged.iter().map(|(_, e)| *e).collect();
                let retained = snapshot.retaining(&entries);
                prop_assert_eq!(retained.count(), snapshot.count() + entries.len() as u32);
                prop_assert_eq!(retained.diff(&snapshot).expunged.len(), entries.len());
            }
        }
    }

    #[test]
    fn a_change_shares_the_chunks_it_does_not_touch() {
        let changes = Changes {
            changed: (1..=10_000).map(|uid| entry(uid, 1)).collect(),
            ..Changes::default()
        };
        let first = Snapshot::empty(UidValidity(1)).apply(&changes);
        let second = first.apply(&Changes {
            changed: vec![entry(5_000, 2)],
            ..Changes::default()
        });
        let shared = first.chunks.iter().zip(&second.chunks);
        assert_eq!(shared.filter(|(a, b)| !Arc::ptr_eq(a, b)).count(), 1);
        assert_eq!(first.diff(&second).changed, [Uid(5_000)]);
    }
}
