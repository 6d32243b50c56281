//! Replies: the one place that turns outcomes into SMTP text (RFC 5321 section 4.2, RFC 3463, RFC 2034).
//!
//! **Invariants.** A text is fixed: nothing a peer sent and no detail of our own trouble comes back in it.
//! What we do not understand about our own trouble is 4yz (I8).

use bytes::BytesMut;

use super::ask::{Delivered, RecipientAnswer, SenderAnswer};
use crate::limit::Limit;
use crate::sasl::{Failure, Verdict};
use crate::session::ReceiveFault;

/// A reply of one line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reply {
    Help,
    TlsReady,
    Closing,
    AuthDone,
    Done,
    SenderOk,
    RecipientOk,
    ChunkTaken,
    MessageTaken,
    CannotVerify,
    StartInput,
    Bug,
    ShuttingDown,
    IdleTooLong,
    TooManyErrors,
    NotSmtp,
    Revoked,
    Unavailable,
    Throttled,
    MailboxFull,
    TooManyRecipients,
    AuthUnavailable,
    AuthThrottled,
    UnknownCommand,
    LineTooLong,
    BareNewline,
    ResponseTooLong,
    BadArguments,
    BadChunk,
    BadReversePath,
    BadForwardPath,
    AuthCancelled,
    AuthEncoding,
    NotImplemented,
    HelloFirst,
    BadSequence,
    NoTransaction,
    NoRecipients,
    AlreadyAuthenticated,
    AlreadySecure,
    UnknownMechanism,
    StartTlsFirst,
    LoginRequired,
    AuthDenied,
    EncryptionRequired,
    UnknownRecipient,
    DisabledRecipient,
    RelayDenied,
    RecipientLoop,
    BareNewlineInside,
    PolicyRejected,
    ContentRejected,
    MessageTooLarge,
    ChunkTooLarge,
    NotYours,
    AddressNeedsUtf8,
    OutOfStep,
    MessageLoop,
    MessageUnfit,
    UnknownParameter,
}

impl Reply {
    /// The bound that the client met, if that is why.
    pub const fn limit(self) -> Option<Limit> {
        match self {
            Self::LineTooLong | Self::ResponseTooLong => Some(Limit::Line),
            Self::MessageTooLarge => Some(Limit::MessageSize),
            Self::ChunkTooLarge => Some(Limit::Literal),
            Self::TooManyRecipients => Some(Limit::Recipients),
            Self::TooManyErrors => Some(Limit::Errors),
            _ => None,
        }
    }

