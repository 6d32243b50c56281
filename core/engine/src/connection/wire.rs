//! The peer's end of a connection: reading in frames, writing with patience.
//!
//! **Bounds.** Text is gathered up to [`GATHER`] before it is written; it is always written before the connection waits for the peer.
//! A line that has begun must be whole in time, a body must flow, a writer must be read from: see [`Deadlines`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use postrider_protocol::line::{Ends, Frame, Framer};
use postrider_protocol::session::{LineFault, Patience};

use super::signals::{Heed, Signal, Signals};
use super::{LINGER, UNHEARD, idle_of};
use crate::net::buffer::ReadBuffer;
use crate::net::deadline::{self, Flow, LineClock, Pace};
use crate::net::peer::Peer;
use crate::net::stream::{StartTlsError, Stream};
use crate::net::tls::Acceptor;

/// Octets of text that are gathered before they are written.
const GATHER: usize = 64 * 1024;

/// How patient a connection is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// For the next line of a client that has not logged in.
    pub greeting: Duration,
    /// From the first octet of a line to its end.
    pub line: Duration,
    /// For the next command.
    pub command: Duration,
    /// For the next command of a client that may be silent for long.
    pub idle: Duration,
    /// From the beginning to the login; none where nobody logs in.
    pub login: Option<Duration>,
    /// How slowly a peer may send a body.
    pub reading: Pace,
    /// How slowly it may read what we say.
    pub writing: Pace,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// The session said goodbye.
    Said,
    /// The peer went.
    Gone,
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The socket failed, or the peer was too slow.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// STARTTLS failed.
    #[error(transparent)]
    StartTls(#[from] StartTlsError),
    /// The session's account went in the middle of something.
    #[error("access ended")]
    Revoked,
    /// A body ended before the octets that were announced.
    #[error("body: {0}")]
    Body(String),
}

impl Broken {
    /// Whether the peer was given up for its slowness.
    pub fn is_too_slow(&self) -> bool {
        matches!(self, Self::Io(error) if deadline::is_too_slow(error))
    }
}

/// What comes while a session waits for its peer.
#[derive(Debug)]
pub(crate) enum Event {
    Line(Bytes),
    Broken(LineFault, Ends),
    Changed,
    Revoked,
    Drain,
    TimedOut,
    Closed,
}

/// The peer's end of a connection.
pub(crate) struct Wire {
    stream: Option<Stream>,
    peer: Peer,
    acceptor: Option<Acceptor>,
    /// Shared with all connections of its listener.
    deadlines: Arc<Deadlines>,
    clock: LineClock,
    input: ReadBuffer,
    framer: Framer,
    output: BytesMut,
    received: u64,
    sent: u64,
    end: Option<End>,
}

