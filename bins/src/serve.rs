//! Serving until a signal: start, say so, reload on SIGHUP, drain on SIGTERM or SIGINT, leave at once on the second one. On SIGUSR1 it
//! retires: it lets go of its listeners and leaves when its last client has left, for a second generation beside it.
//!
//! This is the only file of the programs that knows how the engine is started.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use postrider::config::{Config, Program};
use postrider::engine::{self, Engine, Pulse};
use postrider::net::{descriptors::Descriptors, inherited::Inherited};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::{
    Failure, Place, inherited,
    manager::{Alive, Going, Manager, Watch},
    ports_file::PortsFile,
};

/// What serving needs of a running engine.
pub trait Running {
    /// Ports taken, by the names of the services.
    fn ports(&self) -> BTreeMap<String, u16>;
    /// Takes another configuration over, as far as that goes without a restart. Connections stay.
    ///
    /// # Errors
    /// Why it stays with the old one.
    fn reload(&self, config: &Config) -> impl Future<Output = Result<(), String>>;
    /// Comes back with the reason when the engine can go on no longer.
    fn failed(&self) -> impl Future<Output = String>;
    /// What is seen of it from beside, also while it drains.
    fn watch(&self) -> Arc<dyn Watch>;
    /// Lets go of the listeners, within this time, and comes back when the last connection has ended by itself. May be dropped.
    fn retire(&self, patience: Duration) -> impl Future<Output = ()>;
    /// Stops: listeners first, open commands within the deadline, then the rest.
    fn drain(self, deadline: Duration) -> impl Future<Output = ()>;
}

/// What the system tells us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// SIGHUP
    Reload,
    /// SIGUSR1
    Retire,
    /// SIGTERM or SIGINT
    Stop,
}

/// How serving ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// All that was open was brought to its end.
    Drained,
    /// A second signal cut it short.
    AtOnce,
}

/// Work that may block.
pub type Prepare = Box<dyn FnOnce() -> Result<(), Failure> + Send>;

/// What is done around serving.
pub struct Serving<'a> {
    /// The configuration it was started with.
    pub config: Config,
    /// Where it is read again.
    pub place: Place,
    /// Where the ports go.
    pub ports_file: Option<PortsFile>,
    /// What is left to do when the engine has started and before anybody is told; may block. If it fails the engine stops.
    pub prepare: Prepare,
    /// Called with the ports when all listeners are ready and everybody is told.
    pub on_ready: &'a dyn Fn(&BTreeMap<String, u16>),
}

/// Starts the engine for a program and serves until a signal. Blocks.
///
/// # Errors
/// Why it did not start, or could not go on.
pub fn run(program: Program, serving: Serving<'_>) -> Result<Ended, Failure> {
    let manager = Manager::of_environment();
    let sockets = inherited::take()?;
    // The system that the arbiters of the engine belong to.
    actix_rt::System::new().block_on(async {
        // Before anything is opened, so that no signal finds nobody.
        let signals =
            listen().map_err(|error| Failure::new(format!("cannot hear signals: {error}")))?;
        let descriptors = Descriptors::raise();
        let connections = serving.config.limits.connections;
        if !descriptors.suffice_for(connections) {
            tracing::warn!(
                descriptors = descriptors.soft,
                connections,
                "fewer file descriptors than limits.connections needs; raise LimitNOFILE or ulimit -n"
            );
        }
        manager.tell(&[NotifyState::Status("starting")]);
        let running = match start(&serving.config, program, sockets).await {
            Ok(running) => running,
            Err(failure) => {
                manager.tell(&[NotifyState::Status(&failure.to_string())]);
                return Err(failure);
            }
        };
        serve(running, serving, signals, &manager).await
    })
}

/// The engine of this program.
async fn start(
    config: &Config,
    program: Program,
    sockets: Vec<Inherited>,
) -> Result<engine::Running, Failure> {
    let parts = engine::Parts {
        programs: vec![program],
        sockets,
        ..engine::Parts::default()
    };
    Engine::start(config.clone(), parts)
        .await
        .map_err(|error| Failure::new(error.to_string()))
}

impl Running for engine::Running {
    fn ports(&self) -> BTreeMap<String, u16> {
        self.ports().clone()
    }

    async fn reload(&self, config: &Config) -> Result<(), String> {
        self.reload(config).map_err(|error| error.to_string())
    }

    async fn failed(&self) -> String {
        self.failed().await
    }

    fn watch(&self) -> Arc<dyn Watch> {
        Arc::new(self.pulse())
    }

    async fn retire(&self, patience: Duration) {
        self.retire(patience).await;
    }

    async fn drain(self, deadline: Duration) {
        self.drain(deadline).await;
    }
}

impl Watch for Pulse {
    fn connections(&self) -> usize {
        self.connections()
    }

    fn alive(&self, patience: Duration) -> Alive<'_> {
        Box::pin(async move {
            self.feel(patience)
                .await
                .map_err(|silent| silent.to_string())
        })
    }
}

