//! What can go wrong with what is kept, and whose fault it is.

/// Why a read or a change of the index or the store did not happen.
///
/// Unless a variant says otherwise nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The thing a change names is not there.
    #[error("{0} does not exist")]
    NotFound(&'static str),
    /// The thing a change would make is there already.
    #[error("{0} exists already")]
    Exists(&'static str),
    /// The account's quota would be passed (I4).
    #[error("quota exceeded: {used} of {quota} octets used, {wanted} more wanted")]
    OverQuota {
        /// Octets used now.
        used: u64,
        /// Octets allowed.
        quota: u64,
        /// Octets the change would add.
        wanted: u64,
    },
    /// A numbered limit was reached.
    #[error("limit reached: at most {limit} {what}")]
    Limit {
        /// Of what there are too many.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// The value cannot be kept: too long, empty, or of characters that are not allowed.
    #[error("{0}")]
    Invalid(&'static str),
    /// The database or store is away, full, or overloaded. The outcome of a change is unknown; repeating it is harmless.
    #[error("storage unavailable: {0}")]
    Unavailable(String),
    /// The store does not let these credentials list what it holds. Brought by [`crate::blob::BlobStore::list`] alone.
    #[error("{0}")]
    Denied(String),
    /// What was read is not what was written: a checksum differs, a row cannot be decoded.
    #[error("storage corrupt: {0}")]
    Corrupt(String),
    /// The schema is newer than this program.
    #[error("the database has schema {found}, newer than {known}, the newest this program knows")]
    NewerSchema {
        /// Version in the database.
        found: String,
        /// Newest version of this program.
        known: String,
    },
}

/// Whose fault an error is; decides the reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// The request names what is not there, is there already, or cannot be.
    Request,
    /// The account has no room left.
    Quota,
    /// Ours, and likely to pass.
    Temporary,
    /// Ours, and somebody has to look.
    Bug,
}

impl Error {
    /// Whose fault it is.
    pub fn class(&self) -> Class {
        match self {
            Self::NotFound(_) | Self::Exists(_) | Self::Limit { .. } | Self::Invalid(_) => {
                Class::Request
            }
            Self::OverQuota { .. } => Class::Quota,
            Self::Unavailable(_) | Self::Denied(_) => Class::Temporary,
            Self::Corrupt(_) | Self::NewerSchema { .. } => Class::Bug,
        }
    }
}