impl Wire {
    /// A wire whose PROXY header has been read and whose implicit TLS stands.
    pub fn new(
        stream: Stream,
        peer: Peer,
        acceptor: Option<Acceptor>,
        deadlines: Arc<Deadlines>,
    ) -> Self {
        let clock = match deadlines.login {
            Some(login) => LineClock::before_login(deadlines.greeting, deadlines.line, login),
            None => LineClock::new(deadlines.command, deadlines.line),
        };
        Self {
            stream: Some(stream),
            peer,
            acceptor,
            deadlines,
            clock,
            input: ReadBuffer::new(),
            framer: Framer::default(),
            output: BytesMut::new(),
            received: 0,
            sent: 0,
            end: None,
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Octets received and sent.
    pub fn octets(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// Whether and how the connection has ended.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// The peer has logged in: from now on it may be slower.
    pub fn logged_in(&mut self) {
        self.clock.logged_in();
    }

    /// Whether the peer has spoken already, though nobody has greeted it. Costs it no time.
    pub async fn hasty(&mut self) -> io::Result<bool> {
        if self.input.is_empty() {
            // The runtime looks at its sockets once before this goes on.
            tokio::task::yield_now().await;
            let Some(stream) = self.stream.as_mut() else {
                return Err(io::ErrorKind::NotConnected.into());
            };
            match self.input.read_now(stream) {
                Some(Ok(0)) => self.end = Some(End::Gone),
                Some(read) => self.received += read? as u64,
                None => {}
            }
        }
        Ok(!self.input.is_empty())
    }

    fn stream(&mut self) -> io::Result<&mut Stream> {
        self.stream
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Takes text to be written; writes what has gathered if that is much.
    pub async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        if octets.len() >= GATHER {
            self.flush().await?;
            return Box::pin(self.write_now(octets)).await;
        }
        self.output.extend_from_slice(octets);
        match self.output.len() >= GATHER {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    /// Writes what has gathered.
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut output = std::mem::take(&mut self.output);
        // Boxed, because a client that waits would hold the room for it.
        Box::pin(self.write_now(&output)).await?;
        // There may be more; who waits for the peer gives it back.
        output.clear();
        self.output = output;
        Ok(())
    }

    async fn write_now(&mut self, octets: &[u8]) -> io::Result<()> {
        let pace = self.deadlines.writing;
        let stream = self.stream()?;
        deadline::write_all(stream, octets, pace).await?;
        self.sent += octets.len() as u64;
        Ok(())
    }

    /// Waits for a line or a signal.
    pub async fn event(
        &mut self,
        limit: usize,
        patience: Patience,
        signals: &Signals,
    ) -> Result<Event, Broken> {
        let idle = idle_of(patience, &self.deadlines);
        self.clock.wait(idle);
        loop {
            // Inside of a line, and while there are more, the peer has the word; unless it has no right to it any more.
            let heed = match self.framer.inside_line(self.input.octets()) {
                true => Heed::Revoked,
                false => Heed::All,
            };
            if let Some(signal) = signals.take(heed) {
                return Ok(signal.into());
            }
            let frame = self.framer.next_line(self.input.octets(), limit);
            if let Some(frame) = frame {
                return Ok(match frame {
                    Frame::Line(line) => Event::Line(line),
                    Frame::TooLong => Event::Broken(LineFault::TooLong, self.framer.ends()),
                    Frame::BareNewline => Event::Broken(LineFault::BareNewline, self.framer.ends()),
                });
            }
            self.flush().await?;
            self.output = BytesMut::new();
            if self.framer.inside_line(self.input.octets()) {
                self.clock.begin();
            }
            let deadline = self.clock.deadline();
            // Also for a peer that always has more to say.
            if Instant::now() >= deadline {
                return Ok(Event::TimedOut);
            }
            let Some(stream) = self.stream.as_mut() else {
                return Err(io::Error::from(io::ErrorKind::NotConnected).into());
            };
            let count = tokio::select! {
                biased;
                signal = signals.next(heed) => return Ok(signal.into()),
                read = timeout_at(deadline, self.input.read_from(stream)) => match read {
                    Ok(read) => read?,
                    Err(_) => return Ok(Event::TimedOut),
                },
            };
            self.received += count as u64;
            if count == 0 {
                self.end = Some(End::Gone);
                return Ok(Event::Closed);
            }
        }
    }

    /// More octets of a body behind those that are in the buffer. `false`: the peer closed.
    pub async fn fill(&mut self, flow: &mut Flow) -> io::Result<bool> {
        self.flush().await?;
        self.output = BytesMut::new();
        let Some(stream) = self.stream.as_mut() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let count = flow.next(self.input.read_from(stream)).await??;
        flow.moved(count);
        self.received += count as u64;
        if count == 0 {
            self.end = Some(End::Gone);
        }
        Ok(count > 0)
    }

    /// What was read and not yet used.
    pub fn input(&mut self) -> &mut BytesMut {
        self.input.octets()
    }

    /// Gives the read buffer back if it is empty.
    pub fn release(&mut self) {
        self.input.release();
    }

    /// How slow a body may be.
    pub fn flow(&self) -> Flow {
        Flow::start(self.deadlines.reading)
    }

    /// Shakes hands. Octets that came behind the command in clear text end the connection.
    pub async fn start_tls(&mut self) -> Result<(), Broken> {
        self.flush().await?;
        let (Some(stream), Some(acceptor)) = (self.stream.take(), self.acceptor.clone()) else {
            return Err(io::Error::from(io::ErrorKind::NotConnected).into());
        };
        let leftover = self.input.octets().split();
        let stream = stream.start_tls(&acceptor, &leftover).await?;
        self.peer.tls = stream.tls_info();
        self.stream = Some(stream);
        Ok(())
    }

    /// Writes what is left and closes so that the peer can read it: a socket closed with unread octets would be reset. So what is on its
    /// way is thrown away, for a while and up to [`UNHEARD`]; who pushes on after that loses the goodbye.
    pub async fn close(&mut self) {
        let _ = self.flush().await;
        let deadline = Instant::now() + LINGER;
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        let linger = async {
            stream.shutdown().await?;
            let mut sink = [0; 4096];
            let mut left = UNHEARD;
            while left > 0 {
                match stream.read(&mut sink).await? {
                    0 => break,
                    read => left = left.saturating_sub(read as u64),
                }
            }
            io::Result::Ok(())
        };
        let _ = timeout_at(deadline, linger).await;
    }
}

impl From<Signal> for Event {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Changed => Event::Changed,
            Signal::Drain => Event::Drain,
            Signal::Revoked => Event::Revoked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::peer::Remote;

    fn wire(stream: Stream) -> Wire {
        let long = Duration::from_secs(60);
        let pace = Pace {
            stall: long,
            floor: 1,
        };
        let peer = Peer {
            remote: Remote::Unix,
            local: None,
            proxy: None,
            tls: None,
        };
        let deadlines = Deadlines {
            greeting: long,
            line: long,
            command: long,
            idle: long,
            login: None,
            reading: pace,
            writing: pace,
        };
        Wire::new(stream, peer, None, Arc::new(deadlines))
    }

    #[tokio::test]
    async fn attack_13_who_has_spoken_before_the_greeting_is_seen() {
        let (_client, server) = tokio::io::duplex(64);
        assert!(!wire(server.into()).hasty().await.expect("open"));

        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"E").await.expect("room");
        let mut early = wire(server.into());
        assert!(early.hasty().await.expect("open"));
        assert_eq!(early.octets(), (1, 0));

        let (client, server) = tokio::io::duplex(64);
        drop(client);
        let mut gone = wire(server.into());
        assert!(!gone.hasty().await.expect("open"));
        assert_eq!(gone.end(), Some(End::Gone));
    }

    /// Who pushes on behind the goodbye is not listened to for as long as there is time, only for so much.
    #[tokio::test]
    async fn so_much_is_thrown_away_behind_the_goodbye() {
        let (mut client, server) = tokio::io::duplex(64 << 10);
        let pushing = tokio::spawn(async move {
            let octets = [b'x'; 64 << 10];
            let mut pushed = 0u64;
            while let Ok(count) = client.write(&octets).await {
                pushed += count as u64;
            }
            pushed
        });
        wire(server.into()).close().await;
        let pushed = pushing.await.expect("ends with the connection");
        let room = 128 << 10;
        assert!((UNHEARD..=UNHEARD + room).contains(&pushed), "{pushed}");
    }
}
