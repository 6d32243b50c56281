//! How the questions of SMTP and LMTP sessions are answered.

use bytes::Bytes;
use postrider_protocol::lmtp::LmtpSession;
use postrider_protocol::message::binary::Plan;
use postrider_protocol::message::dsn::{self, Action, Success};
use postrider_protocol::message::{Address, DateTime};
use postrider_protocol::session::Session;
use postrider_protocol::smtp::ask::{
    Answer, Ask, Delivered, Envelope, RecipientAnswer, SenderAnswer,
};
use postrider_protocol::smtp::{SmtpSession, State};

use super::asks::{Asks, Desk};
use super::wire::Wire;
use crate::blob::{Spool, Spooled};
use crate::clock;
use crate::delivery::tidy::{Origin, TidyError, tidy};
use crate::delivery::{Answers, Incoming, Recipient, Report, trace};
use crate::directory::{Target, Unroutable};
use crate::limits::rates::Sent;
use crate::limits::{self, Limit};
use crate::telemetry::metrics::MESSAGES_RECEIVED;

/// What SMTP and LMTP differ in here.
pub(crate) trait Mail: Session<Ask = Ask, Answer = Answer> + Send + Unpin + 'static {
    /// Whether recipients share an answer.
    const ANSWERS: Answers;
    /// Whether who sends has a rate; a server that hands on the mail of many has none.
    const RATED: bool;
    /// For metrics.
    fn last_command(&self) -> &'static str;
    /// Where it stands.
    fn state(&self) -> State;
}

impl Mail for SmtpSession {
    const ANSWERS: Answers = Answers::One;
    const RATED: bool = true;

    fn last_command(&self) -> &'static str {
        SmtpSession::last_command(self)
    }

    fn state(&self) -> State {
        SmtpSession::state(self)
    }
}

impl Mail for LmtpSession {
    const ANSWERS: Answers = Answers::Each;
    const RATED: bool = false;

    fn last_command(&self) -> &'static str {
        LmtpSession::last_command(self)
    }

    fn state(&self) -> State {
        LmtpSession::state(self)
    }
}

/// Answers for one connection.
pub(crate) struct SmtpAsks<S> {
    desk: Desk,
    /// Where the recipients of this transaction lead, as RCPT found it.
    recipients: Vec<Recipient>,
    session: std::marker::PhantomData<fn() -> S>,
}

impl<S: Mail> SmtpAsks<S> {
    /// For a connection with this desk.
    pub fn new(desk: Desk) -> Self {
        Self {
            desk,
            recipients: Vec::new(),
            session: std::marker::PhantomData,
        }
    }

    /// Whether the client sent little enough lately for one more.
    fn may_send(&self, sent: Sent, wire: &Wire) -> bool {
        let account = self.desk.account.as_ref().map(|it| it.email.as_str());
        !S::RATED || self.desk.services.rates.allow(sent, wire.peer(), account)
    }

    /// An account that has logged in sends as itself, or as an alias that leads to it.
    async fn sender(&mut self, reverse_path: Option<Address>, wire: &Wire) -> SenderAnswer {
        self.recipients.clear();
        if !self.may_send(Sent::Message, wire) {
            return SenderAnswer::Throttled;
        }
        let (Some(account), Some(address)) = (&self.desk.account, &reverse_path) else {
            // From outside anybody writes; the null reverse-path is of notifications.
            return SenderAnswer::Accepted;
        };
        match self
            .desk
            .services
            .directory
            .may_send_as(account, address)
            .await
        {
            Ok(true) => SenderAnswer::Accepted,
            Ok(false) => SenderAnswer::NotYours,
            Err(error) => {
                tracing::warn!(%error, "cannot check the sender");
                SenderAnswer::Unavailable
            }
        }
    }

    async fn recipient(
        &mut self,
        path: Option<Address>,
        size: Option<u64>,
        wire: &Wire,
    ) -> RecipientAnswer {
        if !self.may_send(Sent::Recipient, wire) {
            return RecipientAnswer::Throttled;
        }
        let route = match self.desk.services.directory.route(path.as_ref()).await {
            Ok(route) => route,
            Err(error) => {
                tracing::debug!(%error, "recipient refused");
                return refusal(&error);
            }
        };
        let targets: usize = self.recipients.iter().map(|it| it.targets.len()).sum();
        if targets + route.targets.len() > self.desk.services.config.smtp.accounts as usize {
            limits::reached(Limit::Accounts);
            return RecipientAnswer::Throttled;
        }
        let size = size.unwrap_or(0);
        let full = route.targets.iter().any(|Target { account, .. }| {
            let quota = account.quota.unwrap_or(u64::MAX);
            account.used >= quota || account.used.saturating_add(size) > quota
        });
        if full {
            return RecipientAnswer::Full;
        }
        self.recipients.push(Recipient {
            path,
            targets: route.targets,
        });
        RecipientAnswer::Accepted
    }

