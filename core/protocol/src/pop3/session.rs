//! The POP3 session: lines and answers in, responses and asks out (RFC 1939 section 3).
//!
//! **Invariants.** The numbered ones of [`crate::pop3`].
//! **Bounds.** A maildrop takes 24 octets a message; listings are written in batches.
//! **On failure.** What the connection or the engine must not do ends the session; too many errors of
//! the peer do so too. Neither removes a message.

use std::sync::Arc;

use super::ask::{Answer, Ask, BodyAnswer, Opened};
use super::command::{self, Access, Args, COMMANDS, Step};
use super::config::{Config, Expire};
use super::maildrop::{Listing, Maildrop};
use super::response::{Response, Status};
use crate::limit::Limit;
use crate::sasl::{Channel, Exchange, RESPONSE_LIMIT, Verdict};
use crate::session::{Action, BATCH, Framing, Input, Output, Patience, Session};
use crate::tls::Secrecy;

/// A POP3 session.
#[derive(Debug)]
pub struct Pop3Session {
    pub(super) config: Arc<Config>,
    pub(super) secrecy: Secrecy,
    /// What USER said, until the next command.
    pub(super) user: Option<String>,
    account: Option<String>,
    maildrop: Option<Maildrop>,
    /// How long mail stays, as far as is known.
    pub(super) expire: Expire,
    waiting: Waiting,
    errors: u32,
    last_command: &'static str,
    reached: Option<Limit>,
}

/// The states of RFC 1939 section 3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Nobody is logged in.
    Authorization,
    /// The maildrop is open.
    Transaction,
    /// QUIT was said: messages are removed, nothing is heard.
    Update,
}

impl State {
    /// For logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Transaction => "transaction",
            Self::Update => "update",
        }
    }
}

/// What must come in next.
#[derive(Debug)]
pub(super) enum Waiting {
    /// `Input::Open`.
    Open,
    /// A command line.
    Command,
    /// A line of a SASL exchange.
    Response(Exchange),
    /// `Answer::Verdict`.
    Verdict,
    /// `Answer::Opened`.
    Opened,
    /// `Answer::Body`, to send it or its first lines.
    Body(Wanted),
    /// `Answer::Removed`.
    Removed,
    /// `Input::Resume`, to go on with a listing at this index.
    Listing(Listing, usize),
    /// The handshake.
    Tls,
    /// Nothing: the session is over.
    End,
}

/// What of a message is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    /// All of it: as many octets as LIST said.
    Whole(u64),
    /// Its header and so many lines.
    Top(u64),
}

type Out = Output<Ask>;

