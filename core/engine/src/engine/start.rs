//! Builds an engine, right to left: pools, index, store, mailboxes, delivery, login, listeners.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postrider_storage::blob::{BlobStore, FilesystemStore};
use postrider_storage::index::{Index, PostgresIndex, SqliteIndex};
use tokio_util::sync::CancellationToken;

use super::listen::Door;
use super::maildrops::Maildrops;
use super::mark::Keeper;
use super::parts::{Inner, Services};
use super::pulse::Pulse;
use super::sessions::{Sessions, watch};
use super::{Parts, Running, StartError};
use crate::actor::{
    Arbiters, Budget, ByteCount, Escalation, ServiceRuntime, Stage, Stages, Supervisor,
};
use crate::auth::ldap::{self, LdapClient, LdapResolver};
use crate::auth::{self, Authenticator, Hasher};
use crate::blob::{BlobPool, PoolLimits, Spools, open_s3};
use crate::config::{Bind, Config, DatabaseUrl, Program, Service, Store};
use crate::delivery::Delivery;
use crate::directory::Directory;
use crate::filter::Chain;
use crate::index::IndexPool;
use crate::limits::{self, rates::Rates};
use crate::mailbox::{Mailboxes, retention};
use crate::net::entrance::{Bans, Entrance, Security};
use crate::net::inherited::{self, Inherited};
use crate::net::limit::Limiter;
use crate::net::listener::Socket;
use crate::net::tls::{Acceptor, Certificates, TlsSettings, self_signed};
use crate::telemetry;

/// How often certificate files are looked at.
const CERTIFICATES: Duration = Duration::from_secs(5);
/// How often left-over files are looked for.
const SWEEP: Duration = Duration::from_secs(24 * 3600);
/// Permissions of a unix socket: its owner and group.
const SOCKET_MODE: u32 = 0o660;

pub(super) async fn start(config: Config, parts: Parts) -> Result<Running, StartError> {
    // Before anything that counts is made: meters belong to the recorder that they find.
    let metrics = match wants_metrics(&config, &parts.programs) {
        true => telemetry::metrics::Metrics::install().ok(),
        false => None,
    };
    limits::announce();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let runtime = ServiceRuntime::start(cores.max(2), config.queues.threads as usize)?;
    let arbiters = Arbiters::one_per_core()?;
    let (escalation, failures) = Escalation::channel();
    let supervisor = Supervisor::new(escalation).across(&arbiters);
    let stages = Stages::new();

    make_data_dir(&config, &runtime).await?;
    let index = open_index(&config, parts.index, &runtime).await?;
    let serving = index.serve().await;
    serving.map_err(|error| storage("database", error))?;
    let keeper = Keeper::begin(index.clone(), runtime.clone(), &config.data_dir).await;
    let store = open_store(&config, parts.store, &parts.programs, &runtime).await?;
    let spools = Spools::open(config.data_dir.join("spool"), runtime.clone())
        .await
        .map_err(|error| storage("spool", error))?;
    let budget = Budget::new(ByteCount::bytes(config.limits.memory.0));
    let queues = config.queues;
    let places = queues.index as usize;
    let index = IndexPool::with_places(index, runtime.clone(), &supervisor, places);
    let blobs = BlobPool::new(
        store,
        runtime.clone(),
        PoolLimits {
            writes: queues.store_writes as usize,
            reads: queues.store_reads as usize,
            octets: ByteCount::bytes(queues.store_memory.0),
            adaptive: matches!(config.store, Store::S3(_)),
            ..PoolLimits::default()
        },
    );
    let mailboxes = Mailboxes::with_bounds(
        index.clone(),
        &supervisor,
        queues.mailboxes as usize,
        queues.mailbox as usize,
        queues.summaries.0,
    );
    let directory = Directory::new(
        index.clone(),
        config.hostname.clone(),
        config.smtp.recipient_delimiter,
        config.smtp.postmaster.clone(),
    );
    let delivery = Delivery::new(
        config.hostname.clone(),
        config.smtp.hop_count as usize,
        config.deadlines.answer,
        index.clone(),
        blobs.clone(),
        mailboxes.clone(),
        Chain::with_places(parts.filters, queues.filter as usize),
    )
    .reading(limits::of_messages(&config.limits));
    let mut resolvers = parts.resolvers;
    let company = company_directory(&config, &runtime).await?;
    if let Some(client) = &company {
        let resolver = LdapResolver::new(client.clone(), ldap::Rows::of(&index));
        resolvers.push(Arc::new(resolver));
    }
    let auth = Authenticator::new(auth::Parts {
        accounts: Arc::new(index.clone()),
        passwords: Arc::new(Hasher::start_on_all_cores(
            queues.hasher as usize,
            config.auth.hash_wait,
        )?),
        settings: config.auth.clone(),
        exempt: config.limits.exempt.clone(),
        deadline: config.deadlines.answer,
        resolvers,
    });
    let services = Services::new(Inner {
        runtime: runtime.clone(),
        supervisor: supervisor.clone(),
        stages: stages.clone(),
        budget,
        index: index.clone(),
        blobs: blobs.clone(),
        spools,
        directory,
        mailboxes,
        delivery,
        auth,
        sessions: Sessions::default(),
        maildrops: Maildrops::new(index.clone(), runtime.clone(), config.deadlines.maildrop),
        rates: Arc::new(Rates::new(&config.limits)),
        config,
    });

    let certificates = certificates(&services.config, &runtime).await?;
    let limiter = Limiter::new((&services.config.limits).into());
    services.index.stop_with(&services.stages);
    services.mailboxes.stop_with(&services.stages);
    let listening = listen(
        &services,
        &parts.programs,
        parts.sockets,
        &certificates,
        &limiter,
        &arbiters,
        metrics,
    )?;
    background(&services, &certificates, company, keeper);
    let pulse = Pulse::start(&arbiters, &supervisor, &runtime, &limiter);
    Ok(Running {
        ports: listening.ports,
        binds: listening.binds,
        doors: listening.doors,
        certificates,
        limiter,
        auth: services.auth.clone(),
        rates: services.rates.clone(),
        failures: tokio::sync::Mutex::new(failures),
        stages,
        runtime,
        arbiters,
        index,
        pulse,
    })
}