    async fn deliver(&mut self, envelope: Envelope, wire: &Wire) -> Vec<Delivered> {
        let count = envelope.forward_paths.len();
        let recipients = std::mem::take(&mut self.recipients);
        let spool = self.desk.spool.take();
        if self.desk.ends_bare() {
            tracing::info!(peer = %wire.peer(), "message ends with a bare CR");
            return vec![Delivered::Rejected; count];
        }
        let spooled = match spool {
            Some(spool) if recipients.len() == count => self.ready(spool, &envelope).await,
            _ => return vec![Delivered::Unavailable; count],
        };
        let spooled = match spooled {
            Ok(spooled) => spooled,
            Err(error) => {
                tracing::warn!(peer = %wire.peer(), %error, "message cannot be taken");
                return vec![(&error).into(); count];
            }
        };
        let report = self.report(&envelope, &recipients, &spooled).await;
        let incoming = Incoming {
            peer: wire.peer(),
            envelope: &envelope,
            recipients: &recipients,
            spooled: &spooled,
            taker: &self.desk.taker,
            submitter: self.desk.account.as_deref(),
            answers: S::ANSWERS,
            report: report.as_ref(),
        };
        let outcomes = self.desk.services.delivery.deliver(&incoming).await;
        if outcomes.contains(&Delivered::Accepted) {
            let service = self.desk.service;
            metrics::counter!(MESSAGES_RECEIVED, "service" => service).increment(1);
        }
        outcomes
    }

    /// The whole message, as it will lie in the mailboxes but for our trace.
    async fn ready(&self, spool: Box<Spool>, envelope: &Envelope) -> Result<Spooled, TidyError> {
        let spooled = spool.finish().await?;
        let origin = match self.desk.account {
            Some(_) => Origin::Submitted,
            None => Origin::Outside,
        };
        let scan = async |spooled: &Spooled| {
            let (taker, deadline) = (&self.desk.taker, self.desk.deadline());
            spooled.scan(Bytes::new(), taker, deadline, Plan::of).await
        };
        let fresh = || self.desk.fresh_spool();
        tidy(spooled, envelope.body, origin, fresh, scan).await
    }

    /// The report of success that the sender asked for, if it can be written. The null reverse-path asks for none, so that no report
    /// is ever reported.
    async fn report(
        &self,
        envelope: &Envelope,
        recipients: &[Recipient],
        spooled: &Spooled,
    ) -> Option<Report> {
        let to = envelope.reverse_path.as_ref()?;
        let paths = envelope.forward_paths.iter().zip(recipients);
        let wanted = paths.filter(|(path, _)| path.notify.of_success());
        let successes: Vec<Success<'_>> = wanted
            .map(|(path, recipient)| Success {
                address: path.address.as_ref(),
                original: path.original.as_ref(),
                action: match recipient.targets.len() {
                    1 => Action::Delivered,
                    _ => Action::Expanded,
                },
            })
            .collect();
        if successes.is_empty() {
            return None;
        }
        let services = &self.desk.services;
        let why = |error: &dyn std::fmt::Display| {
            tracing::warn!(%to, %error, "no delivery report");
        };
        let targets = match services.directory.route(Some(to)).await {
            Ok(route) => route.targets,
            Err(error) => {
                why(&error);
                return None;
            }
        };
        let name = trace::id();
        let head = spooled.head(dsn::HEADER).await;
        let message = head.inspect_err(|error| why(error)).ok()?;
        let text = dsn::Report {
            hostname: &services.config.hostname,
            to,
            envelope_id: envelope.id.as_ref(),
            arrival: DateTime::utc(clock::now().0.div_euclid(1_000_000)),
            name: &name,
            recipients: &successes,
            message: &message,
        };
        let mut spool = self.desk.fresh_spool();
        spool.append(&text.message()).await;
        let spooled = spool.finish().await;
        Some(Report {
            spooled: spooled.inspect_err(|error| why(error)).ok()?,
            targets,
            to: to.to_string(),
        })
    }
}

impl<S: Mail> Asks for SmtpAsks<S> {
    type Session = S;

    async fn answer(&mut self, ask: Ask, wire: &mut Wire) -> Answer {
        match ask {
            Ask::Authenticate(credentials) => {
                Answer::Verdict(self.desk.authenticate(credentials, wire).await)
            }
            Ask::Sender { reverse_path, .. } => {
                Answer::Sender(self.sender(reverse_path, wire).await)
            }
            Ask::Recipient { forward_path, size } => {
                Answer::Recipient(self.recipient(forward_path, size, wire).await)
            }
            Ask::Deliver(envelope) => Answer::Delivered(self.deliver(envelope, wire).await),
        }
    }

    /// Octets of a message that will never be whole (RSET, a refused chunk) take no room.
    fn answered(&mut self, session: &S) {
        if session.state() != State::Chunks {
            self.desk.spool = None;
        }
        self.desk.answered(Self::command(session));
    }

    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn command(session: &S) -> &'static str {
        session.last_command()
    }
}

fn refusal(error: &Unroutable) -> RecipientAnswer {
    match error {
        Unroutable::Foreign | Unroutable::ForeignAlias => RecipientAnswer::RelayDenied,
        Unroutable::Unknown => RecipientAnswer::Unknown,
        Unroutable::Disabled => RecipientAnswer::Disabled,
        Unroutable::Loop => RecipientAnswer::Loop,
        Unroutable::Unavailable(_) => RecipientAnswer::Unavailable,
    }
}