impl Pop3Session {
    /// A session that waits for [`Input::Open`].
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            secrecy: config.tls.at_first(),
            expire: config.expire,
            config,
            user: None,
            account: None,
            maildrop: None,
            waiting: Waiting::Open,
            errors: 0,
            last_command: "",
            reached: None,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match (&self.waiting, &self.maildrop) {
            (Waiting::Removed, _) => State::Update,
            (_, Some(_)) => State::Transaction,
            (_, None) => State::Authorization,
        }
    }

    /// Who is logged in.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Whether TLS is on.
    pub fn secrecy(&self) -> Secrecy {
        self.secrecy
    }

    /// The name of the last command, `UNKNOWN` if it is none of ours, empty before the first; for metrics.
    pub fn last_command(&self) -> &'static str {
        self.last_command
    }

    /// Whether it is over: nothing but the end of the connection may follow.
    pub fn is_over(&self) -> bool {
        matches!(self.waiting, Waiting::End)
    }

    /// Who listens to what the client says.
    pub(super) fn channel(&self) -> Channel {
        Channel::of(self.secrecy, self.config.plaintext_login)
    }

    /// The open maildrop.
    pub(super) fn maildrop(&mut self) -> Result<&mut Maildrop, Response> {
        self.maildrop.as_mut().ok_or(Response::BadSequence)
    }

    fn command(&mut self, line: &[u8], out: &mut Out) {
        let (name, args) = Args::split(line);
        let spec = COMMANDS
            .iter()
            .find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name));
        self.last_command = spec.map_or("UNKNOWN", |spec| spec.name);
        let step = match spec {
            None => Err(Response::UnknownCommand),
            Some(spec) if line.len() > spec.limit - 2 => Err(Response::LineTooLong),
            Some(spec) if !spec.states.contains(&self.state()) => Err(Response::BadSequence),
            Some(spec)
                if spec.access == Access::Confidential && self.channel() == Channel::Clear =>
            {
                Err(Response::EncryptionRequired)
            }
            Some(spec) => (spec.run)(self, args),
        };
        // USER counts for the very next command alone (RFC 1939 section 7).
        if self.last_command != command::user::SPEC.name {
            self.user = None;
        }
        self.take(step, out);
    }

    fn take(&mut self, step: Result<Step, Response>, out: &mut Out) {
        match step {
            Err(response) | Ok(Step::Response(response)) => self.respond(response, out),
            Ok(Step::Data(data)) => out.line(format!("+OK {data}")),
            Ok(Step::Lines(lines)) => {
                out.line("+OK");
                lines.iter().for_each(|line| out.line(line));
                out.line(".");
            }
            Ok(Step::Listing(listing)) => {
                out.line("+OK");
                self.list(listing, 0, out);
            }
            Ok(Step::Challenge { text, exchange }) => {
                out.line(format!("+ {text}"));
                self.waiting = Waiting::Response(exchange);
            }
            Ok(Step::Ask(ask, waiting)) => {
                out.push(Action::Ask(ask));
                self.waiting = waiting;
            }
            Ok(Step::StartTls) => {
                out.line(Response::BeginTls.line());
                out.push(Action::StartTls);
                self.waiting = Waiting::Tls;
            }
        }
    }

    /// Ends a command with its one response.
    fn respond(&mut self, mut response: Response, out: &mut Out) {
        if response.blames_client() {
            self.errors = self.errors.saturating_add(1);
        }
        if self.errors >= self.config.errors && response.status() == Status::Err {
            response = Response::TooManyErrors;
        }
        self.reached = response.limit().or(self.reached);
        out.line(response.line());
        self.waiting = Waiting::Command;
        if response.ends_session() {
            self.close(out);
        }
    }

    fn close(&mut self, out: &mut Out) {
        out.push(Action::Close);
        self.end();
    }

    fn end(&mut self) {
        self.waiting = Waiting::End;
        self.maildrop = None;
    }

    /// Writes what is not marked from `next` on, until a batch is full.
    fn list(&mut self, listing: Listing, mut next: usize, out: &mut Out) {
        let Some(maildrop) = &self.maildrop else {
            return self.respond(Response::Bug, out);
        };
        while next < maildrop.len() {
            if out.pending() >= BATCH {
                out.push(Action::Resume);
                self.waiting = Waiting::Listing(listing, next);
                return;
            }
            next += 1;
            if let Ok(data) = maildrop.describe(next as u64, listing) {
                out.line(data);
            }
        }
        out.line(".");
    }

    fn verdict(&mut self, verdict: Verdict, out: &mut Out) {
        match verdict {
            Verdict::Granted { account } => {
                self.account = Some(account);
                self.take(Ok(Step::Ask(Ask::Open, Waiting::Opened)), out);
            }
            verdict => self.respond((&verdict).into(), out),
        }
    }

    fn opened(&mut self, opened: Opened, out: &mut Out) {
        let Opened::Maildrop {
            messages,
            uid_validity,
            unique_ids,
            expire,
        } = opened
        else {
            self.account = None;
            return self.respond((&opened).into(), out);
        };
        let maildrop = Maildrop::new(messages, uid_validity, unique_ids);
        let (count, octets) = maildrop.total();
        out.line(format!("+OK {count} messages ({octets} octets)"));
        self.maildrop = Some(maildrop);
        self.expire = expire;
    }

    fn body(&mut self, answer: BodyAnswer, wanted: Wanted, out: &mut Out) {
        let BodyAnswer::Ready { octets } = answer else {
            return self.respond(answer.into(), out);
        };
        let body_lines = match wanted {
            Wanted::Whole(listed) => {
                out.line(format!("+OK {listed} octets"));
                None
            }
            Wanted::Top(lines) => {
                out.line("+OK");
                Some(lines)
            }
        };
        out.push(Action::Send {
            offset: 0,
            octets,
            framing: Framing::DotStuffed { body_lines },
        });
    }

    /// Invariant 5: nothing that was said in clear counts any more.
    fn secured(&mut self) {
        self.secrecy = Secrecy::Tls;
        self.user = None;
        self.account = None;
        self.maildrop = None;
        self.expire = self.config.expire;
        self.last_command = "";
    }
}

