//! The IMAP session: inputs in, actions out, no I/O (RFC 9051 section 3).
//!
//! A command runs as a chain of [`Step`]s: each says what it waits for and what to do then, so that every command reads from
//! top to bottom in its own file. The session writes the tagged response, once, after telling what else changed.
//!
//! **Invariants.** One command is open at a time; its chain ends in exactly one tagged response, or in `BYE`.
//! I5: `EXPUNGE` is told only at the end of commands whose [`Spec`](super::command::Spec) allows it, and in IDLE.
//! **Bounds.** See [`Limits`].

mod assembly;
mod config;
mod selected;
mod step;
mod tell;

pub(super) use self::assembly::{discard_limit, unasked};
pub use self::config::{Config, Limits};
pub(super) use self::selected::{Enabled, Selected};
pub(super) use self::step::{Event, For, Step, Then};

pub(super) use self::tell::{flags_of, mailbox_flags};

use crate::limit::Limit;
use crate::line::Ends;
use crate::sasl::exchange::Channel;
use crate::session::{
    Action, Input, LineFault, Output, Patience, Receive, Received, Session, SpoolStart,
};
use crate::tls::Secrecy;

use self::assembly::Assembly;
use super::ask::{Answer, Ask, Synced, Trouble};
use super::command::{self, Refusal, Spec};
use super::response::code::Code;
use super::response::condition::{self, Condition};
use super::syntax::command::{Command, CommandError, Numbering};
use super::view::Expunges;

/// What a client hears whose selected mailbox somebody deleted: no sequence number of it means anything now.
pub(super) const MAILBOX_GONE: &str = "the selected mailbox was deleted";

/// State of a connection (RFC 9051 section 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Not authenticated.
    NotAuthenticated,
    /// Authenticated, no mailbox selected.
    Authenticated,
    /// A mailbox is selected.
    Selected,
    /// Said goodbye.
    Logout,
}

/// The command that is running.
struct Open {
    tag: String,
    spec: &'static Spec,
    /// `UID` stood before it.
    by_uid: bool,
    waits_for_line: bool,
    waits_for_change: bool,
    then: Option<Then>,
}

/// One IMAP connection's protocol state.
pub struct ImapSession {
    pub(super) config: Config,
    pub(super) state: State,
    pub(super) secrecy: Secrecy,
    pub(super) enabled: Enabled,
    pub(super) account: Option<String>,
    pub(super) selected: Option<Selected>,
    pub(super) login_failures: u32,
    pub(super) out: Output<Ask>,
    errors: u32,
    assembly: Assembly,
    open: Option<Open>,
    /// Something changed that the client has not been told.
    behind: bool,
    last_command: &'static str,
    reached: Option<Limit>,
}

impl std::fmt::Debug for ImapSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImapSession")
            .field("state", &self.state)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Session for ImapSession {
    type Ask = Ask;
    type Answer = Answer;

    fn on(&mut self, input: Input<'_, Answer>) -> Vec<Action<Ask>> {
        match input {
            Input::Open => self.greet(),
            Input::Line(line) => self.on_line(line),
            Input::LineTooLong => self.broken_line(LineFault::TooLong, &Ends::default()),
            Input::BareNewline => self.broken_line(LineFault::BareNewline, &Ends::default()),
            Input::Literal(octets) => self.assembly.literal(octets),
            Input::Received(received) => self.on_received(received),
            Input::Answer(answer) => self.go_on(Event::Answer(answer)),
            Input::Secured => self.go_on(Event::Secured),
            Input::Resume => self.go_on(Event::Resume),
            Input::Changed => {
                self.behind = self.selected.is_some();
                if self.open.as_ref().is_some_and(|open| open.waits_for_change) {
                    self.go_on(Event::Changed);
                }
            }
            Input::Revoked => self.bye("your access has ended"),
            Input::Drain => self.bye("server is going down, come back in a moment"),
            Input::TimedOut => self.bye("idle for too long"),
        }
        std::mem::take(&mut self.out).finish()
    }

    fn on_broken_line(&mut self, fault: LineFault, ends: &Ends) -> Vec<Action<Ask>> {
        self.broken_line(fault, ends);
        std::mem::take(&mut self.out).finish()
    }

    fn line_limit(&self) -> usize {
        match self.state {
            State::NotAuthenticated => self.config.limits.line_before_login,
            _ => self.config.limits.line,
        }
    }

    fn patience(&self) -> Patience {
        match self.state {
            State::NotAuthenticated => Patience::BeforeLogin,
            _ if self.assembly.is_open() => Patience::Command,
            _ => Patience::Idle,
        }
    }

    fn reached(&mut self) -> Option<Limit> {
        self.reached.take()
    }
}

