//! The client: a shared connection for searches, a few exclusive ones that compare passwords.
//!
//! A bind changes who a whole connection is, so searches and passwords never share one.
//!
//! **Bounds.** One connection for searches, [`QUESTIONS`] at a time; `auth.ldap.connections` for passwords. Who finds no place waits, and leaves the
//! queue with whoever asked: a slow directory has no work that nobody waits for.
//! **On failure.** A connection that broke while nobody looked is replaced and the question asked again, once; a server that does not answer is
//! left alone for a moment.

mod pages;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ldap3::{Ldap, ResultEntry, Scope, SearchEntry, SearchOptions, SearchResult};
use rustls::ClientConfig;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::bind::{BindDn, BindPassword, Bound, bind};
use super::entry::{Entry, attributes};
use super::error::{Code, LdapError};
use super::server::{Identity, Server, plain, tls};
use crate::config;
use crate::telemetry::metrics::{LDAP_FAILURES, LDAP_SECONDS};
pub(super) use pages::Pages;

/// Entries that a search for one user may find: one, and one more to see that it is not the only one.
const AT_MOST: i32 = 2;
/// Searches that are on their way at a time.
const QUESTIONS: usize = 64;
/// A connection that nobody used for so long is not used again: servers close them about then.
const IDLE: Duration = Duration::from_secs(60);

/// Asks the directory. Cheap to clone.
#[derive(Clone)]
pub struct LdapClient(Arc<Inner>);

struct Inner {
    settings: config::Ldap,
    service: Identity,
    attributes: Vec<String>,
    tls: Arc<ClientConfig>,
    servers: Vec<Server>,
    searches: tokio::sync::Mutex<Option<Shared>>,
    questions: Arc<Semaphore>,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    runtime: Handle,
}

/// The connection for searches.
#[derive(Clone)]
struct Shared {
    ldap: Ldap,
    server: usize,
    made: Instant,
}

/// A connection that compares passwords, while it does not.
struct Idle {
    ldap: Ldap,
    server: usize,
    used: Instant,
}

/// What a search for one user found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Found {
    Nobody,
    One(Box<Entry>),
    Many,
}

impl LdapClient {
    /// A client whose connections live on `runtime`. Connects to nobody yet. Reads the certificates of the CA: blocks for a moment.
    ///
    /// # Errors
    /// [`LdapError::Settings`].
    pub fn new(settings: &config::Ldap, runtime: Handle) -> Result<Self, LdapError> {
        let nobody = || {
            LdapError::Settings(
                "auth.ldap: an empty bind_dn or password would be an anonymous bind".to_owned(),
            )
        };
        let service = Identity {
            dn: BindDn::new(&settings.bind_dn).ok_or_else(nobody)?,
            password: BindPassword::new(&settings.bind_password).ok_or_else(nobody)?,
        };
        Ok(Self(Arc::new(Inner {
            service,
            attributes: attributes(settings),
            tls: tls(settings)?,
            servers: settings.urls.iter().map(|it| Server::new(it)).collect(),
            searches: tokio::sync::Mutex::default(),
            questions: Arc::new(Semaphore::new(QUESTIONS)),
            places: Arc::new(Semaphore::new(settings.connections as usize)),
            idle: Mutex::default(),
            settings: settings.clone(),
            runtime,
        })))
    }

    pub(super) fn settings(&self) -> &config::Ldap {
        &self.0.settings
    }

    pub(super) fn tls(&self) -> &Arc<ClientConfig> {
        &self.0.tls
    }

    pub(super) fn service(&self) -> &Identity {
        &self.0.service
    }

    pub(super) fn servers(&self) -> &[Server] {
        &self.0.servers
    }

    /// Searches for one user.
    pub(super) async fn find(&self, base: String, filter: String) -> Result<Found, LdapError> {
        let this = self.clone();
        // Nobody closes the semaphore.
        let place = self.0.questions.clone().acquire_owned().await;
        self.on_runtime("search", async move {
            let _place = place;
            this.find_here(&base, &filter).await
        })
        .await
    }

