//! The engine: builds the actors from a configuration, runs them, drains them.
//!
//! Started right to left, stopped left to right: what others ask stands before they can ask it, and goes after the last of them.
//!
//! **On failure.** A supervisor that used up its restarts is told by [`Running::failed`]; the process ends with that reason and
//! the service manager is the last supervisor.

mod listen;
mod maildrops;
mod mark;
mod parts;
mod pulse;
mod sessions;
mod start;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::Mutex;

use crate::actor::{Arbiters, Failures, ServiceRuntime, Stage};
use crate::admin::Admin;
use crate::auth::{Authenticator, Resolver};
use crate::config::{Bind, Config, Program, Service};
use crate::filter::{Filter, OnFailure};
use crate::index::IndexPool;
use crate::limits::rates::Rates;
use crate::net::inherited::{InheritError, Inherited};
use crate::net::limit::Limiter;
use crate::net::listener::Accepted;
use crate::net::peer::Remote;
use crate::net::stream::Plain;
use crate::net::tls::{CertificateError, Certificates};

pub(crate) use maildrops::MaildropLock;
pub(crate) use parts::Services;
pub use pulse::{Pulse, Silent};
pub(crate) use sessions::Entry;

/// What an embedder puts in the place of, or beside, what the configuration says.
#[derive(Default)]
pub struct Parts {
    /// Only the services of these programs are started; all if empty.
    pub programs: Vec<Program>,
    /// Resolvers that are asked before the local one, in this order.
    pub resolvers: Vec<Arc<dyn Resolver>>,
    /// Filters that every message passes, in this order.
    pub filters: Vec<(Arc<dyn Filter>, OnFailure)>,
    /// Index in place of the configured one.
    pub index: Option<Arc<dyn postrider_storage::index::Index>>,
    /// Store in place of the configured one.
    pub store: Option<Arc<dyn postrider_storage::blob::BlobStore>>,
    /// Listening sockets that somebody opened already; their listeners open none themselves.
    pub sockets: Vec<Inherited>,
}

/// Why an engine did not start. Nothing of it runs then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The index, the store or the spool cannot be opened.
    #[error("{what}: {error}")]
    Storage {
        /// Which of them.
        what: &'static str,
        /// Why.
        error: String,
    },
    /// A certificate is missing, broken or does not match its key.
    #[error("TLS: {0}")]
    Tls(String),
    /// A socket cannot be bound.
    #[error(transparent)]
    Listen(#[from] crate::net::listener::ListenError),
    /// A socket that was opened for us is for none of the listeners.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// The operating system gives no threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] std::io::Error),
    /// The configuration names what this build lacks.
    #[error("{0}")]
    Unsupported(String),
}

/// A running engine.
pub struct Running {
    ports: BTreeMap<String, u16>,
    binds: Vec<(Service, Bind)>,
    doors: Vec<Arc<listen::Door>>,
    certificates: Arc<Certificates>,
    limiter: Limiter,
    auth: Authenticator,
    rates: Arc<Rates>,
    failures: Mutex<Failures>,
    stages: crate::actor::Stages,
    runtime: ServiceRuntime,
    arbiters: Arbiters,
    index: IndexPool,
    pulse: Pulse,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}

/// How often an engine that retires looks whether anybody is left.
const LOOK_FOR_LAST: Duration = Duration::from_millis(100);
/// Octets that a connection in memory holds in each direction.
const IN_MEMORY: usize = 64 * 1024;

/// The engine.
#[derive(Clone, Copy, Debug)]
pub struct Engine;

impl Engine {
    /// Builds everything and listens. When this returns every listener takes connections. To be called inside an actix system
    /// (`#[actix_rt::main]`), which must live as long as the engine.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config, parts: Parts) -> Result<Running, StartError> {
        start::start(config, parts).await
    }
}

impl Running {
    /// The TCP ports taken, by service name.
    pub fn ports(&self) -> &BTreeMap<String, u16> {
        &self.ports
    }

    /// Where every service really listens.
    pub fn binds(&self) -> &[(Service, Bind)] {
        &self.binds
    }

    /// The client's end of a new connection in memory, through the first configured listener of this service, with its TLS and
    /// its limits: what a socket would get, without one. `None` if there is no such listener, or no room for a connection.
    pub fn connect(&self, service: Service) -> Option<DuplexStream> {
        let door = self.doors.iter().find(|door| door.service() == service)?;
        let slot = self.limiter.try_slot(service)?;
        let (client, server) = tokio::io::duplex(IN_MEMORY);
        let accepted = Accepted {
            transport: Plain::Memory(server),
            remote: Remote::Unix,
            local: None,
            slot,
        };
        let door = door.clone();
        let started = self.arbiters.pick()?.spawn_fn(move || {
            actix_rt::spawn(door.serve(accepted));
        });
        started.then_some(client)
    }

    /// Acts on accounts as their operator: whoever loses the right to be here is sent away at once.
    pub fn admin(&self) -> Admin {
        Admin::of(&self.index)
    }

    /// The index, for embedders that administer accounts.
    pub fn index(&self) -> &IndexPool {
        &self.index
    }

    /// Takes over what can change under running connections: certificates, limits, rates, throttle. Reads files: blocks for a moment.
    ///
    /// # Errors
    /// A certificate that is no good; the old one stays.
    pub fn reload(&self, config: &Config) -> Result<(), CertificateError> {
        self.limiter.set((&config.limits).into());
        self.rates.set(&config.limits);
        self.auth.set(&config.auth, config.limits.exempt.clone());
        self.certificates.reload()
    }

    /// What tells whether the engine is alive.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Lets go of the listeners and comes back when the last connection has ended by itself; connections go on as if nothing had
    /// happened. To be followed by [`drain`](Self::drain), which may also cut it short: it may be dropped at any time.
    pub async fn retire(&self, patience: Duration) {
        self.stages.stop_one(Stage::Listeners, patience).await;
        while self.limiter.open() > 0 {
            tokio::time::sleep(LOOK_FOR_LAST).await;
        }
    }

    /// Waits until an actor has failed for good, and says which.
    pub async fn failed(&self) -> String {
        match self.failures.lock().await.next().await {
            Some(failure) => failure.to_string(),
            None => std::future::pending().await,
        }
    }

    /// Stops in order: no new connections, open commands end, everything written is written. What does not end in time is cut off.
    pub async fn drain(self, patience: Duration) {
        let report = self.stages.stop(|_| patience).await;
        tracing::info!(clean = report.is_clean(), "drained");
        self.pulse.stop().await;
        self.arbiters.stop();
        self.runtime.stop(patience).await;
    }
}
