//! How far an index has come, remembered outside of it.

/// A place in the history of an index, which was acknowledged as durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark {
    /// Which index; the same after it was brought back from a backup.
    pub index: i64,
    /// How far.
    pub number: i64,
}

/// What [`Index::mark`](super::Index::mark) found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Marked {
    /// Where the index is now.
    pub mark: Mark,
    /// It was behind, and every mailbox has a new UIDVALIDITY.
    pub restored: bool,
}
