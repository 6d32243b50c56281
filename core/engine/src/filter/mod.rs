//! Filters: what looks at a message before it is delivered.
//!
//! An embedder's own filter implements [`Filter`]; `examples/own_filter.rs` is one.
//!
//! **On failure.** A filter that fails, panics or is late makes the message temporary, or lets it pass where it was added so (I8).

pub(crate) mod chain;

pub use chain::{Chain, OnFailure};

use postrider_protocol::smtp::ask::Envelope;

use crate::blob::Spooled;
use crate::net::peer::Peer;

/// What a filter is shown.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Who brings it.
    pub peer: &'a Peer,
    /// Its envelope.
    pub envelope: &'a Envelope,
    /// Address of the account that submits it; none for mail from outside.
    pub submitter: Option<&'a str>,
    /// Its octets.
    pub spooled: &'a Spooled,
}

/// What a filter says of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Go on. `header` holds whole header fields with their CRLF to put before the message, or nothing.
    Accept {
        /// Fields to add.
        header: Vec<u8>,
    },
    /// Refuse it for good.
    Reject,
    /// Refuse it for now.
    Defer,
}

impl Verdict {
    /// Go on, nothing to add.
    pub fn accept() -> Self {
        Self::Accept { header: Vec::new() }
    }
}

/// Why a filter has no opinion: its service is away, or answered nonsense.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(pub String);

/// Looks at messages before they are delivered.
#[async_trait::async_trait]
pub trait Filter: Send + Sync + 'static {
    /// For logs and metrics.
    fn name(&self) -> &'static str;

    /// Looks at a message.
    ///
    /// # Errors
    /// It has no opinion; the chain's [`OnFailure`] decides.
    async fn check(&self, message: &Message<'_>) -> Result<Verdict, FilterError>;
}