    /// Whether this is the password of the entry. [`Bound::Unclear`] never comes: it is an error.
    pub(super) async fn verify(
        &self,
        dn: BindDn,
        password: BindPassword,
    ) -> Result<Bound, LdapError> {
        let this = self.clone();
        // Nobody closes the semaphore.
        let place = self.0.places.clone().acquire_owned().await;
        self.on_runtime("bind", async move {
            let _place = place;
            this.verify_here(&dn, &password).await
        })
        .await
    }

    /// All entries that a filter matches, in pages (RFC 2696), on a connection of its own: all that this server has, or an error.
    pub(super) async fn all(&self, base: String, filter: String) -> Result<Pages, LdapError> {
        let this = self.clone();
        self.on_runtime("pages", async move { this.all_here(&base, &filter).await })
            .await
    }

    /// Runs work where the connections live, to its end even if the caller leaves; counts it.
    async fn on_runtime<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, LdapError>> + Send + 'static,
    ) -> Result<T, LdapError> {
        let counted = async move {
            let began = Instant::now();
            let done = work.await;
            let took = began.elapsed().as_secs_f64();
            metrics::histogram!(LDAP_SECONDS, "operation" => operation).record(took);
            if let Err(error) = &done {
                metrics::counter!(LDAP_FAILURES, "operation" => operation, "reason" => error.word())
                    .increment(1);
            }
            done
        };
        match self.0.runtime.spawn(counted).await {
            Ok(done) => done,
            Err(_) => Err(LdapError::GivenUp),
        }
    }

    async fn find_here(&self, base: &str, filter: &str) -> Result<Found, LdapError> {
        let mut again = true;
        loop {
            let (mut shared, fresh) = self.shared().await?;
            let seconds = self.0.settings.timeout.as_secs().max(1);
            let options = SearchOptions::new()
                .sizelimit(AT_MOST)
                .timelimit(i32::try_from(seconds).unwrap_or(i32::MAX));
            let ldap = shared.ldap.with_search_options(options);
            let search = ldap.search(base, Scope::Subtree, filter, self.0.attributes.clone());
            let server = &self.0.servers[shared.server];
            match timeout(self.0.settings.timeout, search).await {
                Ok(Ok(SearchResult(entries, result))) => {
                    server.works();
                    return self.one(entries, &Code::of(&result));
                }
                Ok(Err(ldap3::LdapError::FilterParsing)) => {
                    return Err(LdapError::Settings(format!("no LDAP filter: {filter}")));
                }
                Ok(Err(_)) if !fresh && again => {
                    // It may have broken long ago.
                    again = false;
                    self.discard(shared.made).await;
                }
                Ok(Err(error)) => {
                    let error = LdapError::Broken {
                        server: server.url.clone(),
                        why: plain(&error),
                    };
                    self.discard(shared.made).await;
                    server.failed(&error);
                    if !std::mem::take(&mut again) || !self.has_another() {
                        return Err(error);
                    }
                }
                Err(_) => {
                    let error = LdapError::Slow {
                        server: server.url.clone(),
                        what: "search",
                    };
                    // Whoever else finds out the same has nothing more to say.
                    if self.discard(shared.made).await {
                        server.failed(&error);
                    }
                    if !std::mem::take(&mut again) || !self.has_another() {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn one(&self, entries: Vec<ResultEntry>, code: &Code) -> Result<Found, LdapError> {
        let entries = entries
            .into_iter()
            .filter(|it| !it.is_ref() && !it.is_intermediate());
        let mut entries: Vec<ResultEntry> = entries.collect();
        match code.number {
            Code::SUCCESS => {}
            Code::SIZE_LIMIT if entries.len() > 1 => return Ok(Found::Many),
            _ => {
                return Err(LdapError::Refused {
                    what: "search",
                    result: code.clone(),
                });
            }
        }
        match entries.len() {
            0 => Ok(Found::Nobody),
            1 => {
                let found = SearchEntry::construct(entries.remove(0));
                let entry = Entry::read(&self.0.settings, found);
                Ok(Found::One(Box::new(entry)))
            }
            _ => Ok(Found::Many),
        }
    }

    async fn verify_here(&self, dn: &BindDn, password: &BindPassword) -> Result<Bound, LdapError> {
        let mut again = true;
        loop {
            let (mut idle, fresh) = match self.take_idle() {
                Some(idle) => (idle, false),
                None => {
                    let (ldap, server) = self.connect(None).await?;
                    let used = Instant::now();
                    (Idle { ldap, server, used }, true)
                }
            };
            let server = &self.0.servers[idle.server];
            let bound = bind(&mut idle.ldap, dn, password);
            match timeout(self.0.settings.timeout, bound).await {
                Ok(Ok(Bound::Unclear(result))) => {
                    return Err(LdapError::Refused {
                        what: "bind",
                        result,
                    });
                }
                Ok(Ok(bound)) => {
                    server.works();
                    idle.used = Instant::now();
                    self.idle().push(idle);
                    return Ok(bound);
                }
                Ok(Err(_)) if !fresh && again => again = false,
                Ok(Err(error)) => {
                    let error = LdapError::Broken {
                        server: server.url.clone(),
                        why: plain(&error),
                    };
                    server.failed(&error);
                    if !std::mem::take(&mut again) || !self.has_another() {
                        return Err(error);
                    }
                }
                Err(_) => {
                    let error = LdapError::Slow {
                        server: server.url.clone(),
                        what: "bind",
                    };
                    server.failed(&error);
                    self.idle().retain(|it| it.server != idle.server);
                    if !std::mem::take(&mut again) || !self.has_another() {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The connection for searches, and whether it was made just now.
    async fn shared(&self) -> Result<(Shared, bool), LdapError> {
        let mut place = self.0.searches.lock().await;
        if let Some(shared) = place.as_mut()
            && !shared.ldap.is_closed()
        {
            return Ok((shared.clone(), false));
        }
        *place = None;
        let (ldap, server) = self.connect(Some(&self.0.service)).await?;
        let made = Instant::now();
        let shared = Shared { ldap, server, made };
        *place = Some(shared.clone());
        Ok((shared, true))
    }

    /// Gives up the connection for searches that was made then; whether it was still there.
    async fn discard(&self, made: Instant) -> bool {
        let mut place = self.0.searches.lock().await;
        let same = place.as_ref().is_some_and(|it| it.made == made);
        if same {
            *place = None;
        }
        same
    }

    /// A new connection to the first server that answers.
    async fn connect(&self, identity: Option<&Identity>) -> Result<(Ldap, usize), LdapError> {
        let mut failed = None;
        let mut resting = None;
        for (at, server) in self.0.servers.iter().enumerate() {
            if let Some(why) = server.resting() {
                resting.get_or_insert(LdapError::BackOff(why));
                continue;
            }
            let patience = self.0.settings.timeout;
            let began = Instant::now();
            let opened = server.open(&self.0.tls, identity, patience).await;
            metrics::histogram!(LDAP_SECONDS, "operation" => "connect")
                .record(began.elapsed().as_secs_f64());
            match opened {
                Ok(ldap) => {
                    if identity.is_some() {
                        server.works();
                    }
                    return Ok((ldap, at));
                }
                Err(error) => {
                    server.failed(&error);
                    failed = Some(error);
                }
            }
        }
        let none = || LdapError::Settings("auth.ldap.url: no server".to_owned());
        Err(failed.or(resting).unwrap_or_else(none))
    }

    /// Whether a server is left that did not fail a moment ago.
    fn has_another(&self) -> bool {
        self.0.servers.iter().any(|it| it.resting().is_none())
    }

    fn take_idle(&self) -> Option<Idle> {
        let mut idle = self.idle();
        let now = Instant::now();
        idle.retain_mut(|it| now - it.used < IDLE && !it.ldap.is_closed());
        idle.pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LdapClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LdapClient")
            .field("servers", &self.0.settings.urls)
            .finish_non_exhaustive()
    }
}
