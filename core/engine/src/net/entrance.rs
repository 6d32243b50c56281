//! The way in: from an accepted connection to a stream with a known, permitted peer.
//!
//! **Invariants.** The address that is counted, logged and later throttled is the client's, never the
//! proxy's. A peer is told why it is refused where that costs no handshake: where TLS comes first it is not.
//! **Bounds.** Each step has a deadline; nothing is buffered.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::limit::{Login, Permit, Refused, Slot};
use super::listener::Accepted;
use super::peer::{Peer, Remote};
use super::proxy_protocol::{Proxies, ProxyError, read_header};
use super::stream::{Plain, Stream};
use super::tls::{Acceptor, HandshakeError};
use crate::config::{Deadlines, Listener, Service, TlsRule};
use crate::telemetry::metrics::CONNECTIONS_REFUSED;

/// How connections of a listener come in.
#[derive(Clone)]
pub struct Entrance {
    /// What is spoken behind it.
    pub service: Service,
    /// The peers that speak the PROXY protocol.
    pub proxies: Proxies,
    /// How long they may take to say who the client is.
    pub proxy_patience: Duration,
    /// When it is encrypted.
    pub security: Security,
    /// Who need not come at all where logins are expected.
    pub bans: Bans,
}

/// Says whether a client is banned: asked once a connection, before its greeting and its handshake. Nobody is, by default.
#[derive(Clone, Default)]
pub struct Bans(Option<Arc<IsBanned>>);

type IsBanned = dyn Fn(&Peer) -> bool + Send + Sync;

impl Bans {
    /// As this function says.
    pub fn new(is_banned: impl Fn(&Peer) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(is_banned)))
    }

    fn contains(&self, peer: &Peer) -> bool {
        self.0.as_ref().is_some_and(|is_banned| is_banned(peer))
    }
}

impl fmt::Debug for Bans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bans")
    }
}

/// When connections are encrypted, and with what.
#[derive(Clone, Debug)]
pub enum Security {
    /// Never.
    None,
    /// When the client asks.
    StartTls(Acceptor),
    /// From the first octet.
    Implicit(Acceptor),
}

impl Security {
    /// As the service has it.
    pub fn of(service: Service, tls: &Acceptor) -> Self {
        match service.tls() {
            TlsRule::None => Self::None,
            TlsRule::Offered | TlsRule::Required => Self::StartTls(tls.clone()),
            TlsRule::Implicit => Self::Implicit(tls.clone()),
        }
    }
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
    /// What STARTTLS needs, where the client may ask for it.
    pub starttls: Option<Acceptor>,
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
    /// The way in of a configured listener.
    pub fn new(listener: &Listener, deadlines: &Deadlines, security: Security, bans: Bans) -> Self {
        Self {
            service: listener.service,
            proxies: Proxies::new(listener.proxy_protocol_from.clone()),
            proxy_patience: deadlines.handshake,
            security,
            bans,
        }
    }

    /// Lets a connection in, or not.
    pub async fn enter(&self, accepted: Accepted) -> Result<Entered, Rejected> {
        let Accepted {
            mut transport,
            remote,
            local,
            slot,
        } = accepted;
        let mut peer = self.meet(&mut transport, remote, local).await?;
        let (implicit, starttls) = match &self.security {
            Security::None => (None, None),
            Security::StartTls(tls) => (None, Some(tls.clone())),
            Security::Implicit(tls) => (Some(tls), None),
        };
        let permit = match self.admit(slot, &peer) {
            Ok(permit) => permit,
            Err((slot, refused)) => {
                tracing::debug!(service = %self.service, %peer, %refused, "connection refused");
                let stream = implicit.is_none().then(|| transport.into());
                let peer = Box::new(peer);
                return Err(Rejected::Limit {
                    refused,
                    peer,
                    stream,
                    slot,
                });
            }
        };
        let stream = match implicit {
            Some(tls) => tls.accept(transport).await.inspect_err(|error| {
                tracing::debug!(service = %self.service, %peer, %error, "handshake failed");
            })?,
            None => transport.into(),
        };
        peer.tls = stream.tls_info();
        Ok(Entered {
            stream,
            peer,
            permit,
            starttls,
        })
    }

    /// Mail from other servers comes from a banned address too: only logins are what it is banned for.
    fn admit(&self, slot: Slot, peer: &Peer) -> Result<Permit, (Slot, Refused)> {
        let login = Login::from(self.service);
        if login == Login::Expected && self.bans.contains(peer) {
            Refused::Banned.count(self.service);
            return Err((slot, Refused::Banned));
        }
        slot.admit(peer.ip(), login)
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
                let labels = [("service", self.service.name()), ("reason", "proxy_header")];
                metrics::counter!(CONNECTIONS_REFUSED, &labels).increment(1);
                tracing::warn!(service = %self.service, %proxy, %error, "proxy refused");
            })?;
        peer.remote = header.remote(proxy);
        peer.local = header.local().or(local);
        peer.proxy = Some(proxy);
        Ok(peer)
    }
}

#[cfg(test)]
mod tests;
