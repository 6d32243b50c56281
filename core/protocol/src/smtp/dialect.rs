//! What SMTP and LMTP do differently, and how SMTP does it (RFC 5321, RFC 3848).

use super::ask::Delivered;
use super::command::{self, Spec};
use super::reply::Reply;
use super::session::SmtpSession;
use super::transaction::Manner;
use crate::tls::Secrecy;

/// What SMTP and LMTP do differently.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// The commands.
    pub(crate) commands: &'static [Spec],
    /// Names itself in the greeting.
    pub(crate) banner: &'static str,
    /// The "with" of Received.
    pub(crate) with: fn(&SmtpSession, utf8: bool) -> &'static str,
    /// The replies after the last octet of a message for this many recipients.
    pub(crate) conclude: fn(Ending<'_>, recipients: usize) -> Vec<Reply>,
    /// Whether refused recipients count as errors of the client.
    pub(crate) harvest: Harvest,
}

/// What refused recipients say about the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Harvest {
    /// It may be guessing addresses: they count.
    Suspected,
    /// It is a relay of ours with many messages on one connection.
    Impossible,
}

/// How a message ended.
#[derive(Debug)]
pub(crate) enum Ending<'a> {
    /// Before the engine saw it: the same for all.
    Failed(Reply),
    /// One outcome a recipient, if the engine keeps its promise.
    Delivered(&'a [Delivered]),
}

/// SMTP itself.
pub(crate) static SMTP: Dialect = Dialect {
    commands: command::COMMANDS,
    banner: "ESMTP",
    with,
    conclude,
    harvest: Harvest::Suspected,
};

/// The "with" of Received (RFC 3848, RFC 6531 section 4.3).
fn with(session: &SmtpSession, utf8: bool) -> &'static str {
    let extended = matches!(&session.hello, Some(hello) if hello.manner == Manner::Extended);
    match (session.secrecy, &session.account) {
        _ if !extended => "SMTP",
        (Secrecy::Clear, None) if utf8 => "UTF8SMTP",
        (Secrecy::Clear, Some(_)) if utf8 => "UTF8SMTPA",
        (Secrecy::Tls, None) if utf8 => "UTF8SMTPS",
        (Secrecy::Tls, Some(_)) if utf8 => "UTF8SMTPSA",
        (Secrecy::Clear, None) => "ESMTP",
        (Secrecy::Clear, Some(_)) => "ESMTPA",
        (Secrecy::Tls, None) => "ESMTPS",
        (Secrecy::Tls, Some(_)) => "ESMTPSA",
    }
}

/// One reply for all recipients (RFC 5321 section 4.1.1.4).
///
/// The engine promises one outcome. Should it ever differ, 451: the peer repeats, and a message comes twice
/// for some rather than never for others.
fn conclude(ending: Ending<'_>, recipients: usize) -> Vec<Reply> {
    vec![match ending {
        Ending::Failed(reply) => reply,
        Ending::Delivered(outcomes) => match outcomes {
            [first, rest @ ..]
                if outcomes.len() == recipients && rest.iter().all(|next| next == first) =>
            {
                (*first).into()
            }
            _ => Reply::Unavailable,
        },
    }]
}