/// Makes the folder that everything of ours lies in, for nobody else to read.
async fn make_data_dir(config: &Config, runtime: &ServiceRuntime) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = config.data_dir.clone();
    let make = runtime.spawn_blocking(move || {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&folder)
    });
    let made = make.await.map_err(|gone| storage("data_dir", gone))?;
    made.map_err(|error| {
        storage(
            "data_dir",
            format!("{}: {error}", config.data_dir.display()),
        )
    })
}

async fn open_index(
    config: &Config,
    given: Option<Arc<dyn Index>>,
    runtime: &ServiceRuntime,
) -> Result<Arc<dyn Index>, StartError> {
    if let Some(index) = given {
        return Ok(index);
    }
    let (url, readers) = (config.database.url.clone(), config.database.pool_size);
    let postgres = config.database.postgres();
    let open = runtime.spawn(async move {
        let index: Arc<dyn Index> = match (url, postgres) {
            (_, Some(settings)) => Arc::new(PostgresIndex::open(&settings).await?),
            (DatabaseUrl::Sqlite(path), None) => {
                Arc::new(SqliteIndex::open(&path.display().to_string(), readers).await?)
            }
            (DatabaseUrl::Postgres(_), None) => {
                return Err(postrider_storage::Error::Invalid(
                    "not the URL of a database",
                ));
            }
        };
        Ok(index)
    });
    let opened = open.await.map_err(|gone| storage("database", gone))?;
    opened.map_err(|error| storage("database", error))
}

async fn open_store(
    config: &Config,
    given: Option<Arc<dyn BlobStore>>,
    programs: &[Program],
    runtime: &ServiceRuntime,
) -> Result<Arc<dyn BlobStore>, StartError> {
    if let Some(store) = given {
        return Ok(store);
    }
    let root = match &config.store {
        Store::Filesystem { root } => root,
        Store::S3(s3) => {
            let (s3, program) = (s3.clone(), program_name(programs));
            let open = runtime.spawn(async move { open_s3(&s3, program).await });
            let opened = open.await.map_err(|gone| storage("store", gone))?;
            return opened.map_err(|error| storage("store", error));
        }
    };
    let root = root.clone();
    let open = runtime.spawn(async move { FilesystemStore::open(root).await });
    let opened = open.await.map_err(|gone| storage("store", gone))?;
    let store = Arc::new(opened.map_err(|error| storage("store", error))?);
    let kept = config.retention.temporary;
    runtime.handle().spawn(sweep(store.clone(), kept));
    Ok(store)
}

