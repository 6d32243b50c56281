//! Connections, as many as are allowed, kept for the next who needs one.
//!
//! **Invariants.** A connection comes back only from who ended its transaction, and only if it is not lost.
//! **Bounds.** `size` connections; who finds none free waits at most [`WAIT`]. The idle ones beyond what is used are closed after [`IDLE`].
//! **On failure.** Who finds the database away tries again until [`WAIT`] is over, one for all and less often the longer it lasts; the others
//! wait for what that one finds.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use tokio_postgres::{Socket, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    conn::{self, Conn},
    tls,
    url::{self, Target},
};
use crate::Error;

/// How long somebody waits for a connection.
const WAIT: Duration = Duration::from_secs(5);
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(300);
/// Pauses between attempts to reach a database that is away, the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long a whole login may take beyond what TCP was given: TLS, and the server's own start.
const LOGIN: Duration = Duration::from_secs(10);

/// What TLS makes of a socket.
type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// The connections of an index.
pub(super) struct Pool {
    pub(super) target: Target,
    tls: MakeRustlsConnect,
    pub(super) runtime: Handle,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<(Conn, Instant)>>,
    /// Held by who tries to reach a database that is away: how often it failed, and when to try again.
    away: tokio::sync::Mutex<Option<(u32, Instant)>>,
    /// A connection came back.
    back: Notify,
    /// Servers keep statements.
    keeps: AtomicBool,
}

/// A connection for one transaction. It goes back if it is given back, and is closed otherwise.
pub(super) struct Lease {
    pub(super) conn: Conn,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    /// Connections to what a URL names; none is opened yet.
    pub(super) async fn at(
        url: &str,
        password: Option<&str>,
        size: u32,
        runtime: Handle,
    ) -> Result<Arc<Pool>, Error> {
        let refused = |text: String| Error::Unavailable(format!("URL of the database: {text}"));
        let target = url::read(url, password).map_err(refused)?;
        let trust = target.trust.clone();
        let tls = runtime.spawn_blocking(move || tls::connector(&trust)).await;
        let tls = tls.map_err(|it| Error::Unavailable(it.to_string()))?;
        let tls = tls.map_err(|it| Error::Unavailable(format!("TLS to the database: {it}")))?;
        let size = usize::try_from(size).unwrap_or(1).max(1);
        Ok(Arc::new(Pool {
            target,
            tls,
            runtime,
            places: Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS))),
            idle: Mutex::default(),
            away: tokio::sync::Mutex::default(),
            back: Notify::new(),
            keeps: AtomicBool::new(true),
        }))
    }

    /// A connection that is there, if one is.
    pub(super) fn at_once(&self) -> Option<Lease> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let conn = self.kept()?;
        Some(Lease {
            conn,
            _place: place,
        })
    }

    /// Whether a connection is there, and a place is left beside it.
    pub(super) fn has_spare(&self) -> bool {
        self.places.available_permits() > 1 && !self.idle().is_empty()
    }

    /// A connection; on the runtime of the pool alone.
    pub(super) async fn lease(&self) -> Result<Lease, Error> {
        let until = Instant::now() + WAIT;
        let place = timeout_at(until, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let text = "too many wait for a connection to the database";
            return Err(Error::Unavailable(text.to_owned()));
        };
        let conn = match self.kept() {
            Some(conn) => conn,
            None => self.reach(until).await?,
        };
        Ok(Lease {
            conn,
            _place: place,
        })
    }

    /// Takes back a connection on which no transaction is open.
    pub(super) fn give_back(&self, lease: Lease) {
        if lease.conn.lost() {
            // What was opened beside it has most likely met the same end.
            self.idle().retain(|(conn, _)| !conn.lost());
            return;
        }
        let now = Instant::now();
        let mut idle = self.idle();
        self.back.notify_one();
        idle.push((lease.conn, now));
        // The last used is used next, so the first are those that are not needed.
        if idle.first().is_some_and(|(_, since)| now - *since > IDLE) {
            idle.remove(0);
        }
    }

    /// How connections are wrapped, for a word beside one of them.
    pub(super) fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }

    /// Whether servers keep statements, as far as one knows.
    pub(super) fn keeps(&self) -> bool {
        self.keeps.load(Ordering::Relaxed)
    }

    /// Somebody found out that they do not.
    pub(super) fn keep_nothing(&self) {
        self.keeps.store(false, Ordering::Relaxed);
    }

    fn kept(&self) -> Option<Conn> {
        let mut idle = self.idle();
        while let Some((conn, _)) = idle.pop() {
            if !conn.lost() {
                return Some(conn);
            }
        }
        None
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Conn, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a connection, trying until then.
    async fn reach(&self, until: Instant) -> Result<Conn, Error> {
        let mut last = match self.try_lock_well() {
            true => match self.open().await {
                Ok(conn) => return Ok(conn),
                Err(error) => error,
            },
            false => "the database is away".to_owned(),
        };
        let unavailable = |text: String| Err(Error::Unavailable(text));
        let Ok(mut away) = timeout_at(until, self.away.lock()).await else {
            return unavailable(last);
        };
        loop {
            // Who was before may have brought back what it took, where the server lets nobody else in.
            if let Some(conn) = self.kept() {
                return Ok(conn);
            }
            if let Some((_, when)) = *away {
                if when > until {
                    return unavailable(last);
                }
                tokio::select! {
                    () = tokio::time::sleep_until(when) => {}
                    () = self.back.notified() => continue,
                }
            }
            match self.open().await {
                Ok(conn) => {
                    if away.take().is_some() {
                        tracing::info!("the database is back");
                    }
                    return Ok(conn);
                }
                Err(error) => {
                    let failures = away.map_or(0, |(failures, _)| failures);
                    if failures == 0 {
                        tracing::warn!(%error, "the database is away");
                    }
                    let pause = (PAUSES.0 * 2u32.pow(failures.min(10))).min(PAUSES.1);
                    *away = Some((failures.saturating_add(1), Instant::now() + pause));
                    last = error;
                }
            }
        }
    }

    /// Whether nobody knows that the database is away.
    fn try_lock_well(&self) -> bool {
        self.away.try_lock().is_ok_and(|away| away.is_none())
    }

    async fn open(&self) -> Result<Conn, String> {
        let (client, connection) = self.dial().await?;
        self.runtime.spawn(async move {
            // Who uses the client sees it closed; the reason is of use to who looks at the log alone.
            if let Err(error) = connection.await {
                tracing::debug!(
                    error = conn::text(&error),
                    "connection to the database ended"
                );
            }
        });
        // The server ends a statement that takes too long; who waits for a server that no longer does gives up a little later.
        let patience = self.target.statement_timeout + Duration::from_secs(5);
        Ok(Conn::new(client, self.runtime.clone(), patience))
    }

    /// A connection that somebody has to drive.
    pub(super) async fn dial(
        &self,
    ) -> Result<
        (
            tokio_postgres::Client,
            tokio_postgres::Connection<Socket, TlsStream>,
        ),
        String,
    > {
        let config = &self.target.config;
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(1);
        let tcp = config.get_connect_timeout().copied().unwrap_or_default();
        let login = tcp * hosts.max(1) + LOGIN;
        match tokio::time::timeout(login, config.connect(self.tls.clone())).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(error)) => Err(conn::text(&error)),
            Err(_) => Err(format!("the database let nobody in for {login:?}")),
        }
    }
}
