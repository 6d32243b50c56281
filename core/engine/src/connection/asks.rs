//! What all protocols share in answering their sessions: the spool, the open body, the account.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use futures_util::StreamExt;
use postrider_protocol::line::{Counted, Data, DotStuffer, Newlines, Piece, Progress, without_nul};
use postrider_protocol::sasl::{Credentials, Verdict};
use postrider_protocol::session::{
    Action, Framing, Input, Receive, ReceiveFault, Received, Session, SpoolStart,
};
use postrider_storage::blob::BlobStream;
use postrider_storage::index::{Account, BlobRef, MailboxId, Uid};

use super::ahead::{self, Ahead, Following, Place};
use super::body::{Chunks, OpenBody};
use super::meter;
use super::signals::Signals;
use super::wire::{Broken, End, Wire};
use crate::actor::{ByteCount, Taker};
use crate::auth::Attempt;
use crate::blob::Spool;
use crate::engine::{Entry, Services};
use crate::limits::{self, Limit};
use crate::net::limit::Permit;

/// How a protocol's questions are answered. One value a connection.
pub(crate) trait Asks: Send + Unpin + 'static {
    /// The session that asks.
    type Session: Session<Ask: Send + 'static, Answer: 'static> + Send + Unpin + 'static;

    /// Answers one question.
    async fn answer(
        &mut self,
        ask: <Self::Session as Session>::Ask,
        wire: &mut Wire,
    ) -> <Self::Session as Session>::Answer;

    /// What the connection has on its desk.
    fn desk(&mut self) -> &mut Desk;

    /// Name of the command that the session began last, for metrics.
    fn command(session: &Self::Session) -> &'static str;

    /// TLS stands.
    fn secured(&mut self, _: &Wire) {}

    /// The connection is over.
    async fn closed(&mut self) {}

    /// A line has come.
    fn heard(&mut self) {
        self.desk().heard();
    }

    /// All that the line asked for is done.
    fn answered(&mut self, session: &Self::Session) {
        self.desk().answered(Self::command(session));
    }

    /// Reads what the session wants, all of it, whatever becomes of it.
    async fn receive(
        &mut self,
        wire: &mut Wire,
        session: &mut Self::Session,
        receive: Receive,
    ) -> Result<Vec<Action<<Self::Session as Session>::Ask>>, Broken> {
        if let Receive::Literal { octets } = receive {
            let literal = read_literal(wire, octets).await?;
            return Ok(match wire.end() {
                None => session.on(Input::Literal(&literal)),
                Some(_) => Vec::new(),
            });
        }
        let received = self.desk().receive(wire, receive).await?;
        Ok(match wire.end() {
            None => session.on(Input::Received(received)),
            Some(_) => Vec::new(),
        })
    }

    /// Streams the open body to the peer.
    async fn send(
        &mut self,
        wire: &mut Wire,
        offset: u64,
        octets: u64,
        framing: Framing,
    ) -> Result<(), Broken> {
        self.desk().send(wire, offset, octets, framing).await
    }
}

/// What a connection holds for its session.
pub(crate) struct Desk {
    pub services: Services,
    pub signals: Signals,
    pub permit: Permit,
    /// The account that logged in, without its password.
    pub account: Option<Box<Account>>,
    /// Its place among the account's sessions.
    entry: Option<Entry>,
    /// Whose memory a message takes while it is in flight.
    pub taker: Taker,
    /// The message being received.
    pub spool: Option<Box<Spool>>,
    /// The body being sent.
    pub body: Option<OpenBody>,
    /// Bodies that are likely to be sent next.
    pub ahead: Option<Box<Ahead>>,
    /// Octets of that body which the store has begun to hand out.
    begun: Option<(Range<u64>, BlobStream)>,
    newlines: Newlines,
    heard: Option<Instant>,
    /// Name of the service, for logs and metrics.
    pub service: &'static str,
}

/// Sizes of a message after which one that has not ended is not listened to any longer.
pub(crate) const ENDLESS: u64 = 16;

