//! The PROXY protocol, versions 1 and 2: a proxy says in front of a connection whose it is.
//!
//! Source: "The PROXY protocol, Versions 1 & 2", sections 2.1 (text) and 2.2 (binary), of the HAProxy project.
//!
//! **Invariants.** The header is believed from configured peers alone, and required from them; what anybody
//! else says is read by the protocol, which does not know it. Not one octet behind the header is read.
//! A header that cannot be understood closes the connection: there is no guess at who a client is.
//! **Bounds.** [`TEXT_MAX`] octets in version 1, [`BINARY_MAX`] behind the fixed part in version 2; one deadline.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::deadline::within;
use super::peer::{Remote, canonical};

/// Longest header of version 1, with its CRLF.
pub const TEXT_MAX: usize = 107;

/// Most octets of addresses and extensions in version 2. Extensions hold names and certificates' subjects.
pub const BINARY_MAX: usize = 4096;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const BINARY_FIXED: usize = 16;
/// No header is shorter: `PROXY UNKNOWN` and CRLF.
const SHORTEST: usize = 15;

/// Octets that belong to what follows the header.
const SURPLUS: &str = "octets behind the header";

/// What a header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Header {
    /// The proxy speaks for itself (LOCAL), or does not know the client (UNKNOWN, UNSPEC).
    Proxy,
    /// A client on the network.
    Inet {
        /// Where the client is.
        source: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
    /// A process on the proxy's host.
    Unix,
}

/// What octets hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parsed {
    /// The beginning of a header; at least so many octets are missing, and all of them belong to it.
    Need(usize),
    /// A whole header, of all the octets.
    Whole(Header),
}

/// Why a connection from a proxy is closed.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Not a header, or one that makes no sense.
    #[error("malformed PROXY header: {0}")]
    Malformed(&'static str),
    /// The header did not come in time.
    #[error("no PROXY header in time")]
    TooSlow,
    /// The proxy closed or broke the connection.
    #[error("connection lost before the PROXY header")]
    Io(#[from] io::Error),
}

/// The peers that are proxies.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// These networks hold proxies and nobody else.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether a header is believed, and required, from this peer.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }
}

impl Header {
    /// Who is at the other end, if the header came from the proxy at `proxy`.
    pub fn remote(self, proxy: SocketAddr) -> Remote {
        match self {
            Self::Proxy => Remote::Proxy(proxy),
            Self::Inet { source, .. } => Remote::inet(source),
            Self::Unix => Remote::Unix,
        }
    }

    /// The address that the client connected to.
    pub fn local(self) -> Option<SocketAddr> {
        match self {
            Self::Inet { destination, .. } => Some(canonical(destination)),
            Self::Proxy | Self::Unix => None,
        }
    }
}

