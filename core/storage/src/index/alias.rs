//! Aliases: table `virtual_aliases`.

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
