//! One stream over whatever a connection came in by.
//!
//! **Invariants.** Nothing that was said in the clear outlives STARTTLS: a client that sends octets behind the
//! command, before the handshake, is given up (RFC 3207 section 5, RFC 9051 section 6.2.1, RFC 2595 section 4).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::peer::TlsInfo;
use super::tls::{Acceptor, HandshakeError};

/// What a connection is read from and written to.
#[derive(Debug)]
pub struct Stream(Inner);

#[derive(Debug)]
enum Inner {
    Plain(Plain),
    Tls(Box<TlsStream<Plain>>),
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
            metrics::counter!("starttls_injections_total").increment(1);
            return Err(StartTlsError::Injected {
                octets: leftover.len(),
            });
        }
        match self.0 {
            Inner::Plain(plain) => Ok(acceptor.accept(plain).await?),
            Inner::Tls(_) => Err(StartTlsError::Secured),
        }
    }
}

impl From<Plain> for Stream {
    fn from(plain: Plain) -> Self {
        Self(Inner::Plain(plain))
    }
}

impl From<TlsStream<Plain>> for Stream {
    fn from(tls: TlsStream<Plain>) -> Self {
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
        each!(self, inner => Pin::new(inner).poll_read(context, buffer))
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