/// Reads one header and nothing behind it.
pub async fn read_header<R>(stream: &mut R, patience: Duration) -> Result<Header, ProxyError>
where
    R: AsyncRead + Unpin + ?Sized,
{
    let read = async {
        let mut octets = Vec::with_capacity(TEXT_MAX);
        loop {
            let need = match parse(&octets).map_err(ProxyError::Malformed)? {
                Parsed::Whole(header) => return Ok(header),
                Parsed::Need(need) => need,
            };
            let before = octets.len();
            octets.resize(before + need, 0);
            let count = stream.read(&mut octets[before..]).await?;
            octets.truncate(before + count);
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    };
    within(Instant::now() + patience, read)
        .await
        .unwrap_or(Err(ProxyError::TooSlow))
}

/// Looks at the octets that are there. They are a header or its beginning and nothing else: who asks for no more than what is
/// missing never has an octet too many, and octets behind a header are not thrown away in silence.
///
/// # Errors
/// What is wrong, as soon as no further octets can make it a header.
pub fn parse(octets: &[u8]) -> Result<Parsed, &'static str> {
    let shared = |signature: &[u8]| {
        let length = octets.len().min(signature.len());
        octets[..length] == signature[..length]
    };
    if shared(SIGNATURE) && !octets.is_empty() {
        parse_binary(octets)
    } else if shared(b"PROXY ") {
        parse_text(octets)
    } else {
        Err("no signature")
    }
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 4711 25` and CRLF, each separated by one space.
fn parse_text(octets: &[u8]) -> Result<Parsed, &'static str> {
    if octets.len() > TEXT_MAX {
        return Err("line too long");
    }
    let Some(line) = octets.strip_suffix(b"\r\n") else {
        if octets.contains(&b'\n') {
            return Err("line feed alone");
        }
        let need = match octets {
            [.., b'\r'] => 1,
            _ => 2,
        };
        let need = need.max(SHORTEST.saturating_sub(octets.len()));
        return match octets.len() + need <= TEXT_MAX {
            true => Ok(Parsed::Need(need)),
            false => Err("line too long"),
        };
    };
    if line.contains(&b'\n') {
        return Err(SURPLUS);
    }
    let line = std::str::from_utf8(line).map_err(|_| "not ASCII")?;
    let mut words = line.split(' ').skip(1);
    let mut word = || words.next().ok_or("word missing");
    let header = match word()? {
        "UNKNOWN" => return Ok(Parsed::Whole(Header::Proxy)),
        "TCP4" => text_addresses::<Ipv4Addr>(&mut word)?,
        "TCP6" => text_addresses::<Ipv6Addr>(&mut word)?,
        _ => return Err("unknown protocol"),
    };
    match words.next() {
        None => Ok(Parsed::Whole(header)),
        Some(_) => Err("word too many"),
    }
}

fn text_addresses<'a, A: std::str::FromStr + Into<IpAddr>>(
    word: &mut impl FnMut() -> Result<&'a str, &'static str>,
) -> Result<Header, &'static str> {
    let address = |word: &str| word.parse::<A>().map(Into::into).map_err(|_| "bad address");
    let (source, destination) = (address(word()?)?, address(word()?)?);
    let port = |word: &str| match word.as_bytes() {
        [b'0'] => Ok(0),
        [b'1'..=b'9', ..] => word.parse::<u16>().map_err(|_| "bad port"),
        _ => Err("bad port"),
    };
    Ok(Header::Inet {
        source: SocketAddr::new(source, port(word()?)?),
        destination: SocketAddr::new(destination, port(word()?)?),
    })
}

/// Version 2: signature, version and command, family, length; then addresses, then extensions, which are skipped.
fn parse_binary(octets: &[u8]) -> Result<Parsed, &'static str> {
    let Some((fixed, rest)) = octets.split_first_chunk::<BINARY_FIXED>() else {
        // Fifteen octets may be asked for, while it is open which version this is.
        let need = BINARY_FIXED - octets.len();
        return Ok(Parsed::Need(need));
    };
    let [.., version_command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > BINARY_MAX {
        return Err("extensions too long");
    }
    let local = match version_command {
        0x20 => true,
        0x21 => false,
        _ => return Err("unknown version or command"),
    };
    if rest.len() < length {
        return Ok(Parsed::Need(length - rest.len()));
    }
    if rest.len() > length {
        return Err(SURPLUS);
    }
    if local {
        return Ok(Parsed::Whole(Header::Proxy));
    }
    let header = match family {
        // Unknown to the proxy: not a word about the client.
        0x00 => Header::Proxy,
        0x11 => binary_addresses::<4>(rest)?,
        0x21 => binary_addresses::<16>(rest)?,
        0x31 if length >= 2 * 108 => Header::Unix,
        0x31 => return Err("addresses cut off"),
        _ => return Err("not a stream"),
    };
    Ok(Parsed::Whole(header))
}

fn binary_addresses<const N: usize>(octets: &[u8]) -> Result<Header, &'static str>
where
    IpAddr: From<[u8; N]>,
{
    let take = || {
        let (source, rest) = octets.split_first_chunk::<N>()?;
        let (destination, rest) = rest.split_first_chunk::<N>()?;
        let ([source_port, destination_port], _) = rest.as_chunks::<2>().0.split_first_chunk()?;
        let address = |ip: [u8; N], port: [u8; 2]| {
            SocketAddr::new(IpAddr::from(ip), u16::from_be_bytes(port))
        };
        Some(Header::Inet {
            source: address(*source, *source_port),
            destination: address(*destination, *destination_port),
        })
    };
    take().ok_or("addresses cut off")
}

#[cfg(test)]
mod tests;
