//! SASL, the same for every protocol (RFC 4422): an exchange gathers credentials, the engine judges them.

use crate::secret::Secret;

/// What a client claims and the proof it brought.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Name of the mechanism, or `LOGIN` / `USER` for the commands without SASL; for the log.
    pub mechanism: &'static str,
    /// Authentication identity, as the client wrote it, NFC.
    pub user: String,
    /// Authorization identity; empty if it is the same.
    pub authorize_as: String,
    /// The password.
    pub password: Secret<Vec<u8>>,
}

/// The engine's judgement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The client is this account (its address).
    Granted {
        /// Local part and domain, lower case.
        account: String,
    },
    /// Wrong name or password, or switched off; the client learns no more (RFC 5530: AUTHENTICATIONFAILED).
    Denied,
    /// Too many failures lately, or too many connections of this account: not even looked at.
    Throttled,
    /// We cannot tell now.
    Unavailable,
}