impl Desk {
    /// An empty desk.
    pub fn new(
        services: Services,
        service: &'static str,
        signals: Signals,
        permit: Permit,
    ) -> Self {
        let most = ByteCount::bytes(services.config.limits.message_size.0.saturating_mul(2));
        Self {
            taker: services.budget.taker(most),
            services,
            signals,
            permit,
            account: None,
            entry: None,
            spool: None,
            body: None,
            ahead: None,
            begun: None,
            newlines: Newlines::default(),
            heard: None,
            service,
        }
    }

    /// A line has come.
    pub fn heard(&mut self) {
        self.heard = Some(Instant::now());
    }

    /// All that a line asked for is done.
    pub fn answered(&mut self, command: &'static str) {
        if let Some(heard) = self.heard.take() {
            meter::command(self.service, command, heard.elapsed());
        }
    }

    /// Judges credentials, and takes the account's place among its connections.
    pub async fn authenticate(&mut self, credentials: Credentials, wire: &mut Wire) -> Verdict {
        let attempt = Attempt {
            credentials,
            peer: wire.peer().clone(),
            protocol: self.service,
        };
        let account = match self.services.auth.authenticate(attempt).await {
            Ok(account) => account,
            Err(verdict) => return verdict,
        };
        if let Err(refused) = self.permit.log_in(&account.email) {
            tracing::info!(account = %account.email, %refused, "login refused");
            return Verdict::Throttled;
        }
        wire.logged_in();
        let verdict = Verdict::Granted {
            account: account.email.clone(),
        };
        self.entry = Some(self.services.sessions.logged_in(&account, &self.signals));
        self.account = Some(Box::new(Account {
            password: None,
            ..account
        }));
        verdict
    }

    async fn receive(&mut self, wire: &mut Wire, receive: Receive) -> Result<Received, Broken> {
        match receive {
            Receive::Literal { .. } => unreachable!("read by the caller"),
            Receive::Discard { octets } => {
                let mut counted = Counted::new(octets);
                pump(wire, |input| counted.next(input), async |_| {}).await
            }
            Receive::Spool { octets, spool } => {
                if spool == SpoolStart::Fresh {
                    self.newlines = Newlines::default();
                }
                let mut spool = self.open_spool(spool);
                let mut counted = Counted::checked(octets, self.newlines);
                let keep = async |piece: bytes::Bytes| spool.append(&piece).await;
                let received = pump(wire, |input| counted.next(input), keep).await?;
                self.newlines = counted.newlines().unwrap_or_default();
                Ok(self.close_spool(spool, received))
            }
            Receive::Binary { octets, spool } => {
                self.newlines = Newlines::default();
                let mut spool = self.open_spool(spool);
                let mut counted = Counted::new(octets);
                let keep = async |piece: bytes::Bytes| spool.append(&piece).await;
                let received = pump(wire, |input| counted.next(input), keep).await?;
                Ok(self.close_spool(spool, received))
            }
            Receive::Data { limit } => {
                self.newlines = Newlines::default();
                let mut spool = self.open_spool(SpoolStart::Fresh);
                let mut data = Data::new(limit);
                let keep = async |piece: bytes::Bytes| spool.append(&piece).await;
                let most = limit.saturating_mul(ENDLESS);
                let received = pump_at_most(most, wire, |input| data.next(input), keep).await?;
                Ok(self.close_spool(spool, received))
            }
        }
    }

    /// Whether the last chunk of the spool ended with a CR that no LF follows: what is refused inside of a message is refused at its
    /// end, where the next server would put the LF of its own line end behind it.
    pub fn ends_bare(&self) -> bool {
        self.newlines.end()
    }

    fn open_spool(&mut self, start: SpoolStart) -> Box<Spool> {
        // Who waits for memory holds none.
        self.ahead = None;
        let open = self.spool.take();
        match (start, open) {
            (SpoolStart::Append, Some(spool)) => spool,
            _ => Box::new(self.fresh_spool()),
        }
    }

