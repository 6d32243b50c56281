//! What a client has said so far that still counts: its name and its mail transaction (RFC 5321 section 3.3).

use super::ask::{Body, ForwardPath};
use super::dsn::{EnvelopeId, Return};
use crate::message::address::Address;

/// How the client introduced itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hello {
    pub(crate) name: String,
    pub(crate) manner: Manner,
}

/// HELO or EHLO (LHLO).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    /// No extensions.
    Plain,
    /// Extensions.
    Extended,
}

/// From MAIL to the last octet of the message.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) reverse_path: Option<Address>,
    pub(crate) forward_paths: Vec<ForwardPath>,
    pub(crate) returns: Option<Return>,
    pub(crate) id: Option<EnvelopeId>,
    pub(crate) size: Option<u64>,
    pub(crate) body: Body,
    pub(crate) utf8: bool,
    pub(crate) chunks: Chunks,
}

/// What BDAT brought so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Chunks {
    /// No BDAT yet.
    #[default]
    None,
    /// So many octets are in the spool.
    Taken(u64),
    /// A chunk failed: what follows is thrown away until RSET (RFC 3030 section 2).
    Failed,
}

/// Which chunk of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Position {
    /// More follow.
    Middle,
    /// BDAT LAST.
    Last,
}

/// The states in which commands may be valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Before EHLO.
    Start,
    /// No transaction.
    Ready,
    /// MAIL was accepted.
    Mail,
    /// So was a recipient.
    Recipients,
    /// So was a chunk, or one failed.
    Chunks,
}

impl State {
    /// For logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Ready => "ready",
            Self::Mail => "mail",
            Self::Recipients => "recipients",
            Self::Chunks => "chunks",
        }
    }
}
