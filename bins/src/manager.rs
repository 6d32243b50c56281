//! What we tell the service manager: the protocol of `sd_notify(3)`, a datagram of lines to the socket that `NOTIFY_SOCKET` names.
//!
//! **On failure.** Whoever cannot be told is none of our clients' affair: a line in the log, one for each time that it begins.

use std::{
    env,
    ffi::OsStr,
    fmt::Write,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    pin::Pin,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::task::JoinHandle;

/// How long a service manager that is busy with itself is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it hears how far we are while we go.
const PROGRESS: Duration = Duration::from_secs(1);
/// How long each such word gives us, beyond what its own limit allows: who hangs stops saying so, and is killed then.
const EXTENSION: Duration = Duration::from_secs(15);

/// What is seen of an engine from beside it, also while it drains.
pub trait Watch: Send + Sync + 'static {
    /// Connections that are open.
    fn connections(&self) -> usize;
    /// Whether it is alive: all of its parts answer in this time, or which do not.
    fn alive(&self, patience: Duration) -> Alive<'_>;
}

/// Whether an engine is alive, some time later.
pub type Alive<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// The service manager, if one started us. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Manager(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: Option<SocketAddr>,
    watchdog: Option<Duration>,
    unheard: AtomicBool,
}

impl Manager {
    /// The one that the environment names.
    pub fn of_environment() -> Self {
        let number = |name| env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
        let for_us = match env::var_os("WATCHDOG_PID") {
            Some(_) => number("WATCHDOG_PID") == Some(process::id().into()),
            None => true,
        };
        let watchdog = number("WATCHDOG_USEC").filter(|_| for_us);
        let socket = env::var_os("NOTIFY_SOCKET");
        Self::new(socket.as_deref(), watchdog.map(Duration::from_micros))
    }

    /// The one behind this socket: a path, or `@` and a name without a file. It acts when it has not heard for `watchdog` that we are
    /// alive.
    pub fn new(socket: Option<&OsStr>, watchdog: Option<Duration>) -> Self {
        let address = socket.and_then(|name| match address(name) {
            Ok(address) => Some(address),
            Err(error) => {
                tracing::warn!(NOTIFY_SOCKET = ?name, %error, "cannot tell the service manager anything");
                None
            }
        });
        Self(Arc::new(Inner {
            address,
            watchdog: watchdog.filter(|it| !it.is_zero()),
            unheard: AtomicBool::new(false),
        }))
    }

    /// Tells it this, all at once.
    pub fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(address) = &self.0.address else {
            return;
        };
        let was_unheard = &self.0.unheard;
        match send(address, &text(states)) {
            Ok(()) => was_unheard.store(false, Ordering::Relaxed),
            Err(error) if was_unheard.swap(true, Ordering::Relaxed) => {
                tracing::debug!(%error, "cannot tell the service manager");
            }
            Err(error) => tracing::warn!(%error, "cannot tell the service manager"),
        }
    }

    /// Tells it in good time that the engine is alive, as long as that is so and it wants to know.
    pub fn keep_watch(&self, watch: &Arc<dyn Watch>) -> Option<Beside> {
        self.0.address.as_ref()?;
        let period = (self.0.watchdog? / 2).max(Duration::from_millis(1));
        let (manager, watch) = (self.clone(), Arc::clone(watch));
        let task = tokio::spawn(async move {
            let mut silent = false;
            loop {
                // Half of a period, so that the word still comes in time.
                match watch.alive(period / 2).await {
                    Ok(()) => {
                        if silent {
                            tracing::info!("alive again");
                        }
                        silent = false;
                        manager.tell(&[NotifyState::Watchdog]);
                        tokio::time::sleep(period).await;
                    }
                    Err(reason) => {
                        if !silent {
                            tracing::error!(%reason, "not alive; the service manager may end this process");
                        }
                        silent = true;
                        tokio::time::sleep(period / 4).await;
                    }
                }
            }
        });
        Some(Beside(task))
    }

    /// Tells it again and again who is still here.
    pub fn keep_telling(&self, what: Going, watch: &Arc<dyn Watch>) -> Option<Beside> {
        self.0.address.as_ref()?;
        let (manager, watch) = (self.clone(), Arc::clone(watch));
        let task = tokio::spawn(async move {
            loop {
                let status = match (what, watch.connections()) {
                    (Going::Retired, 1) => "retired, 1 connection open".to_owned(),
                    (Going::Retired, open) => format!("retired, {open} connections open"),
                    (Going::Draining, 1) => "draining, 1 connection open".to_owned(),
                    (Going::Draining, open) => format!("draining, {open} connections open"),
                };
                let microseconds = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
                let extension = NotifyState::ExtendTimeoutUsec(microseconds);
                match what {
                    Going::Retired => manager.tell(&[NotifyState::Status(&status)]),
                    Going::Draining => manager.tell(&[NotifyState::Status(&status), extension]),
                }
                tokio::time::sleep(PROGRESS).await;
            }
        });
        Some(Beside(task))
    }
}

/// How we go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Going {
    /// When the last client has left.
    Retired,
    /// As soon as what is open has ended.
    Draining,
}

/// Something told beside all else, until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Beside(JoinHandle<()>);

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A path, or `@` and the name of an abstract socket.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(socket),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "neither the absolute path of a socket nor @ and the name of one",
        )),
    }
}

