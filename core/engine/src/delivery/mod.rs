//! Local delivery: from a spooled message and its envelope to rows and bodies in the accounts' mailboxes.
//!
//! The order is that of I1 and I2: filters, then one body for each account in the store, confirmed and durable, then the rows,
//! then the answer. What other systems wrote into the message for themselves (Return-Path, and at submission Bcc) went before
//! ([`tidy`]). Over SMTP the rows of all recipients are one change, all or none, because one answer speaks for all; over LMTP
//! each recipient stands alone.
//!
//! A list over SMTP with a full member is refused as a whole, and for now (452): there is no queue that could try the one again, so
//! who would get a yes for the others would lose the one, and who got a copy now would get another with each retry. Where the
//! client says how large the message is, the list alone is refused, at its RCPT.
//!
//! **On failure.** What the index refuses to name goes from the store at once, so that a sender who comes again for days leaves nothing,
//! and `fsck` has nothing to make a message of. Bodies without a row whose outcome is unknown are left for `fsck`. Everything that is
//! our own trouble is temporary (I8).

mod keep;
pub(crate) mod tidy;
pub(crate) mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use postrider_protocol::message::Address;
use postrider_protocol::message::mime::Limits;
use postrider_protocol::message::received::hops;
use postrider_protocol::smtp::ask::{Delivered, Envelope};
use postrider_storage::Error;
use postrider_storage::blob::BlobMeta;
use postrider_storage::index::{
    Account, AccountId, Append, AppendAll, Flags, INBOX, MailboxId, NewBlob, Timestamp,
};

use self::keep::keys;
use crate::actor::Taker;
use crate::blob::{BlobPool, Spooled};
use crate::clock;
use crate::directory::Target;
use crate::filter::{Chain, Message, Verdict};
use crate::index::IndexPool;
use crate::mailbox::Mailboxes;
use crate::net::peer::Peer;
use crate::telemetry::metrics::{DELIVERY_SECONDS, RECIPIENTS};

/// Octets at the beginning of a message in which its trace fields are looked for.
pub(crate) const HEADER: usize = 256 * 1024;

/// Copies of a message that are written at a time; the deadline of each runs from its turn.
pub(crate) const AT_ONCE: usize = 16;

/// Recipients that a message is delivered to at a time, where each has its own answer.
pub(crate) const EACH_AT_ONCE: usize = 8;

/// Whether recipients share one answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answers {
    /// SMTP: one for all. All get the message, or none does.
    One,
    /// LMTP: one each.
    Each,
}

/// A message on its way in.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Who brings it.
    pub peer: &'a Peer,
    /// For whom.
    pub envelope: &'a Envelope,
    /// Where its forward-paths lead, in their order.
    pub recipients: &'a [Recipient],
    /// The octets.
    pub spooled: &'a Spooled,
    /// Whose memory it takes.
    pub taker: &'a Taker,
    /// The account that submits it; none for mail from outside.
    pub submitter: Option<&'a Account>,
    /// Whether recipients share one answer.
    pub answers: Answers,
    /// What the sender gets if the message is delivered, and in the same change; only where recipients share one answer.
    pub report: Option<&'a Report>,
}

/// A report of the delivery that the sender asked for (RFC 3461 section 4.1).
#[derive(Debug)]
pub struct Report {
    /// The whole message.
    pub spooled: Spooled,
    /// Who gets it.
    pub targets: Vec<Target>,
    /// The sender's address.
    pub to: String,
}

/// A recipient and the accounts it leads to.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The forward-path; `None` is `<Postmaster>`.
    pub path: Option<Address>,
    /// Who gets the message.
    pub targets: Vec<Target>,
}

impl Recipient {
    fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.targets.iter().map(|target| target.account.id)
    }

    fn name(&self) -> String {
        let path = self.path.as_ref();
        path.map_or_else(|| "postmaster".to_owned(), ToString::to_string)
    }
}

/// Delivers into local mailboxes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Delivery {
    hostname: String,
    hops: usize,
    patience: Duration,
    index: IndexPool,
    blobs: BlobPool,
    mailboxes: Mailboxes,
    filters: Chain,
    limits: Limits,
}

/// Who gets a message, each account once, and the recipient that led to it.
type Targets<'a> = BTreeMap<AccountId, (&'a Target, &'a Recipient)>;

/// One account's copy, ready to be appended.
struct Copy {
    mailbox: MailboxId,
    append: Append,
}

impl Delivery {
    /// A delivery over the engine's parts.
    pub fn new(
        hostname: String,
        hops: usize,
        patience: Duration,
        index: IndexPool,
        blobs: BlobPool,
        mailboxes: Mailboxes,
        filters: Chain,
    ) -> Self {
        Self {
            hostname,
            hops,
            patience,
            index,
            blobs,
            mailboxes,
            filters,
            limits: Limits::default(),
        }
    }

