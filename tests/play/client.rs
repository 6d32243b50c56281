//! The client's end: a stream that lines are written to and read from, and that may become TLS.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use postrider::config::Service;
use postrider::engine::Running;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::world::HOSTNAME;

/// How long a line may take to come. Nothing waits for it to pass unless a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a driver reaches the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// A connection actor over a stream in memory.
    Memory,
    /// A TCP socket of the loopback interface.
    Socket,
}

trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// A connection.
pub struct Client {
    /// None while it changes.
    io: Option<Box<dyn Io>>,
    input: BytesMut,
    tls: TlsConnector,
}

impl Client {
    /// Connects, with TLS at once if the service has it.
    pub async fn connect(
        running: &Running,
        transport: Transport,
        service: Service,
        roots: RootCertStore,
    ) -> Result<Self, String> {
        let io: Box<dyn Io> = match transport {
            Transport::Memory => Box::new(running.connect(service).ok_or("no listener")?),
            Transport::Socket => {
                let port = running.ports().get(service.name()).ok_or("no listener")?;
                let stream = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await;
                Box::new(stream.map_err(|error| error.to_string())?)
            }
        };
        let config = ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
        let mut client = Self {
            io: Some(io),
            input: BytesMut::new(),
            tls: TlsConnector::from(Arc::new(config)),
        };
        if service.tls() == postrider::config::TlsRule::Implicit {
            client.start_tls().await?;
        }
        Ok(client)
    }

    /// Shakes hands; the certificate is checked.
    pub async fn start_tls(&mut self) -> Result<(), String> {
        if !self.input.is_empty() {
            return Err("the server said more in the clear".into());
        }
        let io = self.io.take().ok_or("no connection")?;
        let name = ServerName::try_from(HOSTNAME).map_err(|error| error.to_string())?;
        let secured = timeout(PATIENCE, self.tls.connect(name, io)).await;
        let secured = secured.map_err(|_| "the handshake takes too long")?;
        self.io = Some(Box::new(
            secured.map_err(|error| format!("handshake: {error}"))?,
        ));
        Ok(())
    }

    /// Sends octets.
    pub async fn say(&mut self, octets: &[u8]) -> Result<(), String> {
        let io = self.io.as_mut().ok_or("no connection")?;
        let write = async {
            io.write_all(octets).await?;
            io.flush().await
        };
        let written = timeout(PATIENCE, write).await;
        let written = written.map_err(|_| "the server does not read")?;
        written.map_err(|error| format!("the server has closed: {error}"))
    }

    /// The next line; none at the end.
    pub async fn line(&mut self) -> Result<Option<String>, String> {
        loop {
            if let Some(end) = self.input.iter().position(|octet| *octet == b'\n') {
                let line = self.input.split_to(end + 1);
                let line = line.strip_suffix(b"\r\n").ok_or("a line without CRLF")?;
                return Ok(Some(String::from_utf8_lossy(line).into_owned()));
            }
            let io = self.io.as_mut().ok_or("no connection")?;
            let read = timeout(PATIENCE, io.read_buf(&mut self.input)).await;
            // A server that goes without the last word of TLS has gone all the same.
            let count = read.map_err(|_| "nothing comes")?.unwrap_or(0);
            if count == 0 {
                let rest = std::mem::take(&mut self.input);
                return match rest.has_remaining() {
                    true => Err(format!("half a line: {:?}", String::from_utf8_lossy(&rest))),
                    false => Ok(None),
                };
            }
        }
    }

    /// Closes our direction, and reads what the server still says. The first line of it is an error.
    pub async fn close(mut self) -> Result<(), String> {
        if let Some(io) = self.io.as_mut() {
            // A server that has closed cannot be told.
            let _ = timeout(PATIENCE, io.shutdown()).await;
        }
        match self.line().await? {
            Some(unread) => Err(format!("the server also said {unread:?}")),
            None => Ok(()),
        }
    }
}
