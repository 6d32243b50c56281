//! What a directory says of accounts: table `directory_entry`, the aliases that came from there, and the changes of both.

use super::{AccountId, NewAccount, Timestamp};

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

/// Which account an entry is bound to.
#[derive(Clone, Debug)]
pub enum BindTo {
    /// This one. `Invalid` if LDAP does not vouch for it.
    Existing(AccountId),
    /// One that is added with it.
    New(NewAccount),
}

/// Binds an account to the entry of a directory, or says anew what the entry it is bound to says. `Exists("directory entry")` if the
/// account is bound to another entry or the entry to another account. The aliases that came from the entry become those given, but for
/// one that is there already; what somebody made stays. Raises no version. Outcome: `Accounts` with the one.
#[derive(Clone, Debug)]
pub struct BindEntry {
    /// The account.
    pub to: BindTo,
    /// What the entry says.
    pub entry: NewEntry,
    /// Now.
    pub now: Timestamp,
}

/// Unbinds an account from its entry, and removes the aliases that came from there. `NotFound("directory entry")` if it is bound to none.
/// Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct UnbindEntry {
    /// The account.
    pub account: AccountId,
}

/// Gives an account another address, in the same domain or another, and raises its version. Aliases that led to the old address lead to the
/// new one; none leads from there to itself. `Exists` if an account has the address. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct RenameAccount {
    /// The account.
    pub account: AccountId,
    /// Local part and domain, lower case. The domain must exist.
    pub email: String,
    /// Now.
    pub now: Timestamp,
}

/// Switches an account on or off because of its directory entry, notes that there, and raises the account's version.
/// `NotFound("directory entry")` if it is bound to none. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct SetEntryActive {
    /// The account.
    pub account: AccountId,
    /// On or off.
    pub active: bool,
    /// Now.
    pub now: Timestamp,
}
