//! One connection of any protocol: an actor whose one future owns socket and session.
//!
//! The connection has no opinion. It frames what comes in, hands it to the session, and does in order what the session
//! says. One step runs at a time, so a slow answer stops the reading and TCP slows the peer down. The actor's own queue is
//! for what comes from outside and never waits for the step: drain, revoke.
//!
//! A session whose account lost its right to be here is told so before its next line, question or literal; what it is in the
//! middle of has [`GRACE`], then the connection is cut.
//!
//! **Invariants.** I1: an answer of the session is written after the ask that it follows. I7: bytes held are the session's
//! line limit, one read buffer while there is something to read, and what the spool takes from the memory budget.
//! **On failure.** A connection is closed, never restarted. A panic ends it and nothing else.

mod ahead;
mod asks;
mod body;
mod imap;
mod meter;
mod pop3;
mod signals;
mod smtp;
mod wire;

use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use tracing::Instrument;

use postrider_protocol::session::{Action, Input, Patience, Session};

use crate::actor::{Drain, Work};
use crate::limits;

#[cfg(test)]
pub(crate) use self::asks::ENDLESS;
pub(crate) use self::asks::{Asks, Desk};
pub(crate) use self::imap::ImapAsks;
pub(crate) use self::pop3::Pop3Asks;
pub(crate) use self::signals::Heed;
pub use self::signals::Signals;
pub(crate) use self::smtp::SmtpAsks;
pub(crate) use self::wire::{Deadlines, Wire};
use self::wire::{End, Event};

/// A connection as an actor.
pub(crate) struct Connection<A: Asks> {
    signals: Signals,
    /// Boxed, because it is handed on several times before it comes to rest, and each place would keep its room.
    parts: Option<Box<Parts<A>>>,
    span: tracing::Span,
    drain: Drain,
    /// The stage of connections waits for this.
    work: Option<Work>,
}

/// What the connection's future owns.
pub(crate) struct Parts<A: Asks> {
    /// The peer.
    pub wire: Wire,
    /// What it may say and what that means.
    pub session: A::Session,
    /// Who answers the session's questions.
    pub asks: A,
}

impl<A: Asks> Connection<A> {
    /// A connection that begins when its actor starts.
    pub fn new(
        parts: Parts<A>,
        signals: Signals,
        span: tracing::Span,
        drain: Drain,
        work: Work,
    ) -> Self {
        Self {
            signals,
            parts: Some(Box::new(parts)),
            span,
            drain,
            work: Some(work),
        }
    }
}

impl<A: Asks> Actor for Connection<A> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let Some(parts) = self.parts.take() else {
            return context.stop();
        };
        let (drain, work) = (self.drain.clone(), self.work.take());
        let signals = self.signals.clone();
        let live = async move {
            // A drain is one more mark, until its time is up.
            let marker = signals.clone();
            let end = async {
                drain.begun().await;
                marker.drain();
                drain.over().await;
            };
            tokio::select! {
                () = serve(parts, signals) => {}
                () = end => tracing::info!("connection cut"),
            }
            drop(work);
        };
        let live = live.instrument(self.span.clone());
        context.spawn(live.into_actor(self).map(|(), _, context| context.stop()));
    }
}

/// Drives a session until one side closes.
///
/// Most connections are silent most of the time, and this future is what each of them keeps: what they do now and then (answers, bodies, a
/// handshake) is boxed while it lasts.
pub(crate) async fn serve<A: Asks>(mut parts: Box<Parts<A>>, signals: Signals) {
    let overdue = async {
        signals.ended().await;
        Box::pin(tokio::time::sleep(GRACE)).await;
    };
    let end = tokio::select! {
        end = converse(&mut parts, &signals) => end,
        () = overdue => Err(wire::Broken::Revoked),
    };
    let Parts { wire, asks, .. } = &mut *parts;
    Box::pin(asks.closed()).await;
    let (received, sent) = wire.octets();
    meter::octets(asks.desk().service, received, sent);
    match end {
        Ok(End::Said) => {
            Box::pin(wire.close()).await;
            tracing::debug!(received, sent, "connection closed");
        }
        Ok(End::Gone) => tracing::debug!(received, sent, "peer closed the connection"),
        Err(error) => {
            if error.is_too_slow() {
                meter::timeout(asks.desk().service);
            }
            tracing::info!(received, sent, %error, "connection broke");
        }
    }
}

