//! One file a command; [`COMMANDS`] is the whole list.

pub(super) mod append;
mod authenticate;
mod capability;
mod close;
mod copy;
mod create;
mod delete;
mod enable;
mod examine;
mod expunge;
mod fetch;
mod getquota;
mod id;
mod idle;
mod list;
mod login;
mod logout;
mod lsub;
mod namespace;
mod noop;
mod rename;
mod search;
mod select;
mod starttls;
mod status;
mod store;
mod subscribe;
mod unselect;

use bytes::BytesMut;

use super::ask::Trouble;
use super::response::code::Code;
use super::response::condition::{Condition, tagged};
use super::response::trouble::{Missing, refusal};
use super::session::{Event, For, ImapSession, State, Step};
use super::syntax::mailbox::{MailboxName, NameError};
use super::syntax::{Args, ArgumentError, Command, SyntaxError, Utf8};
use crate::limit::Limit;

/// Where and how a command may run.
pub(super) struct Spec {
    pub name: &'static str,
    /// States the command is valid in (RFC 9051 section 6).
    pub states: &'static [State],
    /// Whether `UID` may stand before it (RFC 9051 section 6.4.9).
    pub uid: Uid,
    /// Whether it names messages by sequence number unless `UID` stands before it: then `EXPUNGE` waits (I5).
    pub by_sequence: bool,
    /// Whether it is a moment at which clients expect to hear all news, however late our notices are.
    pub looks: bool,
    pub run: fn(&mut ImapSession, &mut Args<'_>) -> Result<Step, Refusal>,
}

/// Whether `UID` may stand before a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Uid {
    Never,
    May,
}

pub(super) const ANY: &[State] = &[
    State::NotAuthenticated,
    State::Authenticated,
    State::Selected,
];
pub(super) const NOT_AUTHENTICATED: &[State] = &[State::NotAuthenticated];
pub(super) const LOGGED_IN: &[State] = &[State::Authenticated, State::Selected];
pub(super) const SELECTED: &[State] = &[State::Selected];

/// What most commands are.
pub(super) const PLAIN: Spec = Spec {
    name: "",
    states: ANY,
    uid: Uid::Never,
    by_sequence: false,
    looks: false,
    run: |_, _| Err(Refusal::Bug),
};

/// All commands, in the order of their names.
pub(super) const COMMANDS: &[Spec] = &[
    append::SPEC,
    authenticate::SPEC,
    capability::SPEC,
    noop::CHECK,
    close::SPEC,
    copy::COPY,
    create::SPEC,
    delete::SPEC,
    enable::SPEC,
    examine::SPEC,
    expunge::SPEC,
    fetch::SPEC,
    getquota::GETQUOTA,
    getquota::GETQUOTAROOT,
    getquota::SETQUOTA,
    id::SPEC,
    idle::SPEC,
    list::SPEC,
    login::SPEC,
    logout::SPEC,
    lsub::SPEC,
    copy::MOVE,
    namespace::SPEC,
    noop::SPEC,
    rename::SPEC,
    search::SPEC,
    select::SPEC,
    starttls::SPEC,
    status::SPEC,
    store::SPEC,
    subscribe::SUBSCRIBE,
    unselect::SPEC,
    subscribe::UNSUBSCRIBE,
];

/// The tagged response that ends a command which is not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// `BAD`: the grammar expected something else.
    Syntax(SyntaxError),
    /// `BAD`: the command cannot stand here, or its arguments do not fit together.
    Bad(&'static str),
    /// `NO`, with a response code where one tells more.
    No(Option<Code>, &'static str),
    /// An invariant of ours is broken: `BYE`.
    Bug,
}

impl From<SyntaxError> for Refusal {
    fn from(error: SyntaxError) -> Self {
        Refusal::Syntax(error)
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Refusal {
        let (code, text) = refusal(trouble, Missing::NonExistent);
        Refusal::No(code, text)
    }
}

impl Refusal {
    /// The bound that the client met, if that is why.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Refusal::Syntax(error) => error.limit(),
            Refusal::No(Some(Code::TooBig), _) => Some(Limit::MessageSize),
            Refusal::No(Some(Code::Limit), text) if text.ends_with("mailboxes") => {
                Some(Limit::Mailboxes)
            }
            Refusal::No(Some(Code::Limit), text) if text.ends_with("keywords") => {
                Some(Limit::Elements)
            }
            _ => None,
        }
    }

    /// Writes the tagged response.
    pub fn write(&self, tag: &str, out: &mut BytesMut) {
        match self {
            Refusal::Syntax(error) => {
                tagged(tag, Condition::Bad, None, &error.to_string(), out);
            }
            Refusal::Bad(text) => tagged(tag, Condition::Bad, None, text, out),
            Refusal::No(code, text) => tagged(tag, Condition::No, code.as_ref(), text, out),
            Refusal::Bug => tagged(tag, Condition::Bad, None, "internal error", out),
        }
    }
}

/// The room of a command.
pub(super) fn find(name: &str) -> Option<&'static Spec> {
    COMMANDS
        .iter()
        .find(|spec| spec.name.eq_ignore_ascii_case(name))
}

/// A mailbox as the last argument. What breaks the grammar behind it is said first: `BAD` is for the command, `NO` for the name.
fn last_mailbox(args: &mut Args<'_>) -> Result<MailboxName, Refusal> {
    let name = args.astring()?;
    args.end()?;
    Ok(MailboxName::from_wire(&name, args.utf8())?)
}

/// Into a mailbox that is not there: the client may make it and try again (RFC 9051 section 7.1).
fn try_create(trouble: Trouble) -> Refusal {
    let (code, text) = refusal(trouble, Missing::TryCreate);
    Refusal::No(code, text)
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        let text = match error {
            NameError::Encoding => "mailbox name is not in the encoding in use",
            NameError::Empty => "mailbox name has an empty level",
            NameError::Dots => "mailbox name has a level of dots",
            NameError::Control => "mailbox name has a control character",
            NameError::TooLong => "mailbox name is longer than 500 octets",
            NameError::TooDeep => "mailbox name has more than 20 levels",
        };
        Refusal::No(Some(Code::Cannot), text)
    }
}

impl From<ArgumentError> for Refusal {
    fn from(error: ArgumentError) -> Self {
        match error {
            ArgumentError::Syntax(error) => error.into(),
            ArgumentError::Name(error) => error.into(),
            ArgumentError::Charset { .. } => Refusal::No(Some(Code::BadCharset), "unknown charset"),
        }
    }
}