    /// An empty spool on the account of this connection.
    pub fn fresh_spool(&self) -> Spool {
        let patience = self.services.config.deadlines.answer;
        self.services.spools.begin(&self.taker, patience)
    }

    fn close_spool(&mut self, spool: Box<Spool>, received: Received) -> Received {
        let octets = spool.octets();
        let failed = spool.fault().map(|error| {
            tracing::warn!(%error, "cannot spool a message");
            ReceiveFault::Spool
        });
        let fault = received.fault.or(failed);
        // What is of no use takes no room, neither in memory nor on the disk.
        self.spool = fault.is_none().then_some(spool);
        Received { octets, fault }
    }

    /// Whether the next body is likely to be in memory.
    pub fn at_hand(&self) -> bool {
        self.ahead.as_ref().is_some_and(|ahead| ahead.at_hand())
    }

    /// Opens the body of a message that was asked for whole, or nearly so: octets of `range` will be sent first. Its octets in all; none
    /// if the message is gone.
    ///
    /// # Errors
    /// Those of the index and the store.
    pub async fn open(
        &mut self,
        mailbox: MailboxId,
        uid: Uid,
        range: Range<u64>,
        following: Following<'_>,
    ) -> Result<Option<u64>, postrider_storage::Error> {
        // The body before is sent; its memory may be what this one needs.
        self.body = None;
        let known = match &mut self.ahead {
            None => None,
            Some(ahead) => {
                let find = ahead.find(&self.services, &self.taker, mailbox, uid, following);
                find.await
            }
        };
        let blob = match known {
            Some(Place::Here(octets, share)) => {
                let size = octets.len() as u64;
                self.body = Some(OpenBody::Made {
                    octets,
                    _share: share,
                });
                return Ok(Some(size));
            }
            Some(Place::There(blob)) => blob,
            None => {
                let index = &self.services.index;
                let uids = [uid];
                let found = index.read(|index| index.blobs(mailbox, &uids)).await?;
                let Some((_, blob)) = found.into_iter().next() else {
                    return Ok(None);
                };
                // A client that looks at a part of each message is not helped by all of them.
                let most = range.end.saturating_sub(range.start) >= blob.size / 2;
                self.ahead = most.then(|| Box::new(Ahead::after(mailbox, uid)));
                if most && let Some(size) = self.take_in(&blob).await? {
                    return Ok(Some(size));
                }
                blob
            }
        };
        let size = blob.size;
        let range = range.start.min(size)..range.end.min(size);
        self.begin(blob, range).await?;
        Ok(Some(size))
    }

    /// Opens a small body by reading all of it, if there is memory now: a stream costs more than its octets.
    async fn take_in(&mut self, blob: &BlobRef) -> Result<Option<u64>, postrider_storage::Error> {
        let size = ByteCount::bytes(blob.size);
        if blob.size > ahead::BODY {
            return Ok(None);
        }
        let Ok(share) = self.taker.try_take(size) else {
            return Ok(None);
        };
        let bodies = vec![(blob.key.clone(), blob.size)];
        let read = self.services.blobs.get_all(bodies, self.deadline()).await?;
        let Some(octets) = read.into_iter().next() else {
            return Ok(None);
        };
        self.body = Some(OpenBody::Made {
            octets: octets?,
            _share: Arc::new(share),
        });
        Ok(Some(blob.size))
    }

    /// By when the store must have answered.
    pub fn deadline(&self) -> tokio::time::Instant {
        tokio::time::Instant::now() + self.services.config.deadlines.answer
    }

    /// Opens a body and waits for its first octets, so that nobody announces one that cannot be read.
    async fn begin(
        &mut self,
        blob: BlobRef,
        range: Range<u64>,
    ) -> Result<(), postrider_storage::Error> {
        if range.is_empty() {
            self.body = Some(OpenBody::Stored(blob));
            return Ok(());
        }
        let deadline = self.deadline();
        let get = self.services.blobs.get(&blob.key, range.clone(), deadline);
        let mut rest = get.await?;
        let first = rest.next().await;
        if let Some(Err(error)) = first {
            return Err(error);
        }
        let octets = futures_util::stream::iter(first).chain(rest).boxed();
        self.begun = Some((range, octets));
        self.body = Some(OpenBody::Stored(blob));
        Ok(())
    }

