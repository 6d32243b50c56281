//! `[[listener]]` and `[metrics]`: where clients come in.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use ipnet::IpNet;

use super::{
    Program, Service, TlsRule,
    source::{Found, Source, Table},
};

/// A place where one service takes connections.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    /// What it speaks.
    pub service: Service,
    /// Where; at least one.
    pub bind: Vec<Bind>,
    /// The only peers whose PROXY header is believed, and from whom it is required.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Login without STARTTLS, because a proxy in front has ended the TLS.
    pub plaintext_login: bool,
    /// The only program that opens it; none: every one that serves the service.
    pub program: Option<Program>,
}

/// A local address to listen on.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Bind {
    /// An address and port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// A text that is no local address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "not an address to listen on; write \"0.0.0.0:25\", \"[::]:25\" or the absolute path of a unix socket"
)]
pub struct BindError;

impl FromStr for Bind {
    type Err = BindError;

    fn from_str(text: &str) -> Result<Self, BindError> {
        if text.starts_with('/') && !text.ends_with('/') && !text.contains('\0') {
            return Ok(Self::Unix(text.into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| BindError)
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Bind {
    /// Whether only this host can reach it.
    fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether the two cannot be open at once.
    fn conflicts(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix(one), Self::Unix(other)) => one == other,
            (Self::Tcp(one), Self::Tcp(other)) => {
                // IPv6 sockets are opened for IPv6 alone, so the families never meet.
                one.port() != 0
                    && one.port() == other.port()
                    && one.is_ipv4() == other.is_ipv4()
                    && (one.ip() == other.ip()
                        || one.ip().is_unspecified()
                        || other.ip().is_unspecified())
            }
            _ => false,
        }
    }
}

/// Reads all listeners; without any, the default ones on 127.0.0.1.
pub(super) fn read(root: &Table<'_>) -> Vec<Listener> {
    let metrics = root.table("metrics").list::<Bind>("bind");
    let tables = root.tables("listener");
    let mut listeners = Vec::new();
    let mut taken = Vec::new();
    for table in &tables {
        listeners.extend(read_one(table, &mut taken));
    }
    if tables.is_empty() {
        let without = (!metrics.is_empty()).then_some(Service::Metrics);
        listeners.extend(default_listeners().filter(|it| Some(it.service) != without));
    }
    if let Some(first) = metrics.first() {
        if listeners.iter().any(|it| it.service == Service::Metrics) {
            let message = "metrics.bind: there is a [[listener]] of service \"metrics\" too; keep one of them";
            root.source.error(Some(first.at), message);
        }
        check_binds(root.source, Service::Metrics, &metrics, &mut taken);
        listeners.push(plain(
            Service::Metrics,
            metrics.into_iter().map(|it| it.value).collect(),
        ));
    }
    listeners
}

/// The listeners of a server without configured ones.
fn default_listeners() -> impl Iterator<Item = Listener> {
    Service::ALL.into_iter().map(|service| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, service.default_port()));
        plain(service, vec![Bind::Tcp(address)])
    })
}

fn plain(service: Service, bind: Vec<Bind>) -> Listener {
    Listener {
        service,
        bind,
        proxy_protocol_from: Vec::new(),
        plaintext_login: false,
        program: None,
    }
}

/// Addresses taken so far, with what takes them and where that is said.
type Taken = Vec<(Found<Bind>, Service)>;

fn read_one(table: &Table<'_>, taken: &mut Taken) -> Option<Listener> {
    let source = table.source;
    let service = table.get::<Service>("service");
    let bind = table.list::<Bind>("bind");
    let proxies = table.list::<IpNet>("proxy_protocol_from");
    let plaintext_login = table.get::<bool>("plaintext_login");
    let program = table.get::<Program>("program");
    if service.is_none() && !table.has("service") {
        source.error(
            table.at(),
            "listener.service is missing; say what it speaks, such as \"imaps\"",
        );
    }
    if bind.is_empty() && !table.has("bind") {
        source.error(
            table.at(),
            "listener.bind is missing; say where it listens, such as \"0.0.0.0:993\"",
        );
    } else if table.is_empty_list("bind") {
        source.error(
            table.at(),
            "listener.bind is empty; say where it listens, such as \"0.0.0.0:993\"",
        );
    }
    let service = service?.value;
    check_binds(source, service, &bind, taken);
    for proxy in &proxies {
        let everybody = proxy.value.prefix_len() == 0;
        if everybody {
            let message = "listener.proxy_protocol_from: every peer could claim any address; name the proxies alone";
            source.error(Some(proxy.at), message);
        }
    }
    if service == Service::Metrics
        && let Some(first) = proxies.first()
    {
        source.error(
            Some(first.at),
            "listener.proxy_protocol_from: metrics are not served behind the PROXY protocol",
        );
    }
    if let Some(plaintext) = plaintext_login.filter(|it| it.value) {
        check_plaintext(source, service, &bind, &proxies, plaintext.at);
    }
    if let Some(program) = program.filter(|it| !it.value.services().contains(&service)) {
        let message = format!(
            "listener.program: {} does not serve {service}",
            program.value
        );
        source.error(Some(program.at), message);
    }
    Some(Listener {
        service,
        bind: bind.into_iter().map(|it| it.value).collect(),
        proxy_protocol_from: proxies.into_iter().map(|it| it.value).collect(),
        plaintext_login: plaintext_login.is_some_and(|it| it.value),
        program: program.map(|it| it.value),
    })
}

fn check_binds(source: &Source<'_>, service: Service, binds: &[Found<Bind>], taken: &mut Taken) {
    for bind in binds {
        let (address, at) = (&bind.value, bind.at);
        let other = taken.iter().find(|it| it.0.value.conflicts(address));
        if let Some((other, other_service)) = other {
            let line = source.line(other.at);
            let message = format!(
                "listener.bind: {address} is taken by the {other_service} listener of line {line} ({})",
                other.value
            );
            source.error(Some(at), message);
        }
        if matches!(address, Bind::Unix(_)) && service != Service::Lmtp {
            let message =
                format!("listener.bind: only lmtp can listen on a unix socket, {service} cannot");
            source.error(Some(at), message);
        }
        if service == Service::Lmtp && !address.is_local() {
            let message = format!(
                "listener.bind: {address} lets other hosts deliver by lmtp, which knows neither login nor TLS; use a unix socket or a loopback address"
            );
            source.warning(Some(at), message);
        }
        taken.push((bind.clone(), service));
    }
}

fn check_plaintext(
    source: &Source<'_>,
    service: Service,
    bind: &[Found<Bind>],
    proxies: &[Found<IpNet>],
    at: usize,
) {
    if service.tls() != TlsRule::Required {
        let message = format!(
            "listener.plaintext_login: means nothing for {service}; it is for submission, imap and pop3"
        );
        source.error(Some(at), message);
    } else if proxies.is_empty() && !bind.iter().all(|it| it.value.is_local()) {
        let message = "listener.plaintext_login: passwords cross the network in the clear unless a proxy in front has ended the TLS";
        source.warning(Some(at), message);
    }
}

impl Listener {
    /// Whether a peer must begin with a PROXY header, which is then believed.
    pub fn expects_proxy_header(&self, peer: IpAddr) -> bool {
        self.proxy_protocol_from
            .iter()
            .any(|net| net.contains(&peer))
    }
}
