//! What a POP3 session asks of the engine (RFC 1939).

use std::collections::HashMap;

use super::config::Expire;
use crate::imap::types::{Uid, UidValidity};
use crate::sasl::{Credentials, Verdict};

/// A question. At most one is open per session.
#[derive(Debug)]
pub enum Ask {
    /// Who is this? Answer: [`Answer::Verdict`].
    Authenticate(Credentials),
    /// Lock the maildrop of who was granted and list it. Answer: [`Answer::Opened`]. The lock ends with the connection.
    Open,
    /// Open the body of a message, for an `Action::Send` that follows. Answer: [`Answer::Body`].
    Body {
        /// Which.
        uid: Uid,
    },
    /// Remove these messages, all of them or none. Answer: [`Answer::Removed`].
    Remove {
        /// In the order of the maildrop, each once; never none.
        uids: Vec<Uid>,
    },
}

/// An answer to an [`Ask`].
#[derive(Debug)]
pub enum Answer {
    /// To `Authenticate`.
    Verdict(Verdict),
    /// To `Open`.
    Opened(Opened),
    /// To `Body`.
    Body(BodyAnswer),
    /// To `Remove`.
    Removed(Removed),
}

/// What became of a maildrop.
#[derive(Debug)]
pub enum Opened {
    /// It is ours, and holds this until the session ends.
    Maildrop {
        /// In the order of their UIDs.
        messages: Vec<Listed>,
        /// Tells these UIDs from those of another incarnation.
        uid_validity: UidValidity,
        /// Messages that have another unique-id than the usual: those that came from elsewhere. 1 to 70 visible characters of ASCII.
        unique_ids: HashMap<Uid, String>,
        /// How long mail stays here.
        expire: Expire,
    },
    /// Another session holds it.
    InUse,
    /// We cannot tell now.
    Unavailable,
}

/// A message of a maildrop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listed {
    /// Which.
    pub uid: Uid,
    /// Its size as it is sent, stuffing aside (RFC 1939 section 11): each line end is a CRLF.
    pub octets: u64,
}

/// Whether a body can be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyAnswer {
    /// It can.
    Ready {
        /// All of it, as it is stored.
        octets: u64,
    },
    /// Somebody else (IMAP) removed the message meanwhile.
    Gone,
    /// We cannot read it now.
    Unavailable,
}

/// Whether messages were removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Removed {
    /// All of them, or they were gone already.
    Removed,
    /// None.
    Unavailable,
}
