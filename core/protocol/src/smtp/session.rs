//! The SMTP session: lines, answers and receipts in, replies and asks out (RFC 5321 section 4.1.4, RFC 2920).
//!
//! **Invariants.** The numbered ones of [`crate::smtp`]. LMTP is this session with another [`Dialect`].
//! **Bounds.** One transaction: at most [`Config::recipients`] forward-paths of 254 octets.
//! **On failure.** What the connection or the engine must not do (an answer nobody asked for) ends the
//! session with 421; what the peer must not do is answered, counted, and ends it at [`Config::errors`].

use std::sync::Arc;

use super::ask::{Answer, Ask, Delivered, Envelope, ForwardPath, RecipientAnswer, SenderAnswer};
use super::command::{self, Access, Group, Payload, Purpose, Spec, Step, bdat};
use super::config::{Config, Role};
use super::dialect::{Dialect, Ending, Harvest, SMTP};
use super::reply::{Reply, write_lines};
use super::syntax::Args;
use super::transaction::{Chunks, Hello, Position, State, Transaction};
use crate::limit::Limit;
use crate::sasl::{Channel, Exchange, RESPONSE_LIMIT, Verdict, offered};
use crate::session::{Action, Input, Output, Patience, Receive, ReceiveFault, Session};
use crate::tls::{Secrecy, Tls};

/// An SMTP session.
#[derive(Debug)]
pub struct SmtpSession {
    pub(crate) dialect: &'static Dialect,
    pub(crate) config: Arc<Config>,
    pub(crate) secrecy: Secrecy,
    pub(crate) hello: Option<Hello>,
    pub(crate) account: Option<String>,
    pub(crate) transaction: Option<Transaction>,
    waiting: Waiting,
    errors: u32,
    chatter: u32,
    last_command: &'static str,
    reached: Option<Limit>,
}

/// What must come in next.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// `Input::Open`.
    Open,
    /// A command line.
    Command,
    /// A line of a SASL exchange.
    Response(Exchange),
    /// `Answer::Verdict`.
    Verdict,
    /// `Answer::Sender`, for the transaction that begins if it says yes.
    Sender(Transaction),
    /// `Answer::Recipient`.
    Recipient(ForwardPath),
    /// The octets after DATA.
    Data,
    /// The octets of a chunk; after it so many are in the spool.
    Chunk(Position, u64),
    /// Octets that are thrown away; then these replies.
    Discarded(Vec<Reply>),
    /// `Answer::Delivered`, for so many recipients.
    Delivered(usize),
    /// The handshake.
    Tls,
    /// Nothing: the session is over.
    End,
}

type Out = Output<Ask>;

impl SmtpSession {
    /// A session that waits for [`Input::Open`].
    pub fn new(config: Arc<Config>) -> Self {
        Self::with_dialect(config, &SMTP)
    }

