//! What a directory says of accounts: table `directory_entry`, and the aliases that came from there.

use super::{AccountId, Timestamp};

/// The entry of a directory that an account is bound to: whatever its address becomes, it stays the same account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DirectoryEntry {
    /// The account.
    pub account: AccountId,
    /// Which directory.
    pub source: String,
    /// What stays when the entry is renamed; unique in its directory.
    pub stable_id: String,
    /// The person's name.
    pub display_name: Option<String>,
    /// Where the person works.
    pub department: Option<String>,
    /// When this was written last.
    pub seen: Timestamp,
    /// When the account was switched off because of the directory; none if it was not.
    pub disabled: Option<Timestamp>,
    /// Sources of the aliases that came from the entry, sorted.
    pub aliases: Vec<String>,
}

/// What an entry says of the account that it is bound to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewEntry {
    /// Which directory.
    pub source: String,
    /// What stays when the entry is renamed.
    pub stable_id: String,
    /// The person's name.
    pub display_name: Option<String>,
    /// Where the person works.
    pub department: Option<String>,
    /// Addresses, lower case, that shall lead to the account; their domains must exist.
    pub aliases: Vec<String>,
}
