//! Aliases: table `virtual_aliases`, and what an address comes to.

use super::{Account, Domain, MailboxId};

/// One address that leads to another. `@domain` as source is the catch-all of a domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alias {
    /// Address, or `@domain`; lower case.
    pub source: String,
    /// Address it leads to.
    pub destination: String,
    /// An inactive one leads nowhere.
    pub active: bool,
}

/// What the index knows of addresses of one domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// The domain, if it is ours.
    pub domain: Option<Domain>,
    /// Each address, in the order they were asked for.
    pub addresses: Vec<KnownAddress>,
}

/// What the index knows of one address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownAddress {
    /// Where its active aliases lead.
    pub destinations: Vec<String>,
    /// The account with this address.
    pub account: Option<Account>,
    /// The account's INBOX.
    pub inbox: Option<MailboxId>,
}
