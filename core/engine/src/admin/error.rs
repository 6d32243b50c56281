//! Why an operator's action was not done.

use postrider_storage::Error;

use crate::auth::{HasherError, password::PasswordError, password::VerifyError};

/// Why an operator's action was not done. Nothing was changed, unless the storage says that it does not know.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AdminError {
    /// The text is no domain name.
    #[error("{0:?} is not a domain name")]
    BadDomain(String),
    /// The text is no address of a user.
    #[error("{text:?} is not an address: {why}")]
    BadAddress {
        /// The text.
        text: String,
        /// Why not.
        why: &'static str,
    },
    /// The domain is not kept here.
    #[error("domain {0} does not exist")]
    NoDomain(String),
    /// The domain is there already.
    #[error("domain {0} exists already")]
    DomainExists(String),
    /// The domain has accounts.
    #[error("domain {domain} has {users} {}", if *.users == 1 { "user" } else { "users" })]
    DomainInUse {
        /// The domain.
        domain: String,
        /// How many.
        users: usize,
    },
    /// There is no such account.
    #[error("user {0} does not exist")]
    NoUser(String),
    /// The account is there already.
    #[error("user {0} exists already")]
    UserExists(String),
    /// There is no such alias.
    #[error("alias {source_address} does not exist")]
    NoAlias {
        /// Its source, or source and destination.
        source_address: String,
    },
    /// The alias is there already.
    #[error("alias {from} to {to} exists already")]
    AliasExists {
        /// Its source.
        from: String,
        /// Its destination.
        to: String,
    },
    /// The alias leads to itself.
    #[error("alias {0} would lead to itself")]
    AliasToItself(String),
    /// A base DN for a domain without LDAP.
    #[error("a base DN means nothing in a domain that authenticates locally")]
    BaseDnWithoutLdap,
    /// A password for a user that LDAP vouches for.
    #[error("the password of {0} is kept by the LDAP directory")]
    PasswordOfLdap(String),
    /// Nothing that was deleted is like that.
    #[error("no deleted message of {0} is like that")]
    NothingDeleted(String),
    /// What was deleted does not fit into the quota any longer.
    #[error("{email} has room for {room} octets, and these messages have {wanted}")]
    NoRoom {
        /// Whose quota.
        email: String,
        /// Octets of the messages.
        wanted: u64,
        /// Octets that are free.
        room: u64,
    },
    /// The user is bound to no entry of the directory.
    #[error("user {0} is bound to no entry of the directory")]
    NotBound(String),
    /// The password is none.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The hash or password cannot be used.
    #[error(transparent)]
    Hash(#[from] VerifyError),
    /// The hashers gave no answer.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// What is kept cannot be read or changed.
    #[error(transparent)]
    Storage(#[from] Error),
}