    pub(crate) fn with_dialect(config: Arc<Config>, dialect: &'static Dialect) -> Self {
        Self {
            dialect,
            secrecy: config.tls.at_first(),
            config,
            hello: None,
            account: None,
            transaction: None,
            waiting: Waiting::Open,
            errors: 0,
            chatter: 0,
            last_command: "",
            reached: None,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match (&self.hello, &self.transaction) {
            (None, _) => State::Start,
            (_, None) => State::Ready,
            (_, Some(transaction)) => match transaction.chunks {
                Chunks::None if transaction.forward_paths.is_empty() => State::Mail,
                Chunks::None => State::Recipients,
                Chunks::Taken(_) | Chunks::Failed => State::Chunks,
            },
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

    /// What the client called itself.
    pub fn hello(&self) -> Option<&str> {
        self.hello.as_ref().map(|hello| hello.name.as_str())
    }

    /// The verb of the last command, `UNKNOWN` if it is none of ours, empty before the first; for metrics.
    pub fn last_command(&self) -> &'static str {
        self.last_command
    }

    /// Whether it is over: nothing but the end of the connection may follow.
    pub fn is_over(&self) -> bool {
        matches!(self.waiting, Waiting::End)
    }

    /// Who listens to what the client says.
    pub(crate) fn channel(&self) -> Channel {
        Channel::of(self.secrecy, self.config.plaintext_login)
    }

    fn spec(&self, verb: &[u8]) -> Option<&'static Spec> {
        let named = |spec: &&Spec| spec.name.as_bytes().eq_ignore_ascii_case(verb);
        self.dialect.commands.iter().find(named)
    }

    fn command(&mut self, line: &[u8], out: &mut Out) {
        let (verb, args) = Args::split(line);
        let Some(spec) = self.spec(verb) else {
            self.last_command = "UNKNOWN";
            return self.unknown(verb, out);
        };
        self.last_command = spec.name;
        if spec.purpose == Purpose::Chatter && self.chatters() {
            return self.reply(Reply::TooManyErrors, out);
        }
        let step = match self.refusal(spec, line) {
            None => (spec.run)(self, args),
            Some(refusal) => match spec.payload {
                Payload::None => Err(refusal),
                Payload::Chunk => bdat::discard(args, refusal),
            },
        };
        match step {
            Ok(step) => self.take(step, out),
            Err(refusal) => self.reply(refusal, out),
        }
    }

    /// Counts a command that brings no mail forward; true when there were too many.
    pub(crate) fn chatters(&mut self) -> bool {
        self.chatter = self.chatter.saturating_add(1);
        if self.chatter > self.config.chatter {
            self.reached = Some(Limit::Chatter);
            self.errors = self.errors.saturating_add(1);
        }
        self.errors >= self.config.errors
    }

    /// What the table says against a command, before it runs.
    fn refusal(&self, spec: &Spec, line: &[u8]) -> Option<Reply> {
        if line.len() > spec.limit - 2 {
            return Some(Reply::LineTooLong);
        }
        if line.trim_ascii_end().iter().any(u8::is_ascii_control) {
            return Some(Reply::BadArguments);
        }
        if spec.access != Access::Anybody
            && self.config.tls == Tls::Required
            && self.channel() == Channel::Clear
        {
            return Some(Reply::StartTlsFirst);
        }
        if spec.access == Access::LoggedIn
            && self.config.role == Role::Submission
            && self.account.is_none()
        {
            return Some(Reply::LoginRequired);
        }
        let state = self.state();
        if spec.states.contains(&state) {
            return None;
        }
        Some(match (state, spec.states) {
            (State::Start, _) => Reply::HelloFirst,
            (State::Ready, _) => Reply::NoTransaction,
            (State::Mail, states) if states.contains(&State::Recipients) => Reply::NoRecipients,
            _ => Reply::BadSequence,
        })
    }

    /// A browser that was led to our port says its own verbs; its body may hold ours.
    fn unknown(&mut self, verb: &[u8], out: &mut Out) {
        const OTHERS: [&[u8]; 7] = [
            b"CONNECT", b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT",
        ];
        let other = OTHERS.iter().any(|other| other.eq_ignore_ascii_case(verb));
        self.reply(
            if other {
                Reply::NotSmtp
            } else {
                Reply::UnknownCommand
            },
            out,
        );
    }

    fn take(&mut self, step: Step, out: &mut Out) {
        match step {
            Step::Reply(reply) => self.reply(reply, out),
            Step::Lines { first, rest } => {
                write_lines(250, &first, &rest, out.text());
                self.waiting = Waiting::Command;
            }
            Step::Challenge { text, exchange } => {
                out.line(format!("334 {text}"));
                self.waiting = Waiting::Response(exchange);
            }
            Step::Ask(ask, waiting) => {
                out.push(Action::Ask(ask));
                self.waiting = waiting;
            }
            Step::Receive(receive, waiting) => {
                if matches!(receive, Receive::Data { .. }) {
                    Reply::StartInput.write(&self.config.hostname, out.text());
                }
                out.push(Action::Receive(receive));
                self.waiting = waiting;
            }
            Step::StartTls => {
                Reply::TlsReady.write(&self.config.hostname, out.text());
                out.push(Action::StartTls);
                self.waiting = Waiting::Tls;
            }
        }
    }

    /// Ends a command with its one reply.
    fn reply(&mut self, reply: Reply, out: &mut Out) {
        let forgiven = reply.judges_recipient()
            && (self.account.is_some() || self.dialect.harvest == Harvest::Impossible);
        if reply.blames_client() && !forgiven {
            self.errors = self.errors.saturating_add(1);
        }
        let reply = match self.errors >= self.config.errors && reply.code() >= 400 {
            true => Reply::TooManyErrors,
            false => reply,
        };
        self.reached = reply.limit().or(self.reached);
        reply.write(&self.config.hostname, out.text());
        self.waiting = Waiting::Command;
        if reply.ends_session() {
            out.push(Action::Close);
            self.end();
        }
    }

    /// Ends a command with as many replies as its dialect wants.
    fn replies(&mut self, replies: &[Reply], out: &mut Out) {
        if let [reply] = replies {
            return self.reply(*reply, out);
        }
        for reply in replies {
            self.reached = reply.limit().or(self.reached);
            reply.write(&self.config.hostname, out.text());
        }
        self.waiting = Waiting::Command;
    }

    fn end(&mut self) {
        self.waiting = Waiting::End;
        self.transaction = None;
    }

    fn response(&mut self, exchange: Exchange, line: &[u8], out: &mut Out) {
        match command::auth::step(exchange.respond(line)) {
            Ok(step) => self.take(step, out),
            Err(refusal) => self.reply(refusal, out),
        }
    }

    fn verdict(&mut self, verdict: Verdict, out: &mut Out) {
        let reply = Reply::from(&verdict);
        if let Verdict::Granted { account } = verdict {
            self.account = Some(account);
        }
        self.reply(reply, out);
    }

    fn sender(&mut self, transaction: Transaction, answer: SenderAnswer, out: &mut Out) {
        if answer == SenderAnswer::Accepted {
            self.transaction = Some(transaction);
        }
        self.reply(answer.into(), out);
    }

    fn recipient(&mut self, path: ForwardPath, answer: RecipientAnswer, out: &mut Out) {
        if let (RecipientAnswer::Accepted, Some(transaction)) = (answer, &mut self.transaction) {
            transaction.forward_paths.push(path);
        }
        self.reply(answer.into(), out);
    }

    /// The last octet of a message is here.
    fn message(&mut self, fault: Option<ReceiveFault>, out: &mut Out) {
        let Some(fault) = fault else {
            return self.deliver(out);
        };
        let recipients = self
            .transaction
            .take()
            .map_or(1, |gone| gone.forward_paths.len());
        let replies = (self.dialect.conclude)(Ending::Failed(fault.into()), recipients);
        self.replies(&replies, out);
    }

    /// A chunk is here, and more will follow.
    fn chunk(&mut self, fault: Option<ReceiveFault>, taken: u64, out: &mut Out) {
        if let Some(transaction) = &mut self.transaction {
            transaction.chunks = match fault {
                None => Chunks::Taken(taken),
                Some(_) => Chunks::Failed,
            };
        }
        self.reply(fault.map_or(Reply::ChunkTaken, Reply::from), out);
    }

    fn deliver(&mut self, out: &mut Out) {
        let (Some(hello), Some(transaction)) = (&self.hello, self.transaction.take()) else {
            return self.reply(Reply::Bug, out);
        };
        let recipients = transaction.forward_paths.len();
        let envelope = Envelope {
            helo: hello.name.clone(),
            reverse_path: transaction.reverse_path,
            forward_paths: transaction.forward_paths,
            returns: transaction.returns,
            id: transaction.id,
            body: transaction.body,
            utf8: transaction.utf8,
            with: (self.dialect.with)(self, transaction.utf8),
        };
        self.take(
            Step::Ask(Ask::Deliver(envelope), Waiting::Delivered(recipients)),
            out,
        );
    }

    fn delivered(&mut self, outcomes: &[Delivered], recipients: usize, out: &mut Out) {
        if outcomes.contains(&Delivered::Accepted) {
            (self.errors, self.chatter) = (0, 0);
        }
        let replies = (self.dialect.conclude)(Ending::Delivered(outcomes), recipients);
        self.replies(&replies, out);
    }

    /// Invariant 3: nothing that was said in clear counts any more (RFC 3207 section 4.2).
    fn secured(&mut self) {
        self.secrecy = Secrecy::Tls;
        self.hello = None;
        self.account = None;
        self.transaction = None;
        self.last_command = "";
        self.waiting = Waiting::Command;
    }
}

impl Session for SmtpSession {
    type Ask = Ask;
    type Answer = Answer;

