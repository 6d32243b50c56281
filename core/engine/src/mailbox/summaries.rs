//! Summaries that were asked for lately, kept for the next who asks.
//!
//! A client lists what it listed before, and searches what it has listed: the same summaries are wanted again and again, also by the
//! other sessions of a mailbox. They never change, so what is here needs no look into the index, and no other thread.
//!
//! **Invariants.** I6: they are found by their mailbox alone, and only who has joined it asks. A message that is gone may still be here;
//! who asks knows which messages there are. **Bounds.** So many octets in all. Beyond them the mailboxes that nobody asked for longest
//! go, each as a whole; one that does not fit alone is not kept.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics::{Gauge, gauge};
use postrider_protocol::imap::types::Uid;
use postrider_protocol::message::Kept;
use postrider_storage::index::MailboxId;

use crate::telemetry::metrics::SUMMARIES_HELD;

/// What a summary takes beside its octets: its place in a map, and what counts its owners.
const PLACE: usize = 96;

/// Summaries of this process, by mailbox.
pub(crate) struct Summaries {
    most: usize,
    state: Mutex<State>,
    held: Gauge,
}

#[derive(Debug, Default)]
struct State {
    shelves: HashMap<MailboxId, Shelf>,
    /// Octets of all shelves.
    octets: usize,
    /// Times that anybody asked.
    asked: u64,
}

/// Summaries of one mailbox.
#[derive(Debug, Default)]
struct Shelf {
    kept: HashMap<u32, Kept>,
    octets: usize,
    /// When it was asked for last.
    asked: u64,
}

impl Summaries {
    /// None yet, and never more than so many octets.
    pub fn new(most: u64) -> Self {
        Self {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            state: Mutex::default(),
            held: gauge!(SUMMARIES_HELD),
        }
    }

    /// Those of these messages that are here, in their order.
    pub fn find(&self, mailbox: MailboxId, uids: impl Iterator<Item = Uid>) -> Vec<(Uid, Kept)> {
        let mut state = self.lock();
        state.asked += 1;
        let asked = state.asked;
        let Some(shelf) = state.shelves.get_mut(&mailbox) else {
            return Vec::new();
        };
        shelf.asked = asked;
        let kept = |uid: Uid| Some((uid, shelf.kept.get(&uid.0)?.clone()));
        uids.filter_map(kept).collect()
    }

    /// Keeps these.
    pub fn keep(&self, mailbox: MailboxId, found: &[(Uid, Kept)]) {
        let mut state = self.lock();
        state.asked += 1;
        let asked = state.asked;
        let shelf = state.shelves.entry(mailbox).or_default();
        shelf.asked = asked;
        let before = shelf.octets;
        for (uid, kept) in found {
            if shelf.kept.insert(uid.0, kept.clone()).is_none() {
                shelf.octets += kept.octets() + PLACE;
            }
        }
        state.octets += state.shelves[&mailbox].octets - before;
        if state.octets > self.most {
            state.make_room(self.most);
        }
        self.held.set(state.octets as f64);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A shelf that a panic left half filled is a shelf all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops the shelves that were asked for longest ago, a few more than must be, so that the next ones find room.
    fn make_room(&mut self, most: usize) {
        let mut oldest: Vec<(u64, MailboxId)> = self
            .shelves
            .iter()
            .map(|(mailbox, shelf)| (shelf.asked, *mailbox))
            .collect();
        oldest.sort_unstable();
        for (_, mailbox) in oldest {
            if self.octets <= most - most / 8 {
                return;
            }
            if let Some(shelf) = self.shelves.remove(&mailbox) {
                self.octets -= shelf.octets;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use postrider_protocol::message::Summary;

    use super::*;

    const ONE: MailboxId = MailboxId(1);
    const OTHER: MailboxId = MailboxId(2);

    fn kept(subject: &str) -> Kept {
        let message = format!("Subject: {subject}\r\n\r\n");
        Kept::new(&Summary::of(message.as_bytes()).encode()).expect("it was encoded")
    }

    fn found(summaries: &Summaries, mailbox: MailboxId) -> Vec<u32> {
        let found = summaries.find(mailbox, (1..100).map(Uid));
        found.into_iter().map(|(uid, _)| uid.0).collect()
    }

    #[test]
    fn what_was_kept_is_found_in_its_mailbox_alone() {
        let summaries = Summaries::new(1 << 20);
        summaries.keep(ONE, &[(Uid(7), kept("seven")), (Uid(3), kept("three"))]);
        summaries.keep(OTHER, &[(Uid(4), kept("four"))]);
        assert_eq!(found(&summaries, ONE), [3, 7]);
        assert_eq!(found(&summaries, OTHER), [4]);
        assert_eq!(found(&summaries, MailboxId(3)), [0; 0]);
        let seven = summaries.find(ONE, [Uid(7)].into_iter());
        assert_eq!(
            seven[0].1.envelope().subject.map(<[u8]>::to_vec),
            Some(b"seven".to_vec())
        );
    }

    #[test]
    fn it_takes_no_more_than_it_may() {
        let each = kept("subject").octets() + PLACE;
        let summaries = Summaries::new(10 * each as u64);
        let of = |uids: std::ops::Range<u32>| -> Vec<_> {
            uids.map(|uid| (Uid(uid), kept("subject"))).collect()
        };
        summaries.keep(ONE, &of(1..5));
        summaries.keep(OTHER, &of(1..5));
        // Asked for once more, so the other one is older.
        assert_eq!(found(&summaries, ONE).len(), 4);
        summaries.keep(MailboxId(3), &of(1..5));
        assert_eq!(found(&summaries, ONE).len(), 4);
        assert_eq!(found(&summaries, OTHER).len(), 0);
        assert_eq!(found(&summaries, MailboxId(3)).len(), 4);
        assert_eq!(summaries.lock().octets, 8 * each);
        // What is kept again takes no more.
        summaries.keep(ONE, &of(1..5));
        assert_eq!(summaries.lock().octets, 8 * each);
        // One that cannot fit goes as well as all others.
        summaries.keep(OTHER, &of(1..30));
        assert!(summaries.lock().shelves.is_empty());
        assert_eq!(summaries.lock().octets, 0);
    }
}