/// A client that waits holds the room of what it waits in; so what is done between two waits is boxed.
async fn converse<A: Asks>(parts: &mut Parts<A>, signals: &Signals) -> Result<End, wire::Broken> {
    let mut actions = match Box::pin(parts.wire.hasty()).await? {
        true => parts.session.on_hasty(),
        false => parts.session.on(Input::Open),
    };
    loop {
        match Box::pin(perform(parts, signals, actions)).await? {
            Performed::Closed => return Ok(End::Said),
            Performed::Answered(next) => actions = next,
            Performed::Done => {
                let Parts {
                    wire,
                    session,
                    asks,
                } = parts;
                asks.answered(session);
                actions = listen(wire, session, signals, asks).await?;
            }
        }
        if matches!(parts.wire.end(), Some(End::Gone)) {
            return Ok(End::Gone);
        }
    }
}

type Actions<A> = Vec<Action<<<A as Asks>::Session as Session>::Ask>>;

/// What came of a batch of actions.
enum Performed<T> {
    /// The session has said goodbye.
    Closed,
    /// It goes on at once, with these.
    Answered(T),
    /// It waits for its peer.
    Done,
}

/// Does what the session says, in order.
async fn perform<A: Asks>(
    parts: &mut Parts<A>,
    signals: &Signals,
    actions: Actions<A>,
) -> Result<Performed<Actions<A>>, wire::Broken> {
    let Parts {
        wire,
        session,
        asks,
    } = parts;
    let mut next = None;
    for action in actions {
        debug_assert!(
            next.is_none(),
            "what brings an answer is the last of its batch"
        );
        match action {
            Action::Write(octets) => wire.write(&octets).await?,
            Action::Send {
                offset,
                octets,
                framing,
            } => asks.send(wire, offset, octets, framing).await?,
            Action::Ask(ask) => {
                let input = match signals.take(Heed::Revoked) {
                    Some(_) => Input::Revoked,
                    None => Input::Answer(Box::pin(asks.answer(ask, wire)).await),
                };
                next = Some(session.on(input));
            }
            Action::Receive(receive) => {
                next = Some(Box::pin(asks.receive(wire, session, receive)).await?);
            }
            Action::StartTls => {
                Box::pin(wire.start_tls()).await?;
                asks.secured(wire);
                next = Some(session.on(Input::Secured));
            }
            Action::Resume => {
                // What has gathered need not go out alone when the next answer is at hand: it is written when it is much.
                if !asks.desk().at_hand() {
                    wire.flush().await?;
                }
                next = Some(session.on(Input::Resume));
            }
            Action::Close => {
                session.reached().into_iter().for_each(limits::reached);
                return Ok(Performed::Closed);
            }
        }
    }
    if let Some(limit) = session.reached() {
        limits::reached(limit);
    }
    Ok(next.map_or(Performed::Done, Performed::Answered))
}

/// Waits for whatever comes next while the session asks for nothing.
async fn listen<A: Asks>(
    wire: &mut Wire,
    session: &mut A::Session,
    signals: &Signals,
    asks: &mut A,
) -> Result<Vec<Action<<A::Session as Session>::Ask>>, wire::Broken> {
    // A body belongs to the command that opened it; a silent peer holds no memory for it.
    asks.desk().body = None;
    let (limit, patience) = (session.line_limit(), session.patience());
    let mut event = None;
    if asks.desk().ahead.is_some() && wire.input().is_empty() {
        // Nothing may be lost when the waiting below is cut short.
        wire.flush().await?;
        let soon = wire.event(limit, patience, signals);
        match Box::pin(tokio::time::timeout(ahead::SILENCE, soon)).await {
            Ok(came) => event = Some(came?),
            Err(_) => asks.desk().ahead = None,
        }
    }
    let event = match event {
        Some(event) => event,
        None => wire.event(limit, patience, signals).await?,
    };
    Ok(match event {
        Event::Line(line) => {
            asks.heard();
            match wire.input().is_empty() {
                true => session.on(Input::Line(&line)),
                false => session.on_pipelined(&line),
            }
        }
        Event::Broken(fault, ends) => session.on_broken_line(fault, &ends),
        Event::Changed => session.on(Input::Changed),
        Event::Revoked => session.on(Input::Revoked),
        Event::Drain => session.on(Input::Drain),
        Event::TimedOut => {
            meter::timeout(asks.desk().service);
            session.on(Input::TimedOut)
        }
        Event::Closed => Vec::new(),
    })
}

/// How long what a session is in the middle of may take once its account has lost its right to be here.
const GRACE: Duration = Duration::from_secs(2);
/// How long a peer that is told goodbye may go on sending before the socket is closed under it.
const LINGER: Duration = Duration::from_secs(2);
/// Octets of it that are thrown away at most: what the buffers of both sides hold.
pub(crate) const UNHEARD: u64 = 8 << 20;

/// What a deadline belongs to.
fn idle_of(patience: Patience, deadlines: &Deadlines) -> Duration {
    match patience {
        Patience::BeforeLogin => deadlines.greeting,
        Patience::Command => deadlines.command,
        Patience::Idle => deadlines.idle,
    }
}