    /// Reply code, enhanced status code (none for 354, RFC 2034 section 4), text.
    const fn parts(self) -> (u16, Option<&'static str>, &'static str) {
        match self {
            Self::Help => (214, Some("2.0.0"), "see RFC 5321"),
            Self::TlsReady => (220, Some("2.0.0"), "ready to start TLS"),
            Self::Closing => (221, Some("2.0.0"), "closing connection"),
            Self::AuthDone => (235, Some("2.7.0"), "authenticated"),
            Self::Done => (250, Some("2.0.0"), "done"),
            Self::SenderOk => (250, Some("2.1.0"), "sender accepted"),
            Self::RecipientOk => (250, Some("2.1.5"), "recipient accepted"),
            Self::ChunkTaken => (250, Some("2.0.0"), "chunk taken"),
            Self::MessageTaken => (250, Some("2.0.0"), "message accepted"),
            Self::CannotVerify => (252, Some("2.0.0"), "cannot verify, send some mail"),
            Self::StartInput => (354, None, "end with <CRLF>.<CRLF>"),
            Self::Bug => (421, Some("4.3.0"), "internal error, closing"),
            Self::ShuttingDown => (421, Some("4.3.2"), "going down, try again later"),
            Self::IdleTooLong => (421, Some("4.4.2"), "idle for too long, closing"),
            Self::TooManyErrors => (421, Some("4.7.0"), "too many errors, closing"),
            Self::NotSmtp => (421, Some("4.7.0"), "this is not your protocol, closing"),
            Self::Revoked => (421, Some("4.7.0"), "login is no longer valid, closing"),
            Self::Unavailable => (451, Some("4.3.0"), "try again later"),
            Self::Throttled => (451, Some("4.7.1"), "too much lately, try again later"),
            Self::MailboxFull => (452, Some("4.2.2"), "mailbox is full"),
            Self::TooManyRecipients => (452, Some("4.5.3"), "too many recipients"),
            Self::AuthUnavailable => (
                454,
                Some("4.7.0"),
                "cannot authenticate now, try again later",
            ),
            Self::AuthThrottled => (454, Some("4.7.0"), "too many attempts, try again later"),
            Self::UnknownCommand => (500, Some("5.5.2"), "unknown command"),
            Self::LineTooLong => (500, Some("5.5.2"), "line too long"),
            Self::BareNewline => (500, Some("5.5.2"), "bare CR or LF in a command"),
            Self::ResponseTooLong => (500, Some("5.5.6"), "response too long"),
            Self::BadArguments => (501, Some("5.5.4"), "bad arguments"),
            Self::BadChunk => (501, Some("5.5.4"), "chunk without a size, closing"),
            Self::BadReversePath => (501, Some("5.1.7"), "bad sender address"),
            Self::BadForwardPath => (501, Some("5.1.3"), "bad recipient address"),
            Self::AuthCancelled => (501, Some("5.7.0"), "authentication cancelled"),
            Self::AuthEncoding => (501, Some("5.5.2"), "not base64"),
            Self::NotImplemented => (502, Some("5.5.1"), "not implemented"),
            Self::HelloFirst => (503, Some("5.5.1"), "say hello first"),
            Self::BadSequence => (503, Some("5.5.1"), "bad sequence of commands"),
            Self::NoTransaction => (503, Some("5.5.1"), "MAIL first"),
            Self::NoRecipients => (503, Some("5.5.1"), "no valid recipients"),
            Self::AlreadyAuthenticated => (503, Some("5.5.1"), "already authenticated"),
            Self::AlreadySecure => (503, Some("5.5.1"), "TLS is on already"),
            Self::UnknownMechanism => (504, Some("5.5.4"), "unknown authentication mechanism"),
            Self::StartTlsFirst => (530, Some("5.7.0"), "STARTTLS first"),
            Self::LoginRequired => (530, Some("5.7.0"), "authentication required"),
            Self::AuthDenied => (535, Some("5.7.8"), "authentication credentials invalid"),
            Self::EncryptionRequired => (
                538,
                Some("5.7.11"),
                "encryption required for this mechanism",
            ),
            Self::UnknownRecipient => (550, Some("5.1.1"), "no such recipient"),
            Self::DisabledRecipient => (550, Some("5.2.1"), "mailbox is switched off"),
            Self::RelayDenied => (550, Some("5.7.1"), "relaying denied"),
            Self::RecipientLoop => (550, Some("5.4.6"), "aliases of the recipient form a loop"),
            Self::BareNewlineInside => (550, Some("5.6.11"), "bare CR or LF in the message"),
            Self::PolicyRejected => (550, Some("5.7.1"), "refused by our rules"),
            Self::ContentRejected => (550, Some("5.7.1"), "message refused"),
            Self::MessageTooLarge => (552, Some("5.3.4"), "message too large"),
            Self::ChunkTooLarge => (552, Some("5.3.4"), "chunk too large, closing"),
            Self::NotYours => (553, Some("5.7.1"), "sender address is not yours"),
            Self::AddressNeedsUtf8 => (553, Some("5.6.7"), "address needs SMTPUTF8"),
            Self::OutOfStep => (554, Some("5.5.0"), "talking out of turn, closing"),
            Self::MessageLoop => (554, Some("5.4.6"), "message is going in circles"),
            Self::MessageUnfit => (
                554,
                Some("5.6.3"),
                "binary content that no MIME header names",
            ),
            Self::UnknownParameter => (555, Some("5.5.4"), "parameter not implemented"),
        }
    }

    /// The reply code.
    pub(crate) const fn code(self) -> u16 {
        self.parts().0
    }

    /// Whether the client did something wrong, other than trusting an address that does not work.
    pub(crate) const fn blames_client(self) -> bool {
        self.code() >= 500 && !self.judges_message()
    }

    /// Whether it is about who gets the message: what a directory harvest provokes.
    pub(crate) const fn judges_recipient(self) -> bool {
        matches!(
            self,
            Self::UnknownRecipient
                | Self::DisabledRecipient
                | Self::RelayDenied
                | Self::PolicyRejected
                | Self::RecipientLoop
        )
    }

    /// Whether the message was judged, not how the client speaks.
    const fn judges_message(self) -> bool {
        matches!(
            self,
            Self::ContentRejected | Self::MessageTooLarge | Self::MessageLoop | Self::MessageUnfit
        )
    }

    /// Whether nothing can follow it.
    pub(crate) const fn ends_session(self) -> bool {
        matches!(self.code(), 221 | 421)
            || matches!(self, Self::BadChunk | Self::ChunkTooLarge | Self::OutOfStep)
    }

