//! How the questions of SMTP and LMTP sessions are answered.

use postrider_protocol::lmtp::LmtpSession;
use postrider_protocol::message::Address;
use postrider_protocol::session::Session;
use postrider_protocol::smtp::SmtpSession;
use postrider_protocol::smtp::ask::{
    Answer, Ask, Delivered, Envelope, RecipientAnswer, SenderAnswer,
};

use super::asks::{Asks, Desk};
use super::wire::Wire;
use crate::delivery::{Answers, Incoming, Recipient};
use crate::directory::{Target, Unroutable};
use crate::limits::{self, Limit};
use crate::telemetry::metrics::MESSAGES_RECEIVED;

/// What SMTP and LMTP differ in here.
pub(crate) trait Mail: Session<Ask = Ask, Answer = Answer> + Send + Unpin + 'static {
    /// Whether recipients share an answer.
    const ANSWERS: Answers;
    /// For metrics.
    fn last_command(&self) -> &'static str;
}

impl Mail for SmtpSession {
    const ANSWERS: Answers = Answers::One;

    fn last_command(&self) -> &'static str {
        SmtpSession::last_command(self)
    }
}

impl Mail for LmtpSession {
    const ANSWERS: Answers = Answers::Each;

    fn last_command(&self) -> &'static str {
        LmtpSession::last_command(self)
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

    /// An account that has logged in sends as itself, or as an alias that leads to it.
    async fn sender(&mut self, reverse_path: Option<Address>) -> SenderAnswer {
        self.recipients.clear();
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

    async fn recipient(&mut self, path: Option<Address>, size: Option<u64>) -> RecipientAnswer {
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
            Some(spool) if recipients.len() == count => spool.finish().await,
            _ => return vec![Delivered::Unavailable; count],
        };
        let spooled = match spooled {
            Ok(spooled) => spooled,
            Err(error) => {
                tracing::error!(%error, "cannot finish the spool");
                return vec![Delivered::Unavailable; count];
            }
        };
        let incoming = Incoming {
            peer: wire.peer(),
            envelope: &envelope,
            recipients: &recipients,
            spooled: &spooled,
            taker: &self.desk.taker,
            submitter: self.desk.account.as_ref(),
            answers: S::ANSWERS,
        };
        let outcomes = self.desk.services.delivery.deliver(&incoming).await;
        if outcomes.contains(&Delivered::Accepted) {
            let service = self.desk.service;
            metrics::counter!(MESSAGES_RECEIVED, "service" => service).increment(1);
        }
        outcomes
    }
}

impl<S: Mail> Asks for SmtpAsks<S> {
    type Session = S;

    async fn answer(&mut self, ask: Ask, wire: &mut Wire) -> Answer {
        match ask {
            Ask::Authenticate(credentials) => {
                Answer::Verdict(self.desk.authenticate(credentials, wire).await)
            }
            Ask::Sender { reverse_path, .. } => Answer::Sender(self.sender(reverse_path).await),
            Ask::Recipient { forward_path, size } => {
                Answer::Recipient(self.recipient(forward_path, size).await)
            }
            Ask::Deliver(envelope) => Answer::Delivered(self.deliver(envelope, wire).await),
        }
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