    /// Takes messages apart within these limits.
    pub fn reading(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Delivers a message: one outcome for each forward-path, in order.
    pub async fn deliver(&self, incoming: &Incoming<'_>) -> Vec<Delivered> {
        let began = Instant::now();
        let outcomes = self.outcomes(incoming).await;
        metrics::histogram!(DELIVERY_SECONDS).record(began.elapsed().as_secs_f64());
        for (recipient, outcome) in incoming.recipients.iter().zip(&outcomes) {
            let outcome = label(*outcome);
            metrics::counter!(RECIPIENTS, "outcome" => outcome).increment(1);
            tracing::info!(
                peer = %incoming.peer,
                outcome,
                octets = incoming.spooled.octets(),
                from = %sender(incoming.envelope),
                to = %recipient.name(),
                "delivery"
            );
        }
        outcomes
    }

    async fn outcomes(&self, incoming: &Incoming<'_>) -> Vec<Delivered> {
        let count = incoming.recipients.len();
        let all = |outcome| vec![outcome; count];
        let header = match incoming.spooled.head(HEADER).await {
            Ok(header) => header,
            Err(error) => {
                tracing::error!(%error, "cannot read the spool back");
                return all(Delivered::Unavailable);
            }
        };
        if hops(&header) > self.hops {
            return all(Delivered::Loop);
        }
        let message = Message {
            peer: incoming.peer,
            envelope: incoming.envelope,
            submitter: incoming.submitter.map(|account| account.email.as_str()),
            spooled: incoming.spooled,
        };
        let added = match self.filters.check(&message).await {
            Verdict::Accept { header } => header,
            Verdict::Reject => return all(Delivered::Rejected),
            Verdict::Defer => return all(Delivered::Unavailable),
        };
        match incoming.answers {
            Answers::Each => self.each(incoming, &header, &added).await,
            Answers::One => all(self.together(incoming, &header, &added).await),
        }
    }

    /// One answer for all recipients.
    async fn together(&self, incoming: &Incoming<'_>, header: &Bytes, added: &[u8]) -> Delivered {
        let mut targets = Targets::new();
        for recipient in incoming.recipients {
            for target in &recipient.targets {
                let id = target.account.id;
                targets.entry(id).or_insert((target, recipient));
            }
        }
        self.append(incoming, header, added, &targets).await
    }

    /// Each recipient alone; an account that several of them lead to gets one copy. Who hears "later" for a list sends to the whole
    /// list again: so its accounts all get the message, or none does.
    async fn each(&self, incoming: &Incoming<'_>, header: &Bytes, added: &[u8]) -> Vec<Delivered> {
        // Who shares an account with one before waits until that one's outcome is known; nobody else waits for anybody.
        let mut claimed: BTreeSet<AccountId> = BTreeSet::new();
        let (alone, later): (Vec<_>, Vec<_>) =
            incoming.recipients.iter().enumerate().partition(|(_, it)| {
                let free = it.accounts().all(|account| !claimed.contains(&account));
                claimed.extend(it.accounts());
                free
            });
        let deliveries = alone.into_iter().map(async |(place, recipient)| {
            let targets = open_targets(recipient, &BTreeSet::new());
            let outcome = self.append(incoming, header, added, &targets).await;
            (place, recipient, outcome)
        });
        let mut deliveries = stream::iter(deliveries).buffer_unordered(EACH_AT_ONCE);
        let mut outcomes = vec![Delivered::Unavailable; incoming.recipients.len()];
        let mut done: BTreeSet<AccountId> = BTreeSet::new();
        while let Some((place, recipient, outcome)) = deliveries.next().await {
            if outcome == Delivered::Accepted {
                done.extend(recipient.accounts());
            }
            outcomes[place] = outcome;
        }
        for (place, recipient) in later {
            let open = open_targets(recipient, &done);
            outcomes[place] = match open.is_empty() {
                true => Delivered::Accepted,
                false => self.append(incoming, header, added, &open).await,
            };
            if outcomes[place] == Delivered::Accepted {
                done.extend(recipient.accounts());
            }
        }
        outcomes
    }

    /// One change for all these accounts, all or none.
    async fn append(
        &self,
        incoming: &Incoming<'_>,
        header: &Bytes,
        added: &[u8],
        targets: &Targets<'_>,
    ) -> Delivered {
        let copies = targets.values().map(|(target, recipient)| {
            self.prepare(incoming, header, added, target, recipient.name())
        });
        let copies: Result<Vec<Copy>, Error> =
            stream::iter(copies).buffered(AT_ONCE).try_collect().await;
        let copies = match copies {
            Ok(copies) => copies,
            Err(error) => return failed(&error),
        };
        // Nobody got it, so nobody has it.
        if copies.is_empty() {
            return failed(&Error::Corrupt("recipient without account".into()));
        }
        let mailboxes: Vec<MailboxId> = copies.iter().map(|copy| copy.mailbox).collect();
        let appends: Vec<Append> = copies.into_iter().map(|copy| copy.append).collect();
        let bodies = keys(&appends);
        let appended = match self.reports(incoming).await {
            reports if reports.is_empty() => self.commit(appends).await,
            reports => {
                let all = appends.iter().chain(&reports).cloned().collect();
                match self.settled(self.commit(all).await, keys(&reports)).await {
                    // Whoever has no room: a message is not refused because its report finds none.
                    Err(Error::OverQuota { .. }) => self.commit(appends).await,
                    appended => {
                        let inboxes = reports.iter().map(|report| report.mailbox);
                        inboxes.for_each(|inbox| self.mailboxes.notice(inbox));
                        appended
                    }
                }
            }
        };
        match self.settled(appended, bodies).await {
            Ok(()) => {
                mailboxes
                    .iter()
                    .for_each(|mailbox| self.mailboxes.notice(*mailbox));
                Delivered::Accepted
            }
            Err(error) => failed(&error),
        }
    }

    async fn commit(&self, mut appends: Vec<Append>) -> Result<(), Error> {
        if appends.len() == 1
            && let Some(append) = appends.pop()
        {
            return self.index.append(append).await.map(drop);
        }
        self.index.append_all(AppendAll { appends }).await.map(drop)
    }

    /// The sender's report as changes; its body lies in the store. What cannot be written now is left out: the message matters more.
    async fn reports(&self, incoming: &Incoming<'_>) -> Vec<Append> {
        let mut appends = Vec::new();
        let Some(report) = incoming.report else {
            return appends;
        };
        for Target { account, inbox } in &report.targets {
            let now = clock::now();
            let meta = BlobMeta {
                account: account.email.clone(),
                mailbox: INBOX.into(),
                internal_date: now.0,
                sender: String::new(),
                recipient: report.to.clone(),
            };
            let kept = self.keep(Bytes::new(), &report.spooled, incoming.taker, &meta, now);
            match kept.await {
                Ok(blob) => appends.push(append(account.id, *inbox, blob, now)),
                Err(error) => tracing::warn!(%error, to = %report.to, "no delivery report"),
            }
        }
        appends
    }

    /// Writes an account's body and makes the change that will name it.
    async fn prepare(
        &self,
        incoming: &Incoming<'_>,
        header: &Bytes,
        added: &[u8],
        target: &Target,
        to: String,
    ) -> Result<Copy, Error> {
        let Target { account, inbox } = target;
        let now = clock::now();
        let prefix = trace::prefix(&self.hostname, incoming, header, added, now);
        let meta = BlobMeta {
            account: account.email.clone(),
            mailbox: INBOX.into(),
            internal_date: now.0,
            sender: sender(incoming.envelope),
            recipient: to,
        };
        let blob = self
            .keep(prefix, incoming.spooled, incoming.taker, &meta, now)
            .await?;
        Ok(Copy {
            mailbox: *inbox,
            append: append(account.id, *inbox, blob, now),
        })
    }
}

/// A new message.
fn append(account: AccountId, mailbox: MailboxId, blob: NewBlob, now: Timestamp) -> Append {
    Append {
        account,
        mailbox,
        blob,
        flags: Flags::default(),
        keywords: Vec::new(),
        internal_date: now,
        now,
    }
}

/// Whom a recipient leads to, but those that have the message.
fn open_targets<'a>(recipient: &'a Recipient, done: &BTreeSet<AccountId>) -> Targets<'a> {
    let targets = recipient.targets.iter();
    let open = targets.filter(|target| !done.contains(&target.account.id));
    open.map(|target| (target.account.id, (target, recipient)))
        .collect()
}

/// The outcome of an append that failed.
fn failed(error: &Error) -> Delivered {
    match error {
        Error::OverQuota { .. } => Delivered::Full,
        // Also for what is not there: RCPT found it, and if it has gone RCPT says so when the message comes again (I8).
        error => {
            tracing::warn!(%error, "cannot deliver");
            Delivered::Unavailable
        }
    }
}

fn sender(envelope: &Envelope) -> String {
    let reverse_path = envelope.reverse_path.as_ref();
    reverse_path.map(ToString::to_string).unwrap_or_default()
}

fn label(outcome: Delivered) -> &'static str {
    match outcome {
        Delivered::Accepted => "accepted",
        Delivered::Full => "full",
        Delivered::Unknown => "unknown",
        Delivered::Loop => "loop",
        Delivered::Rejected => "rejected",
        Delivered::Unfit => "unfit",
        Delivered::Unavailable => "unavailable",
    }
}

#[cfg(test)]
mod tests;