/// Hears the signals of this process.
fn listen() -> std::io::Result<mpsc::Receiver<Signal>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut retire = signal(SignalKind::user_defined1())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (tell, told) = mpsc::channel(8);
    tokio::spawn(async move {
        loop {
            let heard = tokio::select! {
                Some(()) = hangup.recv() => Signal::Reload,
                Some(()) = retire.recv() => Signal::Retire,
                Some(()) = terminate.recv() => Signal::Stop,
                Some(()) = interrupt.recv() => Signal::Stop,
                else => return,
            };
            if tell.send(heard).await.is_err() {
                return;
            }
        }
    });
    Ok(told)
}

/// Serves until a signal.
///
/// # Errors
/// A ports file that cannot be written; an engine that could not go on.
pub async fn serve<R: Running>(
    running: R,
    mut serving: Serving<'_>,
    mut signals: mpsc::Receiver<Signal>,
    manager: &Manager,
) -> Result<Ended, Failure> {
    let ports = running.ports();
    if let Err(failure) = get_ready(&mut serving, &ports).await {
        running.drain(serving.config.deadlines.drain).await;
        return Err(failure);
    }
    let mut drain = serving.config.deadlines.drain;
    let watch = running.watch();
    let _watched = manager.keep_watch(&watch);
    manager.tell(&[NotifyState::Ready, NotifyState::Status(&served(&ports))]);
    tracing::info!(ports = ?ports, "ready");
    (serving.on_ready)(&ports);
    let mut retired: Pin<Box<dyn Future<Output = ()>>> = Box::pin(std::future::pending());
    let mut telling = None;
    loop {
        tokio::select! {
            reason = running.failed() => {
                manager.tell(&[NotifyState::Status(&reason)]);
                return Err(Failure::new(reason));
            }
            () = &mut retired => break,
            heard = signals.recv() => match heard {
                Some(Signal::Reload) => {
                    if let Some(config) = reload(&running, &serving.place, manager).await {
                        drain = config.deadlines.drain;
                    }
                }
                Some(Signal::Retire) => {
                    tracing::info!(connections = watch.connections(), "retired");
                    retired = Box::pin(running.retire(drain));
                    telling = manager.keep_telling(Going::Retired, &watch);
                }
                // Without signals nobody could stop it later.
                Some(Signal::Stop) | None => break,
            },
        }
    }
    drop((retired, telling));
    manager.tell(&[NotifyState::Stopping]);
    let _telling = manager.keep_telling(Going::Draining, &watch);
    tracing::info!(deadline = ?drain, connections = watch.connections(), "draining");
    tokio::select! {
        () = running.drain(drain) => {
            tracing::info!("stopped");
            Ok(Ended::Drained)
        }
        () = second_stop(&mut signals) => {
            tracing::warn!("stopped at once");
            Ok(Ended::AtOnce)
        }
    }
}

/// What is served where, in a line.
fn served(ports: &BTreeMap<String, u16>) -> String {
    let ports = ports
        .iter()
        .map(|(service, port)| format!("{service} {port}"));
    let ports: Vec<_> = ports.collect();
    format!("serving {}", ports.join(", "))
}

async fn get_ready(
    serving: &mut Serving<'_>,
    ports: &BTreeMap<String, u16>,
) -> Result<(), Failure> {
    let prepare = std::mem::replace(&mut serving.prepare, Box::new(|| Ok(())));
    let prepared = tokio::task::spawn_blocking(prepare).await;
    prepared.unwrap_or_else(|error| Err(Failure::new(format!("cannot start: {error}"))))?;
    match &serving.ports_file {
        Some(file) => file.write(ports),
        None => Ok(()),
    }
}

async fn second_stop(signals: &mut mpsc::Receiver<Signal>) {
    loop {
        match signals.recv().await {
            Some(Signal::Stop) => return,
            Some(Signal::Reload | Signal::Retire) => {}
            None => std::future::pending().await,
        }
    }
}

/// Reads the configuration again. One that is bad changes nothing, and the log says all that is wrong with it.
async fn reload<R: Running>(running: &R, place: &Place, manager: &Manager) -> Option<Config> {
    // Without the time (which every Linux has) it would wait in vain for the end of the reload.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => manager.tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "no monotonic clock"),
    }
    let config = match place {
        Place::File(file) => Config::load(file),
        Place::Embedded(folder) => Ok(Config::embedded(folder)),
    };
    let reloaded = match config {
        Ok(config) => {
            for warning in &config.warnings {
                tracing::warn!(%warning, "configuration");
            }
            match running.reload(&config).await {
                Ok(()) => {
                    tracing::info!("configuration reloaded");
                    Some(config)
                }
                Err(error) => {
                    tracing::error!(error, "configuration not reloaded");
                    None
                }
            }
        }
        Err(problems) => {
            for problem in &problems {
                tracing::error!(%problem, "configuration not reloaded");
            }
            None
        }
    };
    let status = match &reloaded {
        Some(_) => served(&running.ports()),
        None => format!(
            "{}; configuration not reloaded, see the log",
            served(&running.ports())
        ),
    };
    manager.tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
    reloaded
}

#[cfg(test)]
mod tests;
