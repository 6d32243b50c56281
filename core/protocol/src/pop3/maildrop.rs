//! The maildrop: messages, numbers and marks (RFC 1939 section 5 and section 7).
//!
//! **Invariants.** Numbers 3 and 4 of [`crate::pop3`].

use std::collections::HashMap;
use std::fmt::Write as _;

use super::ask::Listed;
use super::response::Response;
use crate::imap::types::{Uid, UidValidity};

/// The messages, as they were when the maildrop was opened.
#[derive(Debug)]
pub(super) struct Maildrop {
    messages: Vec<Message>,
    uid_validity: UidValidity,
    /// Where they are not the usual ones.
    unique_ids: HashMap<Uid, String>,
}

#[derive(Debug)]
struct Message {
    listed: Listed,
    mark: Mark,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mark {
    Kept,
    Deleted,
}

/// What LIST and UIDL list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Listing {
    /// Sizes.
    Sizes,
    /// Unique-ids.
    UniqueIds,
}

impl Maildrop {
    /// Nothing is marked at first.
    pub(super) fn new(
        messages: Vec<Listed>,
        uid_validity: UidValidity,
        unique_ids: HashMap<Uid, String>,
    ) -> Self {
        let messages = messages.into_iter().map(|listed| Message {
            listed,
            mark: Mark::Kept,
        });
        Self {
            messages: messages.collect(),
            uid_validity,
            unique_ids,
        }
    }

    /// How many messages there are, marked or not: the last message number.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Messages that are not marked, and their octets.
    pub(super) fn total(&self) -> (usize, u64) {
        self.kept().fold((0, 0), |(count, octets), message| {
            (count + 1, octets.saturating_add(message.listed.octets))
        })
    }

    /// A message that is not marked.
    pub(super) fn listed(&self, number: u64) -> Result<Listed, Response> {
        match self.message(number)? {
            message if message.mark == Mark::Kept => Ok(message.listed),
            _ => Err(Response::NoSuchMessage),
        }
    }

    /// The line of a listing.
    pub(super) fn describe(&self, number: u64, listing: Listing) -> Result<String, Response> {
        let Listed { uid, octets } = self.listed(number)?;
        let mut line = number.to_string();
        let written = match (listing, self.unique_ids.get(&uid)) {
            (Listing::Sizes, _) => write!(line, " {octets}"),
            (Listing::UniqueIds, Some(own)) => write!(line, " {own}"),
            // As Dovecot writes it, so that a client of a mailbox that moved here fetches nothing twice.
            (Listing::UniqueIds, None) => {
                write!(line, " {:08x}{:08x}", uid.0, self.uid_validity.0)
            }
        };
        written.map_err(|_| Response::Bug)?;
        Ok(line)
    }

    /// Marks a message as deleted.
    pub(super) fn delete(&mut self, number: u64) -> Result<(), Response> {
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let message = index
            .and_then(|index| self.messages.get_mut(index))
            .ok_or(Response::NoSuchMessage)?;
        match std::mem::replace(&mut message.mark, Mark::Deleted) {
            Mark::Kept => Ok(()),
            Mark::Deleted => Err(Response::AlreadyDeleted),
        }
    }

    /// Takes all marks away.
    pub(super) fn reset(&mut self) {
        self.messages
            .iter_mut()
            .for_each(|message| message.mark = Mark::Kept);
    }

    /// What is marked.
    pub(super) fn deleted(&self) -> Vec<Uid> {
        let marked = |message: &&Message| message.mark == Mark::Deleted;
        self.messages
            .iter()
            .filter(marked)
            .map(|message| message.listed.uid)
            .collect()
    }

    fn kept(&self) -> impl Iterator<Item = &Message> {
        self.messages
            .iter()
            .filter(|message| message.mark == Mark::Kept)
    }

    fn message(&self, number: u64) -> Result<&Message, Response> {
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        index
            .and_then(|index| self.messages.get(index))
            .ok_or(Response::NoSuchMessage)
    }
}
