//! `[queues]`: how many wait for, or are worked on by, each part of the house. Who finds no place waits until the deadline of
//! its command and then hears "later"; nothing piles up.

use super::{ByteCount, source::Table};

/// Places of the parts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Queues {
    /// Asks of one open mailbox.
    pub mailbox: u32,
    /// Mailboxes held open.
    pub mailboxes: u32,
    /// Octets of summaries of messages listed lately.
    pub summaries: ByteCount,
    /// Changes that wait for the index.
    pub index: u32,
    /// Puts and deletes that the store works on.
    pub store_writes: u32,
    /// Gets that the store works on.
    pub store_reads: u32,
    /// Octets of the bodies being put.
    pub store_memory: ByteCount,
    /// Passwords that wait for each hasher.
    pub hasher: u32,
    /// Messages that one filter checks.
    pub filter: u32,
    /// Threads that may block.
    pub threads: u32,
}

/// Reads the section.
pub(super) fn read(root: &Table<'_>) -> Queues {
    let table = root.table("queues");
    let many = 1..=1_000_000;
    Queues {
        mailbox: table.within("mailbox", 64, many.clone()),
        mailboxes: table.within("mailboxes", 100_000, many.clone()),
        summaries: table.within(
            "summaries",
            ByteCount::mebibytes(64),
            ByteCount::mebibytes(1)..=ByteCount(1 << 50),
        ),
        index: table.within("index", 4096, many.clone()),
        store_writes: table.within("store_writes", 64, many.clone()),
        store_reads: table.within("store_reads", 256, many.clone()),
        store_memory: table.within(
            "store_memory",
            ByteCount::mebibytes(256),
            ByteCount::mebibytes(1)..=ByteCount(1 << 50),
        ),
        hasher: table.within("hasher", 64, many.clone()),
        filter: table.within("filter", 64, many),
        threads: table.within("threads", 64, 4..=4096),
    }
}