    /// Streams the open body to the peer.
    pub async fn send(
        &mut self,
        wire: &mut Wire,
        offset: u64,
        octets: u64,
        framing: Framing,
    ) -> Result<(), Broken> {
        let mut stuffer = match framing {
            Framing::Counted | Framing::Literal => None,
            Framing::DotStuffed { body_lines } => Some(DotStuffer::new(body_lines)),
        };
        let mut stuffed = BytesMut::new();
        let mut left = octets;
        let mut chunks = match self.body.as_ref() {
            None => return Err(Broken::Body("no body is open".into())),
            Some(OpenBody::Made { octets: made, .. }) => {
                let end = offset.saturating_add(octets).min(made.len() as u64);
                let piece = made.slice(offset.min(end) as usize..end as usize);
                Chunks::One(Some(piece))
            }
            Some(OpenBody::Stored(blob)) => {
                let range = offset..offset + octets;
                match self.begun.take().filter(|(begun, _)| *begun == range) {
                    Some((_, begun)) => Chunks::Many(begun),
                    None => {
                        let get = self.services.blobs.get(&blob.key, range, self.deadline());
                        let stream = get.await;
                        Chunks::Many(stream.map_err(|error| Broken::Body(error.to_string()))?)
                    }
                }
            }
        };
        while left > 0 {
            let Some(chunk) = chunks.next().await? else {
                return Err(Broken::Body("ended early".into()));
            };
            left = left.saturating_sub(chunk.len() as u64);
            let Some(stuffer) = stuffer.as_mut() else {
                match framing {
                    Framing::Literal => wire.write(&without_nul(&chunk)).await?,
                    _ => wire.write(&chunk).await?,
                }
                continue;
            };
            stuffed.clear();
            let progress = stuffer.encode(&chunk, &mut stuffed);
            wire.write(&stuffed).await?;
            if progress == Progress::Enough {
                break;
            }
        }
        if let Some(stuffer) = stuffer {
            stuffed.clear();
            stuffer.finish(&mut stuffed);
            wire.write(&stuffed).await?;
        }
        Ok(())
    }
}

/// Moves octets from the wire through a decoder to `keep`, until the decoder has seen the end.
async fn pump(
    wire: &mut Wire,
    decode: impl FnMut(&mut BytesMut) -> Piece,
    keep: impl AsyncFnMut(bytes::Bytes),
) -> Result<Received, Broken> {
    pump_at_most(u64::MAX, wire, decode, keep).await
}

/// The same for a peer that has not said how many octets come.
async fn pump_at_most(
    most: u64,
    wire: &mut Wire,
    mut decode: impl FnMut(&mut BytesMut) -> Piece,
    mut keep: impl AsyncFnMut(bytes::Bytes),
) -> Result<Received, Broken> {
    let mut flow = wire.flow();
    let (before, _) = wire.octets();
    loop {
        match decode(wire.input()) {
            Piece::Keep(octets) => {
                keep(octets).await;
            }
            Piece::End(received) => {
                wire.release();
                return Ok(received);
            }
            Piece::More => {
                if wire.octets().0 - before > most {
                    limits::reached(Limit::Literal);
                    return Err(Broken::Body("without end".into()));
                }
                if !wire.fill(&mut flow).await? {
                    // The peer went in the middle; there is nobody to answer.
                    debug_assert_eq!(wire.end(), Some(End::Gone));
                    return Ok(Received {
                        octets: 0,
                        fault: Some(ReceiveFault::Spool),
                    });
                }
            }
        }
    }
}

async fn read_literal(wire: &mut Wire, octets: usize) -> Result<Vec<u8>, Broken> {
    let mut literal = Vec::new();
    let mut counted = Counted::new(octets as u64);
    pump(
        wire,
        |input| counted.next(input),
        async |piece| literal.extend_from_slice(&piece),
    )
    .await?;
    Ok(literal)
}