/// Who this process is, by what it serves.
fn program_name(programs: &[Program]) -> &'static str {
    match programs {
        [program] => program.name(),
        _ => "postrider",
    }
}

/// Removes what interrupted writes left behind when its time has come: now, and every day or as often as that is.
async fn sweep(store: Arc<FilesystemStore>, kept: Duration) {
    loop {
        match store.sweep(kept).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "left-over files removed"),
            Err(error) => tracing::warn!(%error, "left-over files stay for now"),
        }
        tokio::time::sleep(SWEEP.min(kept.max(Duration::from_secs(60)))).await;
    }
}

/// The directory that vouches for users, if one is configured. Connects to nobody yet.
async fn company_directory(
    config: &Config,
    runtime: &ServiceRuntime,
) -> Result<Option<LdapClient>, StartError> {
    let Some(settings) = config.auth.ldap.clone() else {
        return Ok(None);
    };
    let handle = runtime.handle().clone();
    let make = runtime.spawn_blocking(move || LdapClient::new(&settings, handle));
    let made = make.await.map_err(|gone| storage("directory", gone))?;
    made.map(Some)
        .map_err(|error| StartError::Unsupported(error.to_string()))
}

async fn certificates(
    config: &Config,
    runtime: &ServiceRuntime,
) -> Result<Arc<Certificates>, StartError> {
    let (configured, data_dir) = (config.tls.certificate.clone(), config.data_dir.clone());
    let hostname = config.hostname.clone();
    let load = runtime.spawn_blocking(move || {
        let certificate = match configured {
            Some(certificate) => certificate,
            None => self_signed(&data_dir, &hostname).map_err(|error| error.to_string())?,
        };
        Certificates::load(vec![certificate]).map_err(|error| error.to_string())
    });
    let loaded = load
        .await
        .map_err(|gone| StartError::Tls(gone.to_string()))?;
    loaded.map_err(StartError::Tls)
}

/// What was bound.
#[derive(Default)]
struct Listening {
    ports: BTreeMap<String, u16>,
    binds: Vec<(Service, Bind)>,
    doors: Vec<Arc<Door>>,
}

/// Binds everything first, so that a port that is taken starts nothing.
fn listen(
    services: &Services,
    programs: &[Program],
    inherited: Vec<Inherited>,
    certificates: &Arc<Certificates>,
    limiter: &Limiter,
    arbiters: &Arbiters,
    metrics: Option<telemetry::metrics::Metrics>,
) -> Result<Listening, StartError> {
    let config = &services.config;
    let mut listening = Listening::default();
    let mut doors = Vec::new();
    let drain = CancellationToken::new();
    let listeners = config.listeners.iter();
    let listeners: Vec<_> = listeners.filter(|it| serves(programs, it)).collect();
    let inherited = inherited::assign(&listeners, inherited)?;
    for (settings, inherited) in listeners.into_iter().zip(inherited) {
        let service = settings.service;
        let tls = TlsSettings::of(service, &config.tls, &config.deadlines);
        let acceptor = Acceptor::new(certificates.clone(), &tls)
            .map_err(|error| StartError::Tls(error.to_string()))?;
        let security = Security::of(service, &acceptor);
        let auth = services.auth.clone();
        let bans = Bans::new(move |peer| auth.is_banned(peer));
        let entrance = Entrance::new(settings, &config.deadlines, security, bans);
        let door = Arc::new(Door::new(
            settings.clone(),
            entrance,
            limiter.clone(),
            services.clone(),
            drain.clone(),
        ));
        if service != Service::Metrics {
            listening.doors.push(door.clone());
        }
        let workers = match service {
            Service::Metrics => 1,
            _ => arbiters.count(),
        };
        for sockets in open(settings, inherited, workers)? {
            if let Some(socket) = sockets.first() {
                let bound = socket.bound();
                if let Bind::Tcp(address) = &bound {
                    let ports = &mut listening.ports;
                    ports
                        .entry(service.name().to_owned())
                        .or_insert(address.port());
                }
                tracing::info!(%service, %bound, "listening");
                listening.binds.push((service, bound));
            }
            doors.push((door.clone(), service, sockets));
        }
    }
    services.stages.at(Stage::Listeners, "accept", {
        let drain = drain.clone();
        move |_| async move { drain.cancel() }
    });
    for (door, service, sockets) in doors {
        if service == Service::Metrics {
            for socket in sockets {
                serve_metrics(services, socket, metrics.clone(), drain.clone());
            }
            continue;
        }
        for (socket, arbiter) in sockets.into_iter().zip(arbiters.each()) {
            let listener = door.open(socket, arbiter, &services.supervisor);
            services.stages.stop_actor(Stage::Listeners, &listener);
        }
    }
    Ok(listening)
}

