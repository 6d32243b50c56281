//! What an SMTP or LMTP session asks of the engine.

use super::dsn::{EnvelopeId, Notify, OriginalRecipient, Return};
use crate::message::address::Address;
use crate::sasl::{Credentials, Verdict};

/// A question. At most one is open per session.
#[derive(Debug)]
pub enum Ask {
    /// Who is this? Answer: [`Answer::Verdict`].
    Authenticate(Credentials),
    /// May this client send as `reverse_path`? Asked at MAIL. Answer: [`Answer::Sender`].
    Sender {
        /// The null reverse-path is `None`.
        reverse_path: Option<Address>,
        /// SIZE= of the client, octets.
        size: Option<u64>,
    },
    /// Would a message for this address be taken? Asked at RCPT, with everything that can be known then: quota too. Answer: [`Answer::Recipient`].
    Recipient {
        /// The forward-path. `<Postmaster>` without domain is `None`.
        forward_path: Option<Address>,
        /// SIZE= of the client, octets.
        size: Option<u64>,
    },
    /// Take the spooled message for the recipients accepted so far. Answer: [`Answer::Delivered`].
    Deliver(Envelope),
}

/// The envelope of a message (RFC 5321 section 2.3.1).
#[derive(Clone, Debug)]
pub struct Envelope {
    /// What the client called itself in EHLO, HELO or LHLO.
    pub helo: String,
    /// None: the null reverse-path.
    pub reverse_path: Option<Address>,
    /// In the order of RCPT, each accepted by the engine.
    pub forward_paths: Vec<ForwardPath>,
    /// RET=, what of the message a report is to bring back.
    pub returns: Option<Return>,
    /// ENVID=, the sender's name for this transmission.
    pub id: Option<EnvelopeId>,
    /// BODY=8BITMIME or BINARYMIME.
    pub body: Body,
    /// SMTPUTF8 was given.
    pub utf8: bool,
    /// `SMTP`, `ESMTP`, `ESMTPS`, `ESMTPSA`, `LMTP`, `UTF8SMTPSA`…: the "with" of Received (RFC 3848, RFC 6531).
    pub with: &'static str,
}

/// A recipient, and what the sender wants to hear of it (RFC 3461 section 4).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ForwardPath {
    /// `None`: `<Postmaster>`.
    pub address: Option<Address>,
    /// NOTIFY=
    pub notify: Notify,
    /// ORCPT=
    pub original: Option<OriginalRecipient>,
}

/// BODY= parameter (RFC 6152, RFC 3030).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Body {
    /// 7BIT or not said.
    #[default]
    SevenBit,
    /// 8BITMIME
    EightBitMime,
    /// BINARYMIME
    BinaryMime,
}

/// An answer to an [`Ask`].
#[derive(Debug)]
pub enum Answer {
    /// To `Authenticate`.
    Verdict(Verdict),
    /// To `Sender`.
    Sender(SenderAnswer),
    /// To `Recipient`.
    Recipient(RecipientAnswer),
    /// To `Deliver`: one outcome a recipient, in the order of the envelope. Over SMTP they are all the same.
    Delivered(Vec<Delivered>),
}

/// May this client send as this address?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SenderAnswer {
    /// Go on.
    Accepted,
    /// The address is not one of the account's (submission).
    NotYours,
    /// A rule of the operator refuses it, for good.
    Rejected,
    /// The client sent too much lately.
    Throttled,
    /// We cannot tell now.
    Unavailable,
}

/// Would a message for this address be taken?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecipientAnswer {
    /// Yes.
    Accepted,
    /// Its domain is ours, the address is not known.
    Unknown,
    /// The address is switched off.
    Disabled,
    /// Its domain is not ours and the client may not relay.
    RelayDenied,
    /// Its mailbox has no room for a message of this size.
    Full,
    /// Its aliases lead in a circle or too far.
    Loop,
    /// A rule of the operator refuses it, for good.
    Rejected,
    /// The client sent too much lately, or is to come back later (greylisting).
    Throttled,
    /// We cannot tell now.
    Unavailable,
}

/// What became of a message for one recipient.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivered {
    /// It is durable and visible (I1).
    Accepted,
    /// The mailbox has no room for it.
    Full,
    /// The address went away meanwhile.
    Unknown,
    /// Too many Received fields: it is going in circles (RFC 5321 section 6.3).
    Loop,
    /// A filter or rule refuses the content, for good.
    Rejected,
    /// It is binary where no MIME header says so, and can be stored in no form that all protocols hand out.
    Unfit,
    /// We could not; nothing was kept for this recipient, or it may come twice.
    Unavailable,
}
