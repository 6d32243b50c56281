//! What one client has been told of its selected mailbox: the meaning of its sequence numbers.
//!
//! **Invariants.** I5: a sequence number changes its meaning only by an `EXPUNGE` that was sent. Messages that are gone but not
//! yet told keep their places.

use std::sync::Arc;

use super::snapshot::{Entry, Snapshot};
use super::types::{SeqNum, Uid};

/// Whether `EXPUNGE` may be sent now (RFC 9051 section 7.5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expunges {
    /// They may.
    Allowed,
    /// A command that uses sequence numbers is in progress.
    Forbidden,
}

/// What a client must be told, in this order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct News {
    /// Sequence numbers that are gone, falling, so that each is right when it is sent.
    pub expunged: Vec<SeqNum>,
    /// How many messages there are, if that changed by new ones.
    pub exists: Option<u32>,
    /// Whether the mailbox knows other keywords than before.
    pub keywords: bool,
    /// Messages whose flags changed, by their sequence number after all of the above; new messages are not among them.
    pub changed: Vec<(SeqNum, Entry)>,
}

/// What one client has been told.
#[derive(Clone, Debug)]
pub struct View {
    /// Told, in the order of sequence numbers.
    told: Arc<Snapshot>,
    /// UIDs in `told` that are gone, rising.
    gone: Vec<Uid>,
}

impl View {
    /// A client that has just been told of all messages.
    pub fn new(told: Arc<Snapshot>) -> Self {
        Self {
            told,
            gone: Vec::new(),
        }
    }

    /// What the client knows: its sequence numbers count these messages.
    pub fn messages(&self) -> &Snapshot {
        &self.told
    }

    /// Whether a message is gone although the client does not know.
    pub fn is_gone(&self, uid: Uid) -> bool {
        self.gone.binary_search(&uid).is_ok()
    }

    /// Whether any message is gone although the client does not know.
    pub fn owes(&self) -> bool {
        !self.gone.is_empty()
    }

    /// Moves to `now` and says what the client must be told.
    pub fn advance(&mut self, now: Arc<Snapshot>, expunges: Expunges) -> News {
        if Arc::ptr_eq(&self.told, &now) || now.highest_modseq() < self.told.highest_modseq() {
            return News::default();
        }
        let diff = self.told.diff(&now);
        let mut news = News {
            keywords: self.told.keywords() != now.keywords(),
            ..News::default()
        };
        let next = match expunges {
            Expunges::Allowed => {
                news.expunged = diff.expunged.iter().rev().map(|(seq, _)| *seq).collect();
                self.gone.clear();
                now
            }
            Expunges::Forbidden if diff.expunged.is_empty() => {
                self.gone.clear();
                now
            }
            Expunges::Forbidden => {
                let entries: Vec<Entry> = diff.expunged.iter().map(|(_, entry)| *entry).collect();
                self.gone = entries.iter().map(|entry| entry.uid).collect();
                Arc::new(now.retaining(&entries))
            }
        };
        if diff.added > 0 {
            news.exists = Some(next.count());
        }
        for uid in diff.changed {
            let Some((seq, entry)) = next.find(uid) else {
                continue;
            };
            if self
                .told
                .find(uid)
                .is_some_and(|(_, was)| was.flags != entry.flags)
            {
                news.changed.push((seq, *entry));
            }
        }
        self.told = next;
        news
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::Changes;
    use super::super::types::{Flags, ModSeq, UidValidity};
    use super::*;
    use proptest::prelude::*;

    fn entry(uid: u32, modseq: u64) -> Entry {
        Entry {
            uid: Uid(uid),
            size: 1,
            modseq: ModSeq(modseq),
            flags: Flags(modseq % 4),
            internal_date: 0,
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Arrive(u8),
        Flag(prop::sample::Index),
        Expunge(prop::sample::Index),
        Tell(bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1u8..5).prop_map(Step::Arrive),
            any::<prop::sample::Index>().prop_map(Step::Flag),
            any::<prop::sample::Index>().prop_map(Step::Expunge),
            any::<bool>().prop_map(Step::Tell),
        ]
    }

    proptest! {
        /// A client that only believes what it is told ends up with the mailbox as it is.
        #[test]
        fn a_client_that_believes_is_right(steps in proptest::collection::vec(step(), 1..200)) {
            let mut now = Arc::new(Snapshot::empty(UidValidity(1)));
            let mut view = View::new(now.clone());
            // The client: sequence number - 1 -> (UID once it asks for it, flags).
            let mut client: Vec<(u32, u64)> = Vec::new();
            let (mut next, mut modseq) = (1u32, 1u64);
            for step in steps.into_iter().chain([Step::Tell(true)]) {
                let mut changes = Changes::default();
                modseq += 1;
                changes.highest_modseq = ModSeq(modseq);
                let alive: Vec<Entry> = now.iter().map(|(_, e)| *e).collect();
                match step {
                    Step::Arrive(count) => for _ in 0..count {
                        changes.changed.push(entry(next, modseq));
                        next += 1;
                    },
                    Step::Flag(index) if !alive.is_empty() => {
                        changes.changed.push(entry(index.get(&alive).uid.0, modseq));
                    }
                    Step::Expunge(index) if !alive.is_empty() => changes.expunged.push(index.get(&alive).uid),
                    Step::Tell(all) => {
                        let expunges = if all { Expunges::Allowed } else { Expunges::Forbidden };
                        let news = view.advance(now.clone(), expunges);
                        prop_assert!(all || news.expunged.is_empty());
                        for seq in news.expunged {
                            client.remove(seq.0 as usize - 1);
                        }
                        if let Some(exists) = news.exists {
                            prop_assert!(exists as usize >= client.len());
                            for seq in client.len() as u32 + 1..=exists {
                                let new = view.messages().get(SeqNum(seq)).copied();
                                let new = new.expect("counted");
                                client.push((new.uid.0, new.flags.0));
                            }
                        }
                        for (seq, changed) in news.changed {
                            client[seq.0 as usize - 1].1 = changed.flags.0;
                        }
                        let told: Vec<(u32, u64)> = view.messages().iter().map(|(_, e)| (e.uid.0, e.flags.0)).collect();
                        prop_assert_eq!(&client, &told);
                        if all {
                            let truth: Vec<(u32, u64)> = now.iter().map(|(_, e)| (e.uid.0, e.flags.0)).collect();
                            prop_assert_eq!(&client, &truth);
                        }
                        continue;
                    }
                    _ => {}
                }
                now = Arc::new(now.apply(&changes));
            }
        }
    }
}
