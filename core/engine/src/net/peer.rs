//! Who is at the other end of a connection.
//!
//! **Invariants.** Limits, throttles and bans act on an [`AddressKey`], and only a client has one: neither a
//! process of this host nor the proxy in front can be banned by what a client does through it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Both ends of a connection, as far as they are known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    /// The client; behind a proxy what the proxy says of it.
    pub remote: Remote,
    /// The address that the client connected to; behind a proxy the proxy's. `None` for unix sockets.
    pub local: Option<SocketAddr>,
    /// The proxy that the connection came through.
    pub proxy: Option<SocketAddr>,
    /// What TLS agreed on, once it did.
    pub tls: Option<TlsInfo>,
}

impl Peer {
    /// The client's address, if it is a client with an address.
    pub fn ip(&self) -> Option<IpAddr> {
        self.remote.ip()
    }

    /// What limits, throttles and bans of the client are kept under, if it may be limited.
    pub fn key(&self) -> Option<AddressKey> {
        self.ip().map(AddressKey::from)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.remote.fmt(f)
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Remote {
    /// A client on the network.
    Inet(SocketAddr),
    /// A process on this host, or on the proxy's.
    Unix,
    /// The proxy itself, on its own behalf: a health check.
    Proxy(SocketAddr),
}

impl Remote {
    /// A client on the network; an IPv4 address in IPv6 clothes becomes what it is.
    pub fn inet(address: SocketAddr) -> Self {
        Self::Inet(canonical(address))
    }

    /// The client's address.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Inet(address) => Some(address.ip()),
            Self::Unix | Self::Proxy(_) => None,
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) | Self::Proxy(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// `address` with an IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) made IPv4.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// One client as far as counting goes: an IPv4 address, or an IPv6 network of 64 bits, in which
/// a single host may take any address it likes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AddressKey(IpAddr);

impl From<IpAddr> for AddressKey {
    fn from(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !0 << 64)),
        })
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
        }
    }
}

/// What a TLS handshake agreed on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsInfo {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The cipher suite by its IANA name, as in `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The name that the client asked for.
    pub server_name: Option<Box<str>>,
    /// The application protocol, if the client named one (RFC 7301 section 3.1).
    pub protocol: Option<Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(ip: &str) -> String {
        AddressKey::from(ip.parse::<IpAddr>().expect("an address")).to_string()
    }

    #[test]
    fn an_ipv6_network_counts_as_one_client() {
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(key("2001:db8:1:2::"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("192.0.2.1"), "192.0.2.1");
        assert_eq!(key("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn only_clients_have_a_key() {
        let address = "[::ffff:192.0.2.1]:4711".parse().expect("an address");
        let peer = |remote| Peer {
            remote,
            local: None,
            proxy: None,
            tls: None,
        };
        let client = peer(Remote::inet(address));
        assert_eq!(client.to_string(), "192.0.2.1:4711");
        assert!(client.key().is_some());
        assert_eq!(peer(Remote::Proxy(address)).key(), None);
        assert_eq!(peer(Remote::Unix).key(), None);
        assert_eq!(peer(Remote::Unix).to_string(), "unix");
    }
}