/// The sockets of a listener, for each address one for each worker: those that it inherits, or else its own.
fn open(
    settings: &crate::config::Listener,
    inherited: Vec<Socket>,
    workers: usize,
) -> Result<Vec<Vec<Socket>>, StartError> {
    let service = settings.service;
    if inherited.is_empty() {
        let binds = settings.bind.iter();
        let bound = binds.map(|bind| Socket::bind(bind, workers, SOCKET_MODE));
        return Ok(bound.collect::<Result<_, _>>()?);
    }
    for bind in &settings.bind {
        if !inherited.iter().any(|socket| socket.covers(bind)) {
            tracing::warn!(%service, %bind, "not opened: what this listener inherits takes its place");
        }
    }
    let shared = inherited.into_iter();
    Ok(shared.map(|socket| socket.shared(workers)).collect())
}

fn serves(programs: &[Program], settings: &crate::config::Listener) -> bool {
    let of = |program: &Program| {
        program.services().contains(&settings.service)
            && settings.program.is_none_or(|only| only == *program)
    };
    programs.is_empty() || programs.iter().any(of)
}

fn serve_metrics(
    services: &Services,
    socket: Socket,
    metrics: Option<telemetry::metrics::Metrics>,
    drain: CancellationToken,
) {
    if let Some(metrics) = metrics.clone() {
        services.runtime.handle().spawn(metrics.run_upkeep());
    }
    telemetry::check::watch(&services.config.data_dir);
    let ready = services.clone();
    let endpoints = telemetry::http::Endpoints {
        metrics,
        ready: telemetry::http::Readiness::new(move || readiness(ready.clone())),
    };
    services.runtime.handle().spawn(async move {
        // Registered with the runtime that will poll it.
        match socket.tokio_tcp() {
            Ok(listener) => endpoints.serve(listener, drain).await,
            Err(error) => tracing::error!(%error, "no metrics"),
        }
    });
}

/// Whether a listener shows metrics. Without one the embedding program's own recorder is left alone.
fn wants_metrics(config: &Config, programs: &[Program]) -> bool {
    let mut listeners = config.listeners.iter();
    listeners.any(|it| it.service == Service::Metrics && serves(programs, it))
}

/// A message could be taken and read now.
async fn readiness(services: Services) -> Result<(), String> {
    if services.stages.drain(Stage::Listeners).has_begun() {
        return Err("draining".into());
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    let index = services.index.raw().probe().await;
    index.map_err(|error| format!("index: {error}"))?;
    let store = services.blobs.probe(deadline).await;
    store.map_err(|error| format!("store: {error}"))
}

/// What runs beside the connections.
fn background(
    services: &Services,
    certificates: &Arc<Certificates>,
    company: Option<LdapClient>,
    keeper: Option<Keeper>,
) {
    let stopped = CancellationToken::new();
    let stop = stopped.clone();
    services
        .stages
        .at(Stage::Listeners, "certificates", move |_| async move {
            stop.cancel()
        });
    let runtime = services.runtime.handle();
    runtime.spawn(certificates.clone().watch(CERTIFICATES, stopped));
    let drain = services.stages.drain(Stage::Listeners);
    // As long as there are sessions that may lose the right to be here, or have news to hear.
    let connections = services.stages.drain(Stage::Connections);
    runtime.spawn(watch(services.clone(), connections.clone()));
    if let Some(keeper) = keeper {
        runtime.spawn(keeper.keep(services.index.clone(), connections.clone()));
    }
    runtime.spawn(services.maildrops.clone().keep(connections));
    if let Some(client) = company {
        let (rows, drain) = (ldap::Rows::of(&services.index), drain.clone());
        runtime.spawn(async move {
            tokio::select! {
                () = drain.begun() => {}
                () = ldap::sync::keep_up(client, rows) => {}
            }
        });
    }
    runtime.spawn(retention::run(services.clone(), drain));
}

fn storage(what: &'static str, error: impl std::fmt::Display) -> StartError {
    StartError::Storage {
        what,
        error: error.to_string(),
    }
}
