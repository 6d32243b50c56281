//! Listening sockets that somebody else opened for us: a service manager, or the process of which we are the successor.
//!
//! A socket goes to the listener of the service that its name says (`imaps`), or to the listener that is configured for its address.
//! A listener that inherits a socket opens none itself: who opens the sockets decides where it listens.
//!
//! **Invariants.** A socket that is for none of the listeners is an error, never a port on which nobody answers.

use std::io;
use std::net;
use std::os::unix;
use std::str::FromStr;

use super::listener::Socket;
use crate::config::{Bind, Listener, Service};

/// A listening socket that somebody else opened, and what it was called there.
#[derive(Clone, Debug)]
pub struct Inherited {
    name: Option<String>,
    socket: Socket,
}

/// Why an inherited socket cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("inherited socket {socket}: {why}")]
pub struct InheritError {
    socket: String,
    why: String,
}

impl Inherited {
    /// A TCP socket.
    ///
    /// # Errors
    /// It does not listen.
    pub fn tcp(name: Option<String>, listener: net::TcpListener) -> io::Result<Self> {
        listens(&listener)?;
        let socket = Socket::adopt_tcp(listener)?;
        Ok(Self { name, socket })
    }

    /// A unix socket. Its file is not removed at the end.
    ///
    /// # Errors
    /// It does not listen.
    pub fn unix(name: Option<String>, listener: unix::net::UnixListener) -> io::Result<Self> {
        listens(&listener)?;
        let socket = Socket::adopt_unix(listener)?;
        Ok(Self { name, socket })
    }

    /// The service whose name it has.
    fn service(&self) -> Option<Service> {
        self.name
            .as_deref()
            .and_then(|name| Service::from_str(name).ok())
    }

    fn refused(&self, why: impl Into<String>) -> InheritError {
        let bound = self.socket.bound();
        let socket = match &self.name {
            Some(name) => format!("{name} ({bound})"),
            None => bound.to_string(),
        };
        let why = why.into();
        InheritError { socket, why }
    }

    /// The listener that it is for.
    fn heir(&self, listeners: &[&Listener]) -> Result<usize, InheritError> {
        let covered = |listener: &Listener| listener.bind.iter().any(|it| self.socket.covers(it));
        let Some(service) = self.service() else {
            let heir = listeners.iter().position(|it| covered(it));
            return heir.ok_or_else(|| {
                self.refused("no listener of this program has this address, and its name is not that of a service")
            });
        };
        if matches!(self.socket.bound(), Bind::Unix(_)) && service != Service::Lmtp {
            return Err(self.refused("only lmtp can listen on a unix socket"));
        }
        let places = listeners.iter().enumerate();
        let namesakes: Vec<_> = places.filter(|(_, it)| it.service == service).collect();
        match namesakes[..] {
            [] => Err(self.refused(format!("this program has no listener for {service}"))),
            [(place, _)] => Ok(place),
            _ => {
                let heir = namesakes.iter().find(|(_, it)| covered(it));
                heir.map(|(place, _)| *place).ok_or_else(|| {
                    self.refused(format!(
                        "there are several listeners for {service}, and none of them has this address"
                    ))
                })
            }
        }
    }
}

fn listens(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    match socket2::SockRef::from(socket).is_listener()? {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the socket does not listen",
        )),
    }
}

