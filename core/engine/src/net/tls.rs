//! TLS as a server: TLS 1.3, and 1.2 where a listener is told so (RFC 8446, RFC 8314 section 4).
//!
//! One crypto provider (aws-lc-rs), named in each builder, so that nothing depends on what a process
//! installed. The certificate is asked for at each handshake ([`Certificates`]), so that it may change.
//!
//! **ALPN.** A client that names no application protocol is welcome (mail clients do not). One that names
//! only foreign ones is turned away (RFC 7301 section 3.2): it is a browser that was lured here.
//! **Bounds.** A handshake has one deadline and takes in at most [`WIRE_AHEAD`](super::stream::WIRE_AHEAD) octets;
//! what a connection may hold back for a slow reader is [`WRITE_BUFFER`].

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::{ProtocolVersion, ServerConfig, ServerConnection, SupportedProtocolVersion};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::peer::TlsInfo;
use super::stream::{Plain, Stream, Wire};
use crate::config::{self, Deadlines, Service, TlsVersion};
use crate::telemetry::metrics::{TLS_HANDSHAKES, TLS_HANDSHAKES_FAILED};

mod certificates;
mod self_signed;
mod x509;

pub use certificates::{CertificateError, Certificates};
pub use self_signed::{SelfSignedError, self_signed};

/// Octets of a connection that may wait, encrypted or not, for its peer to read.
pub const WRITE_BUFFER: usize = 32 * 1024;

/// How a listener speaks TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsSettings {
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// The application protocols of the service by their IANA names, as in `imap` (RFC 7301 section 6); none if it has no name.
    pub protocols: &'static [&'static str],
    /// How long a handshake may take.
    pub handshake: Duration,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            min_version: TlsVersion::V1_3,
            protocols: &[],
            handshake: Duration::from_secs(20),
        }
    }
}

impl TlsSettings {
    /// How a service speaks TLS.
    pub fn of(service: Service, tls: &config::Tls, deadlines: &Deadlines) -> Self {
        let min_version = match service {
            Service::Smtp => tls.smtp_min_version,
            _ => tls.min_version,
        };
        let protocols: &[_] = match service {
            Service::Imap | Service::Imaps => &["imap"],
            Service::Pop3 | Service::Pop3s => &["pop3"],
            // Mail submission and transfer have no registered name.
            _ => &[],
        };
        Self {
            min_version,
            protocols,
            handshake: deadlines.handshake,
        }
    }
}

fn versions(min_version: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static ALL: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
    match min_version {
        TlsVersion::V1_2 => &ALL,
        TlsVersion::V1_3 => &ALL[..1],
    }
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// It took too long.
    #[error("no TLS handshake in time")]
    TooSlow,
    /// The peer speaks no TLS, or not with us.
    #[error("TLS handshake failed: {0}")]
    Tls(rustls::Error),
    /// The peer closed or broke the connection.
    #[error("connection lost in the TLS handshake: {0}")]
    Io(io::Error),
}

impl HandshakeError {
    fn label(&self) -> &'static str {
        match self {
            Self::TooSlow => "too_slow",
            Self::Tls(_) => "tls",
            Self::Io(_) => "io",
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(tls) => Self::Tls(tls.clone()),
            None => Self::Io(error),
        }
    }
}

/// Shakes hands as a server. Clones share tickets, so that a client may resume at any worker.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
    patience: Duration,
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Acceptor {
    /// Speaks TLS with these certificates.
    ///
    /// # Errors
    /// The crypto library gives no randomness, or lacks a version.
    pub fn new(
        certificates: Arc<Certificates>,
        settings: &TlsSettings,
    ) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(settings.min_version))?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = settings
            .protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        // Tickets keep what a resumption needs at the client, so nothing is stored here.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self {
            tls: Arc::new(config).into(),
            patience: settings.handshake,
        })
    }

    /// Shakes hands over `plain`, of which nothing may have been read that belongs to TLS.
    pub async fn accept(&self, plain: Plain) -> Result<Stream, HandshakeError> {
        let limit = |tls: &mut ServerConnection| tls.set_buffer_limit(Some(WRITE_BUFFER));
        let handshake = self.tls.accept_with(Wire::new(plain), limit);
        let done = match timeout(self.patience, handshake).await {
            Ok(done) => done.map_err(HandshakeError::from),
            Err(_) => Err(HandshakeError::TooSlow),
        };
        match done {
            Ok(tls) => {
                let version = version(tls.get_ref().1);
                metrics::counter!(TLS_HANDSHAKES, "version" => version).increment(1);
                Ok(tls.into())
            }
            Err(error) => {
                metrics::counter!(TLS_HANDSHAKES_FAILED, "reason" => error.label()).increment(1);
                Err(error)
            }
        }
    }
}

/// The one crypto provider of the process.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(aws_lc_rs::default_provider()))
        .clone()
}

/// What a finished handshake agreed on.
pub(super) fn info(tls: &ServerConnection) -> TlsInfo {
    let cipher = tls
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str());
    let protocol = tls
        .alpn_protocol()
        .map(|name| String::from_utf8_lossy(name).into());
    TlsInfo {
        version: version(tls),
        cipher: match cipher {
            // What rustls calls them, and what IANA does.
            Some("TLS13_AES_128_GCM_SHA256") => "TLS_AES_128_GCM_SHA256",
            Some("TLS13_AES_256_GCM_SHA384") => "TLS_AES_256_GCM_SHA384",
            Some("TLS13_CHACHA20_POLY1305_SHA256") => "TLS_CHACHA20_POLY1305_SHA256",
            Some(name) => name,
            None => "unknown",
        },
        server_name: tls.server_name().map(Into::into),
        protocol,
    }
}

fn version(tls: &ServerConnection) -> &'static str {
    match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "unknown",
    }
}

#[cfg(test)]
pub(in crate::net) mod tests;