    fn on(&mut self, input: Input<'_, Answer>) -> Vec<Action<Ask>> {
        let mut out = Output::default();
        let waiting = std::mem::replace(&mut self.waiting, Waiting::Command);
        match (input, waiting) {
            (_, Waiting::End) => self.end(),
            (Input::Open, Waiting::Open) => {
                let text = format!(
                    "220 {} {} Postrider",
                    self.config.hostname, self.dialect.banner
                );
                out.line(text);
            }
            (Input::Line(line), Waiting::Command) => self.command(line, &mut out),
            (Input::Line(line), Waiting::Response(exchange)) => {
                self.response(exchange, line, &mut out)
            }
            (Input::LineTooLong, Waiting::Command) => self.reply(Reply::LineTooLong, &mut out),
            (Input::LineTooLong, Waiting::Response(_)) => {
                self.reply(Reply::ResponseTooLong, &mut out)
            }
            (Input::BareNewline, Waiting::Command | Waiting::Response(_)) => {
                self.reply(Reply::BareNewline, &mut out);
            }
            (Input::Answer(Answer::Verdict(verdict)), Waiting::Verdict) => {
                self.verdict(verdict, &mut out)
            }
            (Input::Answer(Answer::Sender(answer)), Waiting::Sender(transaction)) => {
                self.sender(transaction, answer, &mut out);
            }
            (Input::Answer(Answer::Recipient(answer)), Waiting::Recipient(path)) => {
                self.recipient(path, answer, &mut out);
            }
            (Input::Answer(Answer::Delivered(outcomes)), Waiting::Delivered(recipients)) => {
                self.delivered(&outcomes, recipients, &mut out);
            }
            (Input::Received(received), Waiting::Data) => self.message(received.fault, &mut out),
            (Input::Received(received), Waiting::Chunk(Position::Last, _)) => {
                self.message(received.fault, &mut out);
            }
            (Input::Received(received), Waiting::Chunk(Position::Middle, taken)) => {
                self.chunk(received.fault, taken, &mut out);
            }
            (Input::Received(_), Waiting::Discarded(replies)) => self.replies(&replies, &mut out),
            (Input::Secured, Waiting::Tls) => self.secured(),
            (Input::Drain, _) => self.reply(Reply::ShuttingDown, &mut out),
            (Input::TimedOut, _) => self.reply(Reply::IdleTooLong, &mut out),
            (Input::Revoked, _) => self.reply(Reply::Revoked, &mut out),
            (Input::Changed | Input::Resume, waiting) => self.waiting = waiting,
            // Text in clear after the 220 of STARTTLS: answered by nobody (invariant 3).
            (_, Waiting::Tls) => {
                out.push(Action::Close);
                self.end();
            }
            _ => self.reply(Reply::Bug, &mut out),
        }
        out.finish()
    }