impl ImapSession {
    /// A session on a fresh connection.
    pub fn new(config: Config) -> Self {
        Self {
            state: State::NotAuthenticated,
            secrecy: config.tls.at_first(),
            config,
            enabled: Enabled::default(),
            account: None,
            selected: None,
            login_failures: 0,
            out: Output::default(),
            errors: 0,
            assembly: Assembly::default(),
            open: None,
            behind: false,
            last_command: "",
            reached: None,
        }
    }

    /// The client met a bound.
    pub(super) fn reach(&mut self, limit: Limit) {
        self.reached = Some(limit);
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The account that logged in.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Name of the command that began last, from the table of commands; for metrics.
    pub fn last_command(&self) -> &'static str {
        self.last_command
    }

    /// Whether the client is told to begin TLS.
    pub(super) fn offers_tls(&self) -> bool {
        self.config.tls.is_offered() && self.secrecy == Secrecy::Clear
    }

    /// Who can read this connection.
    pub(super) fn channel(&self) -> Channel {
        Channel::of(self.secrecy, self.config.plaintext_login)
    }

    /// Whether the open command names messages by UID.
    pub(super) fn by_uid(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.by_uid)
    }

    /// Tag of the open command, for ESEARCH.
    pub(super) fn tag(&self) -> &str {
        self.open.as_ref().map_or("", |open| &open.tag)
    }

    /// No mailbox is selected any longer.
    pub(super) fn leave(&mut self) {
        self.selected = None;
        self.behind = false;
        self.state = State::Authenticated;
    }

    /// All that was noticed so far is being told.
    pub(super) fn told_all(&mut self) {
        self.behind = false;
    }

    /// Sends the tagged `OK` of the open command before the command is through.
    pub(super) fn answer_now(&mut self, text: &str) {
        let line = format!("{} OK {text}", self.tag());
        self.out.line(line);
    }

    /// Ends the connection after a last word.
    pub(super) fn bye(&mut self, text: &str) {
        if self.state != State::Logout {
            self.out.line(format!("* BYE {text}"));
        }
        self.state = State::Logout;
        self.open = None;
        self.out.push(Action::Close);
    }

    fn greet(&mut self) {
        let capabilities = super::capability::list(self);
        let host = self.config.hostname.clone();
        self.out
            .line(format!("* OK [CAPABILITY {capabilities}] {host} ready"));
    }

    fn on_line(&mut self, line: &[u8]) {
        if self.open.as_ref().is_some_and(|open| open.waits_for_line) {
            return self.go_on(Event::Line(line));
        }
        let login = self.state != State::NotAuthenticated;
        let limits = self.config.limits;
        let assembled = self.assembly.line(line, &limits, login, self.utf8());
        self.on_assembled(assembled);
    }

    fn on_received(&mut self, received: Received) {
        if self.open.is_some() {
            self.go_on(Event::Received(received));
        }
    }

    fn begin(&mut self, command: &[u8]) {
        let mut command = match Command::parse(command, self.utf8()) {
            Ok(command) => command,
            Err(CommandError::NoTag) => return self.misunderstood("*", "expected a tag"),
            Err(CommandError::NoName { tag, .. }) => {
                return self.misunderstood(tag, "expected a command");
            }
        };
        command.args.bound(self.config.limits.syntax);
        if let Some(spec) = self.admit(&command) {
            let result = (spec.run)(self, &mut command.args);
            self.proceed(result);
        }
    }

    fn begin_append(&mut self, command: &[u8], octets: u64, sync: bool) {
        // The assembly has parsed this far already.
        let Ok(mut command) = Command::parse(command, self.utf8()) else {
            return self.bye("internal error");
        };
        command.args.bound(self.config.limits.syntax);
        if self.admit(&command).is_some() {
            let result = command::append::begin(self, &mut command.args, octets, sync);
            self.proceed(result);
        }
    }

    fn misunderstood(&mut self, tag: &str, text: &str) {
        self.out.line(format!("{tag} BAD {text}"));
        self.count_error();
    }

    /// Opens a command if there is one of this name and the state allows it.
    fn admit(&mut self, command: &Command<'_>) -> Option<&'static Spec> {
        let tag = command.tag;
        let Some(spec) = command::find(command.name) else {
            self.misunderstood(tag, "unknown command");
            return None;
        };
        let by_uid = command.numbering == Numbering::Uid;
        if by_uid && spec.uid == command::Uid::Never {
            self.misunderstood(tag, "this command does not take UID");
            return None;
        }
        if !spec.states.contains(&self.state) {
            let text = format!("{} is not valid now", spec.name);
            self.misunderstood(tag, &text);
            return None;
        }
        self.last_command = spec.name;
        self.open = Some(Open {
            tag: tag.to_owned(),
            spec,
            by_uid,
            waits_for_line: false,
            waits_for_change: false,
            then: None,
        });
        Some(spec)
    }

    fn go_on(&mut self, event: Event<'_>) {
        let Some(then) = self.open.as_mut().and_then(|open| open.then.take()) else {
            return;
        };
        let result = then(self, event);
        self.proceed(result);
    }

    fn proceed(&mut self, result: Result<Step, Refusal>) {
        let (what, then) = match result {
            Ok(Step::Wait(what, then)) => (what, then),
            Ok(Step::Done(code)) => return self.end(Ok(code)),
            Ok(Step::Silent) => {
                self.open = None;
                return;
            }
            Err(refusal) => return self.end(Err(refusal)),
        };
        let Some(open) = self.open.as_mut() else {
            return;
        };
        open.then = Some(then);
        open.waits_for_line = matches!(what, For::Line | For::LineOrChange);
        open.waits_for_change = matches!(what, For::LineOrChange);
        match what {
            For::Answer(ask) => self.out.push(Action::Ask(ask)),
            For::Line => {}
            For::LineOrChange => {
                if self.behind {
                    self.go_on(Event::Changed);
                }
            }
            For::Spool(octets) => self.out.push(Action::Receive(Receive::Binary {
                octets,
                spool: SpoolStart::Fresh,
            })),
            For::Discard(octets) => {
                self.out.push(Action::Receive(Receive::Discard { octets }));
            }
            For::Resume => self.out.push(Action::Resume),
            For::StartTls => self.out.push(Action::StartTls),
        }
    }

    /// The command is through. Before the tagged response the client is told what else changed.
    fn end(&mut self, result: Result<Option<Code>, Refusal>) {
        let Some(open) = self.open.as_ref() else {
            return;
        };
        if matches!(result, Err(Refusal::Bug)) {
            return self.bye("internal error");
        }
        if self.selected.is_none() || !(self.behind || open.spec.looks) {
            return self.tagged(result);
        }
        let recent = self.recent();
        self.proceed(Step::wait(
            For::Answer(Ask::Sync { recent }),
            move |session, event| {
                let gone = matches!(event, Event::Answer(Answer::Refused(Trouble::NonExistent)));
                let finish = move |session: &mut Self| {
                    session.tagged(result);
                    if gone {
                        session.bye(MAILBOX_GONE);
                    }
                    Step::silent()
                };
                match event {
                    Event::Answer(Answer::Synced(synced)) => {
                        session.behind = false;
                        let expunges = session.expunges();
                        session.tell(synced, expunges, Vec::new(), finish)
                    }
                    // What cannot be told now is told later.
                    _ => finish(session),
                }
            },
        ));
    }

    /// Whether the open command lets `EXPUNGE` be told at its end.
    pub(super) fn expunges(&self) -> Expunges {
        match &self.open {
            Some(open) if open.spec.by_sequence && !open.by_uid => Expunges::Forbidden,
            _ => Expunges::Allowed,
        }
    }

    fn tagged(&mut self, result: Result<Option<Code>, Refusal>) {
        let Some(open) = self.open.take() else {
            return;
        };
        let mut bad = false;
        match result {
            Ok(code) => {
                let text = format!("{} completed", open.spec.name);
                condition::tagged(
                    &open.tag,
                    Condition::Ok,
                    code.as_ref(),
                    &text,
                    self.out.text(),
                );
            }
            Err(refusal) => {
                if let Some(limit) = refusal.limit() {
                    self.reach(limit);
                }
                bad = matches!(refusal, Refusal::Bad(_) | Refusal::Syntax(_));
                refusal.write(&open.tag, self.out.text());
            }
        }
        if !bad {
            self.errors = 0;
        }
        if self.state == State::Logout {
            self.out.push(Action::Close);
        } else if self.login_failures >= self.config.limits.login_failures {
            self.reach(Limit::LoginFailures);
            self.bye("too many failed logins");
        } else if bad {
            self.count_error();
        }
    }

    fn count_error(&mut self) {
        self.errors += 1;
        let limit = match self.state {
            State::NotAuthenticated => self.config.limits.errors_before_login,
            _ => self.config.limits.errors,
        };
        if self.errors >= limit {
            self.reach(Limit::Errors);
            self.bye("too many errors");
        }
    }

    /// Something is left to tell: the first command, or IDLE, that allows it does.
    fn owes(&mut self) {
        self.behind = true;
    }
}

#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod tests;