    /// Writes it. `hostname` goes before the text where RFC 5321 section 4.2.3 wants `<domain>`.
    pub(crate) fn write(self, hostname: &str, out: &mut BytesMut) {
        let (code, status, text) = self.parts();
        out.extend_from_slice(code.to_string().as_bytes());
        for word in status
            .into_iter()
            .chain(matches!(code, 221 | 421).then_some(hostname))
            .chain([text])
        {
            out.extend_from_slice(b" ");
            out.extend_from_slice(word.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl From<Failure> for Reply {
    /// RFC 4954 section 4 and section 6.
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::UnknownMechanism => Self::UnknownMechanism,
            Failure::EncryptionRequired => Self::EncryptionRequired,
            Failure::Cancelled => Self::AuthCancelled,
            Failure::Encoding => Self::AuthEncoding,
            // Values that no account can have are wrong like any other.
            Failure::Empty | Failure::TooLong | Failure::Malformed => Self::AuthDenied,
        }
    }
}

impl From<&Verdict> for Reply {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Granted { .. } => Self::AuthDone,
            Verdict::Denied => Self::AuthDenied,
            Verdict::Throttled => Self::AuthThrottled,
            Verdict::Unavailable => Self::AuthUnavailable,
        }
    }
}

impl From<SenderAnswer> for Reply {
    fn from(answer: SenderAnswer) -> Self {
        match answer {
            SenderAnswer::Accepted => Self::SenderOk,
            SenderAnswer::NotYours => Self::NotYours,
            SenderAnswer::Rejected => Self::PolicyRejected,
            SenderAnswer::Throttled => Self::Throttled,
            SenderAnswer::Unavailable => Self::Unavailable,
        }
    }
}

impl From<RecipientAnswer> for Reply {
    fn from(answer: RecipientAnswer) -> Self {
        match answer {
            RecipientAnswer::Accepted => Self::RecipientOk,
            RecipientAnswer::Unknown => Self::UnknownRecipient,
            RecipientAnswer::Disabled => Self::DisabledRecipient,
            RecipientAnswer::RelayDenied => Self::RelayDenied,
            RecipientAnswer::Full => Self::MailboxFull,
            RecipientAnswer::Loop => Self::RecipientLoop,
            RecipientAnswer::Rejected => Self::PolicyRejected,
            RecipientAnswer::Throttled => Self::Throttled,
            RecipientAnswer::Unavailable => Self::Unavailable,
        }
    }
}

impl From<ReceiveFault> for Reply {
    fn from(fault: ReceiveFault) -> Self {
        match fault {
            ReceiveFault::TooLarge => Self::MessageTooLarge,
            ReceiveFault::BareNewline => Self::BareNewlineInside,
            ReceiveFault::Spool => Self::Unavailable,
        }
    }
}

impl From<Delivered> for Reply {
    fn from(outcome: Delivered) -> Self {
        match outcome {
            Delivered::Accepted => Self::MessageTaken,
            Delivered::Full => Self::MailboxFull,
            Delivered::Unknown => Self::UnknownRecipient,
            Delivered::Loop => Self::MessageLoop,
            Delivered::Rejected => Self::ContentRejected,
            Delivered::Unfit => Self::MessageUnfit,
            Delivered::Unavailable => Self::Unavailable,
        }
    }
}

/// Writes a reply of several lines; it has at least one (RFC 5321 section 4.2.1).
pub(crate) fn write_lines(code: u16, first: &str, rest: &[String], out: &mut BytesMut) {
    for (at, line) in std::iter::once(first)
        .chain(rest.iter().map(String::as_str))
        .enumerate()
    {
        let separator = if at == rest.len() { ' ' } else { '-' };
        out.extend_from_slice(format!("{code}{separator}{line}\r\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: Reply) -> String {
        let mut out = BytesMut::new();
        reply.write("mx.example.test", &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_reply_is_code_status_text() {
        assert_eq!(written(Reply::Done), "250 2.0.0 done\r\n");
        assert_eq!(written(Reply::StartInput), "354 end with <CRLF>.<CRLF>\r\n");
        assert_eq!(
            written(Reply::Closing),
            "221 2.0.0 mx.example.test closing connection\r\n"
        );
    }

    #[test]
    fn our_own_trouble_is_temporary() {
        for reply in [
            Reply::from(SenderAnswer::Unavailable),
            Reply::from(RecipientAnswer::Unavailable),
            Reply::from(Delivered::Unavailable),
            Reply::from(&Verdict::Unavailable),
            Reply::from(ReceiveFault::Spool),
            Reply::Bug,
        ] {
            assert_eq!(reply.code() / 100, 4, "{reply:?}");
        }
    }

    #[test]
    fn several_lines() {
        let mut out = BytesMut::new();
        write_lines(250, "host", &["A".into(), "B".into()], &mut out);
        assert_eq!(&out[..], b"250-host\r\n250-A\r\n250 B\r\n");
        out.clear();
        write_lines(250, "host", &[], &mut out);
        assert_eq!(&out[..], b"250 host\r\n");
    }
}
