//! Sockets that clients connect to, and the loop that accepts.
//!
//! A TCP address is bound once a worker (SO_REUSEPORT), so that the kernel spreads the connections and no
//! worker waits for another; a unix socket is shared. A [`Socket`] outlives the loop on it: a loop that
//! failed is started again on the same socket, and the clients that wait in its backlog notice nothing.
//!
//! **Invariants.** A connection is accepted while a slot is free, and handed over with that slot. A failing
//! accept never spins: what is wrong with one connection is skipped, all else (no file descriptors, no memory)
//! is retried after a growing pause.
//! **Bounds.** A loop holds at most one accepted connection that waits for its slot.

use std::io;
use std::net::{self, SocketAddr};
use std::os::unix;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::limit::{Limiter, Slot};
use super::peer::{Remote, canonical};
use super::stream::Plain;
use crate::config::{Bind, Service};
use crate::limits::{self, Limit};
use crate::telemetry::metrics::{ACCEPT_ERRORS, CONNECTIONS};

/// Connections that the kernel holds until they are accepted; it takes less if `somaxconn` is less.
const BACKLOG: i32 = 1024;

/// Why nothing listens there.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {bind}: {source}")]
pub struct ListenError {
    /// Where.
    pub bind: Bind,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// A listening socket. Its clones are the same socket; it closes with the last of them.
#[derive(Clone, Debug)]
pub struct Socket(Arc<Bound>);

#[derive(Debug)]
enum Bound {
    Tcp(net::TcpListener, SocketAddr),
    Unix(unix::net::UnixListener, SocketFile),
}

impl Socket {
    /// Listens there, with one socket for each of so many workers, of which there is at least one.
    ///
    /// A unix socket gets the permissions `mode`.
    pub fn bind(bind: &Bind, workers: usize, mode: u32) -> Result<Vec<Self>, ListenError> {
        let workers = workers.max(1);
        let sockets = match bind {
            Bind::Tcp(address) => bind_tcp(*address, workers),
            Bind::Unix(path) => bind_unix(path, workers, mode),
        };
        sockets.map_err(|source| ListenError {
            bind: bind.clone(),
            source,
        })
    }

    /// Where it really listens: the port taken in place of port 0.
    pub fn bound(&self) -> Bind {
        match &*self.0 {
            Bound::Tcp(_, address) => Bind::Tcp(*address),
            Bound::Unix(_, file) => Bind::Unix(file.path.clone()),
        }
    }

    /// Whether who connects to this address comes out here. An IPv6 socket for any address also stands for any IPv4 address, unless it is
    /// for IPv6 alone.
    pub fn covers(&self, bind: &Bind) -> bool {
        match (&*self.0, bind) {
            (Bound::Tcp(socket, bound), Bind::Tcp(wanted)) => {
                let any = bound.ip().is_unspecified() && wanted.ip().is_unspecified();
                let both =
                    || bound.is_ipv6() && SockRef::from(socket).only_v6().is_ok_and(|it| !it);
                bound == wanted || (any && bound.port() == wanted.port() && both())
            }
            (Bound::Unix(_, file), Bind::Unix(wanted)) => file.path == *wanted,
            _ => false,
        }
    }

    /// One for each of so many workers: the same socket, out of which each takes what it can.
    pub fn shared(self, workers: usize) -> Vec<Self> {
        vec![self; workers.max(1)]
    }

