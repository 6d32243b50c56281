//! One stream over whatever a connection came in by.
//!
//! **Invariants.** Nothing that was said in the clear outlives STARTTLS: a client that sends octets behind the
//! command, before the handshake, is given up (RFC 3207 section 5, RFC 9051 section 6.2.1, RFC 2595 section 4).
//! **Bounds.** TLS may take in [`WIRE_AHEAD`] octets that bring not one octet of what the peer says: enough for any
//! honest handshake and for the two largest records, since rustls may read into the next one before it gives out what the first
//! one says, and less than two thirds of what it would hold for a peer that begins a message and does not end it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::peer::TlsInfo;
use super::tls::{Acceptor, HandshakeError};
use crate::telemetry::metrics::STARTTLS_INJECTIONS;

/// Octets that a handshake may take in all, or that may come between two octets of what the peer says.
pub const WIRE_AHEAD: usize = 40 * 1024;

/// What a connection is read from and written to.
#[derive(Debug)]
pub struct Stream(Inner);

#[derive(Debug)]
enum Inner {
    Plain(Plain),
    Tls(Box<TlsStream<Wire>>),
}

/// A stream without TLS.
#[derive(Debug)]
pub enum Plain {
    /// From the network.
    Tcp(TcpStream),
    /// From this host.
    Unix(UnixStream),
    /// From a test.
    Memory(DuplexStream),
}

/// Why a stream could not be secured. It is gone.
#[derive(Debug, thiserror::Error)]
pub enum StartTlsError {
    /// The client said something between its command and the handshake.
    #[error("{octets} octets of clear text behind STARTTLS")]
    Injected {
        /// How much was already read of it.
        octets: usize,
    },
    /// TLS inside of TLS.
    #[error("already secured")]
    Secured,
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl Stream {
    /// Whether what is said here is encrypted.
    pub fn is_secured(&self) -> bool {
        matches!(self.0, Inner::Tls(_))
    }

    /// What TLS agreed on, if there is any.
    pub fn tls_info(&self) -> Option<TlsInfo> {
        match &self.0 {
            Inner::Plain(_) => None,
            Inner::Tls(tls) => Some(super::tls::info(tls.get_ref().1)),
        }
    }

    /// Shakes hands as a server. `leftover` is what was read from the client and not yet looked at.
    pub async fn start_tls(
        self,
        acceptor: &Acceptor,
        leftover: &[u8],
    ) -> Result<Self, StartTlsError> {
        if !leftover.is_empty() {
            metrics::counter!(STARTTLS_INJECTIONS).increment(1);
            return Err(StartTlsError::Injected {
                octets: leftover.len(),
            });
        }
        match self.0 {
            Inner::Plain(plain) => Ok(acceptor.accept(plain).await?),
            Inner::Tls(_) => Err(StartTlsError::Secured),
        }
    }

    /// Ends the connection so that the peer gets what was written last.
    ///
    /// A socket that is closed with unread octets in it makes the kernel reset the connection, and the peer lose the
    /// `421` or `BYE` it is about to read. So what still comes is read, for at most `patience`, and thrown away.
    pub async fn close(mut self, patience: Duration) {
        let end = async {
            self.shutdown().await?;
            let mut octets = [0; 512];
            let mut total = 0;
            while total < CLOSE_MAX {
                match self.read(&mut octets).await? {
                    0 => break,
                    count => total += count,
                }
            }
            io::Result::Ok(())
        };
        // Whatever fails here, the connection is over.
        let _ = timeout(patience, end).await;
    }
}

/// Octets that are read from a peer that does not stop sending.
const CLOSE_MAX: usize = 256 * 1024;

impl From<Plain> for Stream {
    fn from(plain: Plain) -> Self {
        Self(Inner::Plain(plain))
    }
}

impl From<TlsStream<Wire>> for Stream {
    fn from(mut tls: TlsStream<Wire>) -> Self {
        tls.get_mut().0.renew();
        Self(Inner::Tls(Box::new(tls)))
    }
}

impl From<DuplexStream> for Stream {
    fn from(memory: DuplexStream) -> Self {
        Plain::Memory(memory).into()
    }
}

/// Does the same to whatever the stream is.
macro_rules! each {
    ($stream:expr, $inner:ident => $do:expr) => {
        match &mut $stream.get_mut().0 {
            Inner::Plain($inner) => $do,
            Inner::Tls(tls) => {
                let $inner = tls.as_mut();
                $do
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Inner::Plain(plain) => Pin::new(plain).poll_read(context, buffer),
            Inner::Tls(tls) => {
                let before = buffer.filled().len();
                let read = Pin::new(&mut **tls).poll_read(context, buffer);
                if buffer.filled().len() > before {
                    tls.get_mut().0.renew();
                }
                read
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, inner => Pin::new(inner).poll_write(context, octets))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, inner => Pin::new(inner).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Inner::Plain(plain) => plain.is_write_vectored(),
            Inner::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => Pin::new(inner).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => Pin::new(inner).poll_shutdown(context))
    }
}

/// What TLS reads from and writes to: a transport that brings only so many octets for nothing.
#[derive(Debug)]
pub(super) struct Wire {
    plain: Plain,
    left: usize,
}

impl Wire {
    pub(super) fn new(plain: Plain) -> Self {
        Self {
            plain,
            left: WIRE_AHEAD,
        }
    }

    /// They were not for nothing.
    fn renew(&mut self) {
        self.left = WIRE_AHEAD;
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.left == 0 {
            let error = io::Error::new(io::ErrorKind::InvalidData, "too much TLS, nothing said");
            return Poll::Ready(Err(error));
        }
        // TLS hands over memory that is initialised already, so this writes nothing twice.
        let room = buffer.remaining().min(this.left);
        let mut some = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut this.plain).poll_read(context, &mut some))?;
        let count = some.filled().len();
        buffer.advance(count);
        this.left -= count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().plain).poll_write(context, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().plain).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.plain.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().plain).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().plain).poll_shutdown(context)
    }
}

