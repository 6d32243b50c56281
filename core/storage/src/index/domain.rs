//! Mail domains: table `domains`.

use super::{DomainId, Timestamp};

/// How the accounts of a domain authenticate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthType {
    /// LDAP is asked first.
    Ldap,
    /// Only the hash in `virtual_users.password` counts.
    Local,
}

/// A domain whose mail is kept here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Domain {
    /// Its row.
    pub id: DomainId,
    /// Lower-case A-labels.
    pub name: String,
    /// Where mail goes; `virtual:` means here.
    pub transport: String,
    /// The company it belongs to.
    pub company: Option<i64>,
    /// How its accounts authenticate.
    pub auth: AuthType,
    /// Base DN in place of the configured one.
    pub ldap_base_dn: Option<String>,
    /// An inactive domain takes no mail and lets nobody in.
    pub active: bool,
    /// When it was added.
    pub created: Timestamp,
}