impl Session for Pop3Session {
    type Ask = Ask;
    type Answer = Answer;

    fn on(&mut self, input: Input<'_, Answer>) -> Vec<Action<Ask>> {
        let mut out = Output::default();
        // Whoever goes on waiting for something says so.
        let waiting = std::mem::replace(&mut self.waiting, Waiting::Command);
        match (input, waiting) {
            (_, Waiting::End) => self.end(),
            (Input::Open, Waiting::Open) => {
                out.line(format!("+OK {} POP3 Postrider", self.config.hostname));
            }
            (Input::Line(line), Waiting::Command) => self.command(line, &mut out),
            (Input::Line(line), Waiting::Response(exchange)) => {
                let step = command::auth::step(exchange.respond(line));
                self.take(step, &mut out);
            }
            (Input::LineTooLong, Waiting::Command | Waiting::Response(_)) => {
                self.user = None;
                self.respond(Response::LineTooLong, &mut out);
            }
            (Input::BareNewline, Waiting::Command | Waiting::Response(_)) => {
                self.user = None;
                self.respond(Response::BareNewline, &mut out);
            }
            (Input::Answer(Answer::Verdict(verdict)), Waiting::Verdict) => {
                self.verdict(verdict, &mut out)
            }
            (Input::Answer(Answer::Opened(opened)), Waiting::Opened) => {
                self.opened(opened, &mut out)
            }
            (Input::Answer(Answer::Body(answer)), Waiting::Body(wanted)) => {
                self.body(answer, wanted, &mut out)
            }
            (Input::Answer(Answer::Removed(removed)), Waiting::Removed) => {
                self.respond(removed.into(), &mut out);
            }
            (Input::Resume, Waiting::Listing(listing, next)) => self.list(listing, next, &mut out),
            (Input::Secured, Waiting::Tls) => self.secured(),
            (Input::Drain, _) => self.respond(Response::ShuttingDown, &mut out),
            (Input::Revoked, _) => self.respond(Response::Revoked, &mut out),
            // Without a word, and without UPDATE (RFC 1939 section 3); nor is text in clear behind STLS answered.
            (Input::TimedOut, _) | (_, Waiting::Tls) => self.close(&mut out),
            (Input::Changed, waiting) | (Input::Resume, waiting @ Waiting::Command) => {
                self.waiting = waiting
            }
            _ => self.respond(Response::Bug, &mut out),
        }
        out.finish()
    }

    fn line_limit(&self) -> usize {
        match (&self.waiting, self.state(), self.channel()) {
            (Waiting::Response(_), _, _) | (_, State::Authorization, Channel::Confidential) => {
                RESPONSE_LIMIT
            }
            _ => command::LINE - 2,
        }
    }

    fn reached(&mut self) -> Option<Limit> {
        self.reached.take()
    }

    fn patience(&self) -> Patience {
        match self.state() {
            State::Authorization => Patience::BeforeLogin,
            State::Transaction | State::Update => Patience::Command,
        }
    }
}
