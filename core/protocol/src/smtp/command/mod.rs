//! One file per SMTP command (RFC 5321 section 4.1.1); the table is the whole list.

pub(crate) mod auth;
pub(crate) mod bdat;
pub(crate) mod data;
pub(crate) mod ehlo;
pub(crate) mod expn;
pub(crate) mod helo;
pub(crate) mod help;
pub(crate) mod mail;
pub(crate) mod noop;
pub(crate) mod quit;
pub(crate) mod rcpt;
pub(crate) mod rset;
pub(crate) mod starttls;
pub(crate) mod vrfy;

use super::ask::Ask;
use super::reply::Reply;
use super::session::{SmtpSession, Waiting};
use super::syntax::Args;
use super::transaction::State;
use crate::sasl::Exchange;
use crate::session::Receive;

/// Where and how a command may run.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    /// States it is valid in (RFC 5321 section 4.1.4).
    pub(crate) states: &'static [State],
    pub(crate) access: Access,
    pub(crate) purpose: Purpose,
    pub(crate) payload: Payload,
    /// Whether commands may be pipelined behind it (RFC 2920 section 3.1).
    pub(crate) group: Group,
    /// Longest line, with its CRLF (RFC 5321 section 4.5.3.1.4, and what extensions add).
    pub(crate) limit: usize,
    pub(crate) run: fn(&mut SmtpSession, Args<'_>) -> Result<Step, Reply>,
}

/// Who may use a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// Whoever is there.
    Anybody,
    /// Not in clear where TLS is required (RFC 3207 section 4).
    Encrypted,
    /// The same; on submission listeners after login (RFC 6409 section 4.3).
    LoggedIn,
}

/// What a command is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// It brings mail forward.
    Mail,
    /// It does not; too many are errors.
    Chatter,
}

/// What follows the line of a command without being asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Payload {
    /// The next command.
    None,
    /// As many octets as the line says; they are read even when the command is refused.
    Chunk,
}

/// Where in a pipelined group a command may stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Group {
    /// Anywhere. RFC 2920 wants NOOP and QUIT to be the last; nothing hangs on it.
    Anywhere,
    /// At its end: its reply decides how to go on.
    Last,
}

/// What a command leads to.
#[derive(Debug)]
pub(crate) enum Step {
    /// The one reply.
    Reply(Reply),
    /// 250, in several lines.
    Lines {
        /// Its first text.
        first: String,
        /// The others.
        rest: Vec<String>,
    },
    /// A SASL challenge, and who takes the answer.
    Challenge {
        /// Base64.
        text: String,
        /// It waits.
        exchange: Exchange,
    },
    /// A question, and who waits for the answer.
    Ask(Ask, Waiting),
    /// Octets to read, and who waits for them.
    Receive(Receive, Waiting),
    /// The handshake.
    StartTls,
}

/// SMTP. In the order of RFC 5321 section 4.1.1, then by RFC.
pub(crate) const COMMANDS: &[Spec] = &[
    ehlo::SPEC,
    helo::SPEC,
    mail::SPEC,
    rcpt::SPEC,
    data::SPEC,
    rset::SPEC,
    vrfy::SPEC,
    expn::SPEC,
    help::SPEC,
    noop::SPEC,
    quit::SPEC,
    bdat::SPEC,
    starttls::SPEC,
    auth::SPEC,
];

/// RFC 5321 section 4.5.3.1.4.
pub(crate) const LINE: usize = 512;

pub(crate) const ANY: &[State] = &[
    State::Start,
    State::Ready,
    State::Mail,
    State::Recipients,
    State::Chunks,
];