/// Gives each socket to its listener: for each listener those that it inherits.
///
/// # Errors
/// A socket that is for none of them.
pub fn assign(
    listeners: &[&Listener],
    inherited: Vec<Inherited>,
) -> Result<Vec<Vec<Socket>>, InheritError> {
    let mut heirs = vec![Vec::new(); listeners.len()];
    for one in inherited {
        let heir = one.heir(listeners)?;
        heirs[heir].push(one.socket);
    }
    Ok(heirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(service: Service, bind: &[&str]) -> Listener {
        let bind = bind.iter().map(|it| it.parse().expect("an address"));
        Listener {
            service,
            bind: bind.collect(),
            proxy_protocol_from: Vec::new(),
            plaintext_login: false,
            program: None,
        }
    }

    fn tcp(name: Option<&str>, address: &str) -> (Inherited, u16) {
        let socket = net::TcpListener::bind(address).expect("a free port");
        let port = socket.local_addr().expect("bound").port();
        let one = Inherited::tcp(name.map(str::to_owned), socket).expect("it listens");
        (one, port)
    }

    fn places(listeners: &[Listener], one: Inherited) -> Result<Vec<usize>, String> {
        let listeners: Vec<_> = listeners.iter().collect();
        let heirs = assign(&listeners, vec![one]).map_err(|error| error.to_string())?;
        let places = heirs.iter().enumerate();
        let places = places.filter(|(_, sockets)| !sockets.is_empty());
        Ok(places.map(|(place, _)| place).collect())
    }

    #[test]
    fn a_name_decides_before_an_address() {
        let (socket, port) = tcp(Some("imaps"), "127.0.0.1:0");
        let here = format!("127.0.0.1:{port}");
        let listeners = [
            listener(Service::Imap, &[&here]),
            listener(Service::Imaps, &["127.0.0.1:993"]),
        ];
        assert_eq!(places(&listeners, socket), Ok(vec![1]));
    }

    #[test]
    fn an_address_decides_where_the_name_says_nothing() {
        for name in [None, Some("postrider-imapd.socket"), Some("unknown")] {
            let (socket, port) = tcp(name, "127.0.0.1:0");
            let here = format!("127.0.0.1:{port}");
            let listeners = [
                listener(Service::Imaps, &["127.0.0.1:993"]),
                listener(Service::Imap, &["127.0.0.1:143", &here]),
            ];
            assert_eq!(places(&listeners, socket), Ok(vec![1]), "{name:?}");
        }
    }

    #[test]
    fn of_listeners_of_one_service_the_address_decides() {
        let (socket, port) = tcp(Some("smtp"), "127.0.0.1:0");
        let here = format!("127.0.0.1:{port}");
        let mut listeners = vec![
            listener(Service::Smtp, &["127.0.0.1:25"]),
            listener(Service::Smtp, &[&here]),
        ];
        assert_eq!(places(&listeners, socket.clone()), Ok(vec![1]));
        listeners.pop();
        listeners.push(listener(Service::Smtp, &["127.0.0.1:26"]));
        let refused = places(&listeners, socket).expect_err("neither has it");
        assert!(
            refused.contains("smtp") && refused.contains(&here),
            "{refused}"
        );
    }

    #[test]
    fn a_socket_for_nobody_is_named() {
        let listeners = [listener(Service::Imaps, &["127.0.0.1:993"])];
        for name in [Some("pop3s"), Some("strange"), None] {
            let (socket, port) = tcp(name, "127.0.0.1:0");
            let refused = places(&listeners, socket).expect_err("nobody's");
            let here = format!("127.0.0.1:{port}");
            assert!(refused.contains(&here), "{refused}");
            assert!(refused.contains(name.unwrap_or("")), "{refused}");
        }
    }

    #[test]
    fn a_socket_of_both_families_stands_for_both() {
        // As systemd opens `ListenStream=993`.
        let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None);
        let Ok(socket) = socket else {
            return; // A machine without IPv6.
        };
        socket.set_only_v6(false).expect("an IPv6 socket");
        let any: net::SocketAddr = "[::]:0".parse().expect("an address");
        socket.bind(&any.into()).expect("a free port");
        socket.listen(1).expect("listens");
        let both = Inherited::tcp(None, socket.into()).expect("it listens");
        let Bind::Tcp(address) = both.socket.bound() else {
            panic!("it is TCP");
        };
        let port = address.port();
        for (bind, covered) in [
            (format!("0.0.0.0:{port}"), true),
            (format!("[::]:{port}"), true),
            (format!("127.0.0.1:{port}"), false),
        ] {
            let listeners = [listener(Service::Imaps, &[&bind])];
            assert_eq!(places(&listeners, both.clone()).is_ok(), covered, "{bind}");
        }
    }

    #[test]
    fn unix_sockets_are_for_lmtp() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lmtp.sock");
        let open = |name: Option<&str>| {
            let _ = std::fs::remove_file(&path);
            let listener = unix::net::UnixListener::bind(&path).expect("bound");
            Inherited::unix(name.map(str::to_owned), listener).expect("it listens")
        };
        let here = path.to_str().expect("UTF-8");
        let listeners = [
            listener(Service::Imaps, &["127.0.0.1:993"]),
            listener(Service::Lmtp, &[here]),
        ];
        assert_eq!(places(&listeners, open(None)), Ok(vec![1]));
        assert_eq!(places(&listeners, open(Some("lmtp"))), Ok(vec![1]));
        let refused = places(&listeners, open(Some("imaps"))).expect_err("TLS on a file");
        assert!(refused.contains("unix"), "{refused}");
        assert!(path.exists(), "who made the file removes it");
    }

    #[test]
    fn a_socket_that_does_not_listen_is_refused() {
        let (listening, _) = tcp(None, "127.0.0.1:0");
        let Bind::Tcp(address) = listening.socket.bound() else {
            panic!("it is TCP");
        };
        let connected = net::TcpStream::connect(address).expect("connected");
        let connected = net::TcpListener::from(std::os::fd::OwnedFd::from(connected));
        assert!(Inherited::tcp(None, connected).is_err());
    }
}
