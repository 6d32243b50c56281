//! One file per SASL mechanism (RFC 4422 section 5); the table is `MECHANISMS` in `sasl/exchange.rs`.

pub(super) mod login;
pub(super) mod plain;

use super::{Credentials, Failure};

/// The server's half of one mechanism, between two responses.
pub(super) trait Mechanism: std::fmt::Debug + Send {
    /// Takes a response, decoded. `None` comes first or never: the client sent no initial response.
    fn proceed(&mut self, response: Option<&[u8]>) -> Result<Progress, Failure>;
}

/// How far a mechanism is.
#[derive(Debug)]
pub(super) enum Progress {
    /// It needs an answer to this.
    Challenge(&'static [u8]),
    /// It is done.
    Credentials(Credentials),
}