/// One line for each.
fn text(states: &[NotifyState<'_>]) -> String {
    let mut text = String::new();
    for state in states {
        let line = state.to_string();
        // A status of several lines would be several words.
        let line = line.replace(char::is_control, " ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    }
    text
}

fn send(address: &SocketAddr, text: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.send_to_addr(text.as_bytes(), address).map(drop)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{path::Path, sync::atomic::AtomicUsize};

    use super::*;

    /// A service manager that writes down what it hears.
    pub(crate) struct Ear(UnixDatagram);

    impl Ear {
        pub(crate) fn at(path: &Path) -> Self {
            Self::of(UnixDatagram::bind(path).expect("a socket"))
        }

        fn of(socket: UnixDatagram) -> Self {
            socket.set_nonblocking(true).expect("a socket");
            Self(socket)
        }

        /// What it was told since the last time, each a text of its own.
        pub(crate) fn heard(&self) -> Vec<String> {
            let mut heard = Vec::new();
            let mut octets = [0; 4096];
            while let Ok(length) = self.0.recv(&mut octets) {
                heard.push(String::from_utf8_lossy(&octets[..length]).into_owned());
            }
            heard
        }
    }

    /// An engine that can be held.
    #[derive(Default)]
    pub(crate) struct Held {
        pub(crate) silent: AtomicBool,
        pub(crate) connections: AtomicUsize,
    }

    impl Watch for Held {
        fn connections(&self) -> usize {
            self.connections.load(Ordering::SeqCst)
        }

        fn alive(&self, patience: Duration) -> Alive<'_> {
            Box::pin(async move {
                if self.silent.load(Ordering::SeqCst) {
                    tokio::time::sleep(patience).await;
                    return Err("1 of 2 arbiters do not answer".to_owned());
                }
                Ok(())
            })
        }
    }

    #[test]
    fn words_reach_sockets_with_and_without_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let name = format!("postrider-test-{}", process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let abstract_socket = UnixDatagram::bind_addr(&abstract_address).expect("a free name");
        for (ear, socket) in [
            (Ear::at(&path), path.clone().into_os_string()),
            (Ear::of(abstract_socket), format!("@{name}").into()),
        ] {
            let manager = Manager::new(Some(&socket), None);
            let status = NotifyState::Status("one\nREADY=1");
            manager.tell(&[NotifyState::Stopping, status]);
            assert_eq!(ear.heard(), ["STOPPING=1\nSTATUS=one READY=1\n"]);
        }
    }

    #[test]
    fn a_broken_socket_fails_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let nobody = folder.path().join("nobody");
        let long = format!("/{}", "x".repeat(200));
        for socket in [
            "",
            "@",
            "relative",
            "vsock:2:1",
            &long,
            nobody.to_str().expect("UTF-8"),
        ] {
            let manager = Manager::new(Some(OsStr::new(socket)), None);
            manager.tell(&[NotifyState::Ready]);
            manager.tell(&[NotifyState::Stopping]);
        }
        // And one that comes later is told again.
        let manager = Manager::new(Some(nobody.as_os_str()), None);
        manager.tell(&[NotifyState::Ready]);
        let ear = Ear::at(&nobody);
        manager.tell(&[NotifyState::Stopping]);
        assert_eq!(ear.heard(), ["STOPPING=1\n"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_hears_only_of_an_engine_that_answers() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let ear = Ear::at(&path);
        let patience = Duration::from_secs(40);
        let manager = Manager::new(Some(path.as_os_str()), Some(patience));
        let held = Arc::new(Held::default());
        let watch: Arc<dyn Watch> = held.clone();
        let watching = manager.keep_watch(&watch).expect("it is wanted");

        tokio::time::sleep(Duration::from_secs(90)).await;
        // At the start, and after 20, 40, 60 and 80 seconds.
        assert_eq!(ear.heard(), ["WATCHDOG=1\n"; 5]);
        held.silent.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(ear.heard(), [""; 0], "while it does not answer");
        held.silent.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(!ear.heard().is_empty(), "as soon as it answers again");
        drop(watching);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(ear.heard(), [""; 0], "after the end");

        let unasked = Manager::new(Some(path.as_os_str()), None);
        assert!(unasked.keep_watch(&watch).is_none());
        let zero = Manager::new(Some(path.as_os_str()), Some(Duration::ZERO));
        assert!(zero.keep_watch(&watch).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_drains_asks_for_time_and_says_for_whom() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let ear = Ear::at(&path);
        let manager = Manager::new(Some(path.as_os_str()), None);
        let held = Arc::new(Held::default());
        let watch: Arc<dyn Watch> = held.clone();
        held.connections.store(2, Ordering::SeqCst);
        let telling = manager.keep_telling(Going::Draining, &watch);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let two = "STATUS=draining, 2 connections open\nEXTEND_TIMEOUT_USEC=15000000\n";
        assert_eq!(ear.heard(), [two]);
        held.connections.store(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let one = "STATUS=draining, 1 connection open\nEXTEND_TIMEOUT_USEC=15000000\n";
        assert_eq!(ear.heard(), [one]);
        drop(telling);
        // A process that only waits for its last client is not stopping yet.
        let telling = manager.keep_telling(Going::Retired, &watch);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(ear.heard(), ["STATUS=retired, 1 connection open\n"]);
        drop(telling);
    }
}
