//! The way in: from an accepted connection to a stream with a known, permitted peer.
//!
//! **Invariants.** The address that is counted, logged and later throttled is the client's, never the
//! proxy's. A peer is told why it is refused where that costs no handshake: where TLS comes first it is not.
//! **Bounds.** Each step has a deadline; nothing is buffered.

use std::net::SocketAddr;
use std::time::Duration;

use super::limit::{Login, Permit, Refused, Slot};
use super::listener::Accepted;
use super::peer::{Peer, Remote};
use super::proxy_protocol::{Proxies, ProxyError, read_header};
use super::stream::{Plain, Stream};
use super::tls::{Acceptor, HandshakeError};

/// How connections of a listener come in.
#[derive(Clone)]
pub struct Entrance {
    /// The service, as logs and metrics call it.
    pub service: &'static str,
    /// Whether its clients log in.
    pub login: Login,
    /// The peers that speak the PROXY protocol.
    pub proxies: Proxies,
    /// How long they may take to say who the client is.
    pub proxy_patience: Duration,
    /// TLS from the first octet on, if the service is such a one.
    pub tls: Option<Acceptor>,
}

/// A connection that is in.
#[derive(Debug)]
pub struct Entered {
    /// Read from here.
    pub stream: Stream,
    /// Who it is.
    pub peer: Peer,
    /// To be told of the login; to be dropped with the stream.
    pub permit: Permit,
}

/// A connection that is not in.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// Too many of its kind. Say so in the words of the protocol, then drop this.
    #[error("{refused}")]
    Limit {
        /// Which limit.
        refused: Refused,
        /// Who it is.
        peer: Box<Peer>,
        /// Where to say it; `None` if TLS would have to come first.
        stream: Option<Stream>,
        /// Its slot, held until it is told.
        slot: Slot,
    },
    /// A proxy did not say, or not well, whose connection this is.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl Entrance {
    /// Lets a connection in, or not.
    pub async fn enter(&self, accepted: Accepted) -> Result<Entered, Rejected> {
        let Accepted {
            mut transport,
            remote,
            local,
            slot,
        } = accepted;
        let mut peer = self.meet(&mut transport, remote, local).await?;
        let permit = match slot.admit(peer.ip(), self.login) {
            Ok(permit) => permit,
            Err((slot, refused)) => {
                tracing::debug!(service = self.service, %peer, %refused, "connection refused");
                let stream = self.tls.is_none().then(|| transport.into());
                let peer = Box::new(peer);
                return Err(Rejected::Limit {
                    refused,
                    peer,
                    stream,
                    slot,
                });
            }
        };
        let stream = match &self.tls {
            Some(tls) => tls.accept(transport).await.inspect_err(|error| {
                tracing::debug!(service = self.service, %peer, %error, "handshake failed");
            })?,
            None => transport.into(),
        };
        peer.tls = stream.tls_info();
        Ok(Entered {
            stream,
            peer,
            permit,
        })
    }

    /// Finds out who the client is.
    async fn meet(
        &self,
        transport: &mut Plain,
        remote: Remote,
        local: Option<SocketAddr>,
    ) -> Result<Peer, ProxyError> {
        let mut peer = Peer {
            remote,
            local,
            proxy: None,
            tls: None,
        };
        let Remote::Inet(proxy) = remote else {
            return Ok(peer);
        };
        if !self.proxies.contains(proxy.ip()) {
            return Ok(peer);
        }
        let header = read_header(transport, self.proxy_patience)
            .await
            .inspect_err(|error| {
                metrics::counter!("proxy_headers_rejected_total", "service" => self.service)
                    .increment(1);
                tracing::warn!(service = self.service, %proxy, %error, "proxy refused");
            })?;
        peer.remote = header.remote(proxy);
        peer.local = header.local().or(local);
        peer.proxy = Some(proxy);
        Ok(peer)
    }
}

#[cfg(test)]
mod tests;