    /// The TCP socket for who has an accept loop of its own. Must be called in the runtime that will use it.
    ///
    /// # Errors
    /// It is a unix socket, or the runtime does not take it.
    pub fn tokio_tcp(&self) -> io::Result<TcpListener> {
        match &*self.0 {
            Bound::Tcp(socket, _) => TcpListener::from_std(socket.try_clone()?),
            Bound::Unix(..) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Takes over a socket that listens already, as the service manager hands it.
    pub fn adopt_tcp(listener: net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self(Arc::new(Bound::Tcp(listener, address))))
    }

    /// Takes over a unix socket that listens already. Its file is not removed at the end.
    pub fn adopt_unix(listener: unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let file = SocketFile {
            path: address.as_pathname().unwrap_or(Path::new("")).to_owned(),
            made: None,
        };
        Ok(Self(Arc::new(Bound::Unix(listener, file))))
    }

    /// Accepts connections for `service` and hands them to `serve`, until `drain`.
    ///
    /// `serve` must start something and return. Must be called in a runtime with I/O. After a drain drop the
    /// socket, all clones of it: until then the kernel keeps taking connections that nobody serves.
    ///
    /// # Errors
    /// The runtime does not take the socket; nothing was accepted.
    pub async fn accept(
        &self,
        service: Service,
        limiter: &Limiter,
        drain: &CancellationToken,
        serve: impl FnMut(Accepted),
    ) -> io::Result<()> {
        match &*self.0 {
            Bound::Tcp(socket, _) => {
                let source = TcpListener::from_std(socket.try_clone()?)?;
                accept_loop(service, limiter, drain, source, serve).await;
            }
            Bound::Unix(socket, _) => {
                let source = UnixListener::from_std(socket.try_clone()?)?;
                accept_loop(service, limiter, drain, source, serve).await;
            }
        }
        Ok(())
    }
}

/// A connection as it came in.
#[derive(Debug)]
pub struct Accepted {
    /// Read from here; nothing was read yet.
    pub transport: Plain,
    /// The peer: a client, or a proxy in front of it.
    pub remote: Remote,
    /// The address that it connected to.
    pub local: Option<SocketAddr>,
    /// Its place among all connections.
    pub slot: Slot,
}

/// Where connections come from.
trait Source {
    /// The next one.
    fn next(&mut self) -> impl Future<Output = io::Result<Connected>> + Send;
}

type Connected = (Plain, Remote, Option<SocketAddr>);

impl Source for TcpListener {
    async fn next(&mut self) -> io::Result<Connected> {
        let (tcp, remote) = self.accept().await?;
        tune(&tcp);
        let local = tcp.local_addr().ok().map(canonical);
        Ok((Plain::Tcp(tcp), Remote::inet(remote), local))
    }
}

impl Source for UnixListener {
    async fn next(&mut self) -> io::Result<Connected> {
        let (unix, _) = self.accept().await?;
        Ok((Plain::Unix(unix), Remote::Unix, None))
    }
}

async fn accept_loop(
    service: Service,
    limiter: &Limiter,
    drain: &CancellationToken,
    mut source: impl Source,
    mut serve: impl FnMut(Accepted),
) {
    let connections = metrics::counter!(CONNECTIONS, "service" => service.name());
    let mut backoff = Backoff::default();
    let work = async {
        loop {
            if limiter.is_full() {
                // Told once for each time that clients must wait in the backlog.
                limits::reached(Limit::Connections);
                limiter.free().await;
            }
            match source.next().await {
                Ok((transport, remote, local)) => {
                    backoff.reset();
                    connections.increment(1);
                    let slot = limiter.slot(service).await;
                    serve(Accepted {
                        transport,
                        remote,
                        local,
                        slot,
                    });
                }
                Err(error) if concerns_one(&error) => {}
                Err(error) => {
                    metrics::counter!(ACCEPT_ERRORS, "service" => service.name()).increment(1);
                    if backoff.is_loud() {
                        tracing::warn!(%service, %error, "cannot accept connections");
                    }
                    sleep(backoff.pause()).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = drain.cancelled() => {}
        () = work => {}
    }
}

/// Whether an error of accept is about a connection that is gone, so that the next one may be fine.
fn concerns_one(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::HostUnreachable
            | Kind::Interrupted
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::PermissionDenied
    )
}

/// A pause that doubles from ten milliseconds to a second.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
    told: Option<Instant>,
}

impl Backoff {
    fn reset(&mut self) {
        self.failures = 0;
    }

    fn pause(&mut self) -> Duration {
        let pause = Duration::from_millis(10 << self.failures.min(7)).min(Duration::from_secs(1));
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Once a minute.
    fn is_loud(&mut self) -> bool {
        let now = Instant::now();
        let loud = self
            .told
            .is_none_or(|told| now - told >= Duration::from_secs(60));
        if loud {
            self.told = Some(now);
        }
        loud
    }
}

/// Answers leave at once, and a client that vanished is found out within ten minutes.
fn tune(tcp: &tokio::net::TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(300))
        .with_interval(Duration::from_secs(60))
        .with_retries(5);
    // Fails only if the client is gone already, which the first read will say.
    let _ = tcp.set_nodelay(true);
    let _ = SockRef::from(tcp).set_tcp_keepalive(&keepalive);
}

fn bind_tcp(address: SocketAddr, workers: usize) -> io::Result<Vec<Socket>> {
    // With SO_REUSEPORT a second server on the same port would go unnoticed and take half of the mail.
    let alone = tcp_socket(address)?;
    if workers == 1 || address.port() != 0 {
        alone.bind(&address.into())?;
    }
    if workers == 1 {
        return Ok(vec![listen(alone)?]);
    }
    drop(alone);
    let mut sockets = Vec::with_capacity(workers);
    let mut address = address;
    for _ in 0..workers {
        let socket = tcp_socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        let socket = listen(socket)?;
        if let Bind::Tcp(bound) = socket.bound() {
            address = bound;
        }
        sockets.push(socket);
    }
    Ok(sockets)
}

fn tcp_socket(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn listen(socket: socket2::Socket) -> io::Result<Socket> {
    socket.listen(BACKLOG)?;
    Socket::adopt_tcp(socket.into())
}

fn bind_unix(path: &Path, workers: usize, mode: u32) -> io::Result<Vec<Socket>> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};

    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            // Left behind by a crash, unless somebody answers.
            if unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            std::fs::remove_file(path)?;
        }
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = unix::net::UnixListener::bind(path)?;
    let file = SocketFile::new(path)?;
    listener.set_nonblocking(true)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    let socket = Socket(Arc::new(Bound::Unix(listener, file)));
    Ok(vec![socket; workers])
}

/// The file of a unix socket; goes with the socket, unless another has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Which file we made there, if we did.
    made: Option<(u64, u64)>,
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            made: Some(identity(path)?),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.made.is_some() && identity(&self.path).ok() == self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests;
