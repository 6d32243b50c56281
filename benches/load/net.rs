//! A connection with one read buffer: lines, counted octets, and a deadline on everything.
//!
//! **Bounds.** A line is at most [`Wire::LINE`] octets; every wait ends at the run's deadline.

use std::future::Future;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::fault::Fault;
use crate::pattern::Security;
use crate::tls;

/// Where connections of a run go.
#[derive(Clone)]
pub struct Target {
    /// Address and port.
    pub address: SocketAddr,
    /// How connections are protected.
    pub security: Security,
    /// What is needed for TLS, if they are.
    pub tls: Option<tls::Client>,
    /// When the run ends.
    pub deadline: Instant,
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// One connection.
pub struct Wire {
    /// `None` only after a failed handshake.
    stream: Option<Box<dyn Duplex>>,
    buffer: Vec<u8>,
    start: usize,
    received: u64,
    deadline: Instant,
}

impl Wire {
    /// Longest line taken from a server: an answer to SEARCH in a mailbox of a million messages.
    const LINE: usize = 16 * 1024 * 1024;
    const CHUNK: usize = 16 * 1024;

    /// Connects, and shakes hands if TLS comes first.
    pub async fn connect(target: &Target) -> Result<Self, Fault> {
        let stream = before(target.deadline, TcpStream::connect(target.address)).await?;
        stream.set_nodelay(true)?;
        let mut wire = Self {
            stream: Some(Box::new(stream)),
            buffer: Vec::new(),
            start: 0,
            received: 0,
            deadline: target.deadline,
        };
        if target.security == Security::Implicit {
            wire.secure(target).await?;
        }
        Ok(wire)
    }

    /// Shakes hands on the open connection.
    pub async fn secure(&mut self, target: &Target) -> Result<(), Fault> {
        let tls = target
            .tls
            .as_ref()
            .ok_or_else(|| Fault::Usage("TLS is not set up".to_owned()))?;
        let stream = self.stream.take().ok_or(Fault::Closed)?;
        let secured = before(
            self.deadline,
            tls.connector.connect(tls.name.clone(), stream),
        )
        .await?;
        self.stream = Some(Box::new(secured));
        Ok(())
    }

    /// Octets received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Sends all of it.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), Fault> {
        let stream = self.stream.as_mut().ok_or(Fault::Closed)?;
        before(self.deadline, async {
            stream.write_all(octets).await?;
            stream.flush().await
        })
        .await
    }

    /// The next line, without its line end.
    pub async fn line(&mut self) -> Result<&[u8], Fault> {
        let mut searched = self.start;
        let end = loop {
            if let Some(at) = self.buffer[searched..]
                .iter()
                .position(|octet| *octet == b'\n')
            {
                break searched + at;
            }
            let held = self.buffer.len() - self.start;
            if held > Self::LINE {
                return Err(Fault::Protocol("a line without end".to_owned()));
            }
            self.fill().await?;
            // What was read has moved to the front.
            searched = held;
        };
        let line = self.start..end;
        self.start = end + 1;
        let line = &self.buffer[line];
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Throws away the next `octets`.
    pub async fn skip(&mut self, octets: u64) -> Result<(), Fault> {
        let mut left = octets;
        loop {
            let held = self.buffer.len() - self.start;
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(held);
            self.start += step;
            left -= step as u64;
            if left == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Fault> {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.reserve(Self::CHUNK);
        let stream = self.stream.as_mut().ok_or(Fault::Closed)?;
        let read = before(self.deadline, stream.read_buf(&mut self.buffer)).await?;
        if read == 0 {
            return Err(Fault::Closed);
        }
        self.received += read as u64;
        Ok(())
    }
}

async fn before<T>(
    deadline: Instant,
    work: impl Future<Output = std::io::Result<T>>,
) -> Result<T, Fault> {
    match timeout_at(deadline, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Fault::Late),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wire(stream: tokio::io::DuplexStream, patience: Duration) -> Wire {
        Wire {
            stream: Some(Box::new(stream)),
            buffer: Vec::new(),
            start: 0,
            received: 0,
            deadline: Instant::now() + patience,
        }
    }

    #[tokio::test]
    async fn lines_and_octets_come_the_same_however_they_are_split() {
        let said: &[u8] = b"* 1 FETCH {5}\r\nab\r\nc)\r\na1 OK\n";
        for split in 1..said.len() {
            let (mut peer, ours) = tokio::io::duplex(64);
            let mut wire = wire(ours, Duration::from_secs(5));
            let talk = async {
                peer.write_all(&said[..split]).await.expect("room");
                tokio::task::yield_now().await;
                peer.write_all(&said[split..]).await.expect("room");
            };
            let listen = async {
                assert_eq!(wire.line().await.expect("line"), b"* 1 FETCH {5}");
                wire.skip(5).await.expect("literal");
                assert_eq!(wire.line().await.expect("line"), b")");
                assert_eq!(wire.line().await.expect("line"), b"a1 OK");
                assert_eq!(wire.received(), said.len() as u64);
            };
            tokio::join!(talk, listen);
        }
    }

    #[tokio::test]
    async fn a_silent_server_ends_at_the_deadline() {
        let (_peer, ours) = tokio::io::duplex(64);
        let outcome = wire(ours, Duration::from_millis(20))
            .line()
            .await
            .map(<[u8]>::to_vec);
        assert!(matches!(outcome, Err(Fault::Late)));
    }

    #[tokio::test]
    async fn a_closed_connection_is_told() {
        let (peer, ours) = tokio::io::duplex(64);
        drop(peer);
        let outcome = wire(ours, Duration::from_secs(3))
            .line()
            .await
            .map(<[u8]>::to_vec);
        assert!(matches!(outcome, Err(Fault::Closed)));
    }
}