/// Does the same to whatever the transport is.
macro_rules! each_plain {
    ($plain:expr, $inner:ident => $do:expr) => {
        match $plain.get_mut() {
            Plain::Tcp($inner) => $do,
            Plain::Unix($inner) => $do,
            Plain::Memory($inner) => $do,
        }
    };
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each_plain!(self, inner => Pin::new(inner).poll_read(context, buffer))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        each_plain!(self, inner => Pin::new(inner).poll_write(context, octets))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each_plain!(self, inner => Pin::new(inner).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_write_vectored(),
            Self::Unix(unix) => unix.is_write_vectored(),
            Self::Memory(memory) => memory.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_plain!(self, inner => Pin::new(inner).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_plain!(self, inner => Pin::new(inner).poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn attack_06_tls_takes_no_more_than_its_share_for_nothing() {
        let (mut client, server) = duplex(WIRE_AHEAD * 3);
        client
            .write_all(&[0; WIRE_AHEAD * 3])
            .await
            .expect("in memory");
        let mut wire = Wire::new(Plain::Memory(server));
        let mut octets = vec![0; 4096];
        for _ in 0..2 {
            let mut total = 0;
            while total < WIRE_AHEAD {
                total += wire.read(&mut octets).await.expect("not yet too much");
            }
            assert_eq!(total, WIRE_AHEAD);
            let error = wire.read(&mut octets).await.expect_err("too much");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            wire.renew();
        }
    }

    #[tokio::test]
    async fn the_last_words_reach_a_peer_that_talks() {
        let (mut client, server) = duplex(64);
        let mut server = Stream::from(server);
        server.write_all(b"421 go away\r\n").await.expect("room");
        let talk = async {
            // Fails if the other end is gone before all is said.
            client.write_all(&[b'x'; 50_000]).await.expect("heard");
            let mut told = String::new();
            client.read_to_string(&mut told).await.expect("said");
            drop(client);
            told
        };
        let ((), told) = tokio::join!(server.close(Duration::from_secs(10)), talk);
        assert_eq!(told, "421 go away\r\n");
    }

    #[tokio::test(start_paused = true)]
    async fn attack_06_closing_does_not_wait_for_ever() {
        let (client, server) = duplex(64);
        let start = tokio::time::Instant::now();
        Stream::from(server).close(Duration::from_secs(5)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        drop(client);
    }
}