    /// RFC 5321 section 4.3.1: the client waits for the greeting. Who does not speaks another protocol (a page that a browser
    /// posts here), or plays a recording.
    fn on_hasty(&mut self) -> Vec<Action<Ask>> {
        let mut out = Output::default();
        self.reply(Reply::OutOfStep, &mut out);
        out.finish()
    }

    /// RFC 2920 section 3.1: what must be the last of a group is answered before the next is sent. Who does not
    /// wait is no SMTP client, or does not know who is in the middle.
    fn on_pipelined(&mut self, line: &[u8]) -> Vec<Action<Ask>> {
        let group = self.spec(Args::split(line).0).map(|spec| spec.group);
        if !matches!(
            (&self.waiting, group),
            (Waiting::Command, Some(Group::Last))
        ) {
            return self.on(Input::Line(line));
        }
        let mut out = Output::default();
        self.reply(Reply::OutOfStep, &mut out);
        out.finish()
    }

    fn line_limit(&self) -> usize {
        match &self.waiting {
            Waiting::Response(_) => RESPONSE_LIMIT,
            _ if self.account.is_none() && self.mechanisms().next().is_some() => RESPONSE_LIMIT,
            _ => command::mail::LIMIT.max(command::rcpt::LIMIT) - 2,
        }
    }

    fn reached(&mut self) -> Option<Limit> {
        self.reached.take()
    }

    fn patience(&self) -> Patience {
        let unknown = self.hello.is_none()
            || (self.config.role == Role::Submission && self.account.is_none());
        if unknown {
            Patience::BeforeLogin
        } else {
            Patience::Command
        }
    }
}

impl SmtpSession {
    /// The SASL mechanisms that this client may use now.
    pub(crate) fn mechanisms(&self) -> impl Iterator<Item = &'static str> {
        let may = self.config.role == Role::Submission;
        offered(self.channel()).filter(move |_| may)
    }
}
