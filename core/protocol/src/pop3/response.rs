//! Responses: the one place that turns outcomes into POP3 text
//! (RFC 1939 section 3, codes of RFC 2449 section 8, RFC 3206).
//!
//! **Invariants.** A text is fixed: nothing a peer sent and no detail of our own trouble comes back in it.

use super::ask::{BodyAnswer, Opened, Removed};
use crate::limit::Limit;
use crate::sasl::{Failure, Verdict};

/// A response of one line without data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Response {
    Done,
    UserTaken,
    Marked,
    Unmarked,
    Utf8On,
    BeginTls,
    Bye,
    BadSyntax,
    UnknownCommand,
    LineTooLong,
    BareNewline,
    BadSequence,
    UserFirst,
    NotImplemented,
    AlreadySecure,
    EncryptionRequired,
    UnknownMechanism,
    AuthCancelled,
    AuthEncoding,
    AuthDenied,
    AuthThrottled,
    AuthUnavailable,
    InUse,
    NoSuchMessage,
    AlreadyDeleted,
    MessageGone,
    UnknownLanguage,
    Unavailable,
    NothingRemoved,
    TooManyErrors,
    ShuttingDown,
    Revoked,
    Bug,
}

/// The status indicator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Status {
    Ok,
    Err,
}

impl Response {
    /// The bound that the client met, if that is why.
    pub const fn limit(self) -> Option<Limit> {
        match self {
            Self::LineTooLong => Some(Limit::Line),
            Self::TooManyErrors => Some(Limit::Errors),
            _ => None,
        }
    }

    /// Status, response code, text.
    const fn parts(self) -> (Status, Option<&'static str>, &'static str) {
        const AUTH: Option<&str> = Some("AUTH");
        const TEMP: Option<&str> = Some("SYS/TEMP");
        match self {
            Self::Done => (Status::Ok, None, "done"),
            Self::UserTaken => (Status::Ok, None, "send the password"),
            Self::Marked => (Status::Ok, None, "marked as deleted"),
            Self::Unmarked => (Status::Ok, None, "nothing is marked as deleted"),
            Self::Utf8On => (Status::Ok, None, "UTF-8 it is"),
            Self::BeginTls => (Status::Ok, None, "begin TLS"),
            Self::Bye => (Status::Ok, None, "bye"),
            Self::BadSyntax => (Status::Err, None, "bad arguments"),
            Self::UnknownCommand => (Status::Err, None, "unknown command"),
            Self::LineTooLong => (Status::Err, None, "line too long"),
            Self::BareNewline => (Status::Err, None, "bare CR or LF in a command"),
            Self::BadSequence => (Status::Err, None, "not valid now"),
            Self::UserFirst => (Status::Err, None, "USER first"),
            Self::NotImplemented => (Status::Err, None, "not implemented"),
            Self::AlreadySecure => (Status::Err, None, "TLS is on already"),
            Self::EncryptionRequired => (Status::Err, None, "encryption required, STLS first"),
            Self::UnknownMechanism => (Status::Err, None, "unknown authentication mechanism"),
            Self::AuthCancelled => (Status::Err, None, "authentication cancelled"),
            Self::AuthEncoding => (Status::Err, None, "not base64"),
            Self::AuthDenied => (Status::Err, AUTH, "authentication credentials invalid"),
            Self::AuthThrottled => (
                Status::Err,
                Some("LOGIN-DELAY"),
                "too many attempts, try again later",
            ),
            Self::AuthUnavailable => (
                Status::Err,
                TEMP,
                "cannot authenticate now, try again later",
            ),
            Self::InUse => (
                Status::Err,
                Some("IN-USE"),
                "another session has the maildrop",
            ),
            Self::NoSuchMessage => (Status::Err, None, "no such message"),
            Self::AlreadyDeleted => (Status::Err, None, "already marked as deleted"),
            Self::MessageGone => (Status::Err, None, "message is gone"),
            Self::UnknownLanguage => (Status::Err, None, "no such language"),
            Self::Unavailable => (Status::Err, TEMP, "try again later"),
            Self::NothingRemoved => (Status::Err, TEMP, "nothing was removed, try again later"),
            Self::TooManyErrors => (Status::Err, None, "too many errors, closing"),
            Self::ShuttingDown => (Status::Err, TEMP, "going down, try again later"),
            Self::Revoked => (Status::Err, AUTH, "login is no longer valid, closing"),
            Self::Bug => (Status::Err, TEMP, "internal error, closing"),
        }
    }

    /// The status indicator.
    pub(crate) const fn status(self) -> Status {
        self.parts().0
    }

    /// Whether the client did something wrong; our own trouble and a busy maildrop are not its fault.
    pub(crate) fn blames_client(self) -> bool {
        let (status, code, _) = self.parts();
        status == Status::Err && !matches!(code, Some("SYS/TEMP" | "IN-USE"))
    }

    /// Whether nothing can follow it.
    pub(crate) const fn ends_session(self) -> bool {
        matches!(
            self,
            Self::Bye
                | Self::NothingRemoved
                | Self::TooManyErrors
                | Self::ShuttingDown
                | Self::Revoked
                | Self::Bug
        )
    }

    /// The line, without its CRLF.
    pub(crate) fn line(self) -> String {
        let (status, code, text) = self.parts();
        let status = match status {
            Status::Ok => "+OK",
            Status::Err => "-ERR",
        };
        match code {
            None => format!("{status} {text}"),
            Some(code) => format!("{status} [{code}] {text}"),
        }
    }
}

impl From<Failure> for Response {
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

impl From<&Verdict> for Response {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Granted { .. } => Self::Done,
            Verdict::Denied => Self::AuthDenied,
            Verdict::Throttled => Self::AuthThrottled,
            Verdict::Unavailable => Self::AuthUnavailable,
        }
    }
}

impl From<&Opened> for Response {
    fn from(opened: &Opened) -> Self {
        match opened {
            Opened::Maildrop { .. } => Self::Done,
            Opened::InUse => Self::InUse,
            Opened::Unavailable => Self::Unavailable,
        }
    }
}

impl From<BodyAnswer> for Response {
    fn from(answer: BodyAnswer) -> Self {
        match answer {
            BodyAnswer::Ready { .. } => Self::Done,
            BodyAnswer::Gone => Self::MessageGone,
            BodyAnswer::Unavailable => Self::Unavailable,
        }
    }
}

impl From<Removed> for Response {
    fn from(answer: Removed) -> Self {
        match answer {
            Removed::Removed => Self::Bye,
            Removed::Unavailable => Self::NothingRemoved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(Response::Bye.line(), "+OK bye");
        assert_eq!(
            Response::AuthDenied.line(),
            "-ERR [AUTH] authentication credentials invalid"
        );
        assert_eq!(Response::NoSuchMessage.line(), "-ERR no such message");
    }

    #[test]
    fn our_own_trouble_is_temporary_and_nobody_else_s() {
        for response in [
            Response::from(&Verdict::Unavailable),
            Response::from(&Opened::Unavailable),
            Response::from(BodyAnswer::Unavailable),
            Response::from(Removed::Unavailable),
            Response::Bug,
        ] {
            assert!(
                response.line().starts_with("-ERR [SYS/TEMP]"),
                "{response:?}"
            );
            assert!(!response.blames_client());
        }
        assert!(!Response::InUse.blames_client());
    }
}
