//! Serving until a signal: start, say so, reload on SIGHUP, drain on SIGTERM or SIGINT, leave at once on the second one.
//!
//! This is the only file of the programs that knows how the engine is started.

use std::{collections::BTreeMap, future::Future, time::Duration};

use postrider::config::{Config, Program};
use postrider::engine::{self, Engine};
use postrider::net::descriptors::Descriptors;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::{Failure, Place, ports_file::PortsFile};

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
    /// Stops: listeners first, open commands within the deadline, then the rest.
    fn drain(self, deadline: Duration) -> impl Future<Output = ()>;
}

/// What the system tells us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// SIGHUP
    Reload,
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
        let running = start(&serving.config, program).await?;
        serve(running, serving, signals).await
    })
}

/// The engine of this program.
async fn start(config: &Config, program: Program) -> Result<engine::Running, Failure> {
    let parts = engine::Parts {
        programs: vec![program],
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

    async fn drain(self, deadline: Duration) {
        self.drain(deadline).await;
    }
}

/// Hears the signals of this process.
fn listen() -> std::io::Result<mpsc::Receiver<Signal>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (tell, told) = mpsc::channel(8);
    tokio::spawn(async move {
        loop {
            let heard = tokio::select! {
                Some(()) = hangup.recv() => Signal::Reload,
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
) -> Result<Ended, Failure> {
    let ports = running.ports();
    if let Err(failure) = get_ready(&mut serving, &ports).await {
        running.drain(serving.config.deadlines.drain).await;
        return Err(failure);
    }
    let mut drain = serving.config.deadlines.drain;
    tell_manager(&[NotifyState::Ready]);
    tracing::info!(ports = ?ports, "ready");
    (serving.on_ready)(&ports);
    loop {
        tokio::select! {
            reason = running.failed() => {
                tell_manager(&[NotifyState::Status(&reason)]);
                return Err(Failure::new(reason));
            }
            heard = signals.recv() => match heard {
                Some(Signal::Reload) => {
                    if let Some(config) = reload(&running, &serving.place).await {
                        drain = config.deadlines.drain;
                    }
                }
                // Without signals nobody could stop it later.
                Some(Signal::Stop) | None => break,
            },
        }
    }
    tell_manager(&[NotifyState::Stopping]);
    tracing::info!(deadline = ?drain, "draining");
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
            Some(Signal::Reload) => {}
            None => std::future::pending().await,
        }
    }
}

/// Reads the configuration again. One that is bad changes nothing, and the log says all that is wrong with it.
async fn reload<R: Running>(running: &R, place: &Place) -> Option<Config> {
    let now = NotifyState::monotonic_usec_now();
    match now {
        Ok(now) => tell_manager(&[NotifyState::Reloading, now]),
        Err(_) => tell_manager(&[NotifyState::Reloading]),
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
    tell_manager(&[NotifyState::Ready]);
    reloaded
}

/// Tells systemd, if it started us.
fn tell_manager(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, fs, path::Path, rc::Rc};

    use super::*;

    /// An engine that notes what it is told.
    #[derive(Clone, Default)]
    struct Fake {
        log: Rc<RefCell<Vec<String>>>,
        fails: Option<&'static str>,
        never_drained: bool,
    }

    impl Running for Fake {
        fn ports(&self) -> BTreeMap<String, u16> {
            BTreeMap::from([("imaps".to_owned(), 40123)])
        }

        async fn reload(&self, config: &Config) -> Result<(), String> {
            self.log
                .borrow_mut()
                .push(format!("reload {}", config.hostname));
            match config.hostname.as_str() {
                "refused.example" => Err("no".to_owned()),
                _ => Ok(()),
            }
        }

        async fn failed(&self) -> String {
            match self.fails {
                Some(reason) => reason.to_owned(),
                None => std::future::pending().await,
            }
        }

        async fn drain(self, deadline: Duration) {
            self.log.borrow_mut().push(format!("drain {deadline:?}"));
            if self.never_drained {
                std::future::pending().await
            }
        }
    }

    fn serving<'a>(place: &Path, on_ready: &'a dyn Fn(&BTreeMap<String, u16>)) -> Serving<'a> {
        Serving {
            config: Config::embedded(Path::new("/nowhere")),
            place: Place::File(place.to_owned()),
            ports_file: None,
            prepare: Box::new(|| Ok(())),
            on_ready,
        }
    }

    fn told(signals: &[Signal]) -> mpsc::Receiver<Signal> {
        let (tell, told) = mpsc::channel(8);
        for signal in signals {
            tell.try_send(*signal).expect("room for eight");
        }
        std::mem::forget(tell);
        told
    }

    #[tokio::test]
    async fn reloads_what_is_good_and_drains_with_its_deadline() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("p.toml");
        fs::write(
            &file,
            "hostname = \"new.example\"\n[deadlines]\ndrain = \"7s\"\n",
        )
        .expect("written");
        let engine = Fake::default();
        let ready = RefCell::new(Vec::new());
        let on_ready = |ports: &BTreeMap<String, u16>| ready.borrow_mut().push(ports.clone());
        let signals = told(&[Signal::Reload, Signal::Stop]);
        let ended = serve(engine.clone(), serving(&file, &on_ready), signals).await;
        assert_eq!(ended.expect("good"), Ended::Drained);
        assert_eq!(*engine.log.borrow(), ["reload new.example", "drain 7s"]);
        assert_eq!(ready.borrow().len(), 1);
    }

    #[tokio::test]
    async fn a_bad_configuration_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("p.toml");
        for (text, log) in [
            ("hostnam = 1", vec!["drain 30s"]),
            (
                "hostname = \"refused.example\"\n[deadlines]\ndrain = \"7s\"",
                vec!["reload refused.example", "drain 30s"],
            ),
        ] {
            fs::write(&file, text).expect("written");
            let engine = Fake::default();
            let signals = told(&[Signal::Reload, Signal::Stop]);
            serve(engine.clone(), serving(&file, &|_| {}), signals)
                .await
                .expect("good");
            assert_eq!(*engine.log.borrow(), log);
        }
    }

    #[tokio::test]
    async fn the_second_signal_is_at_once() {
        let engine = Fake {
            never_drained: true,
            ..Fake::default()
        };
        let signals = told(&[Signal::Stop, Signal::Reload, Signal::Stop]);
        let ended = serve(engine, serving(Path::new("/none"), &|_| {}), signals).await;
        assert_eq!(ended.expect("good"), Ended::AtOnce);
    }

    #[tokio::test]
    async fn an_engine_that_fails_says_why() {
        let engine = Fake {
            fails: Some("the index writer failed too often"),
            ..Fake::default()
        };
        let failure = serve(engine, serving(Path::new("/none"), &|_| {}), told(&[])).await;
        let failure = failure.expect_err("it failed");
        assert_eq!(
            failure.to_string(),
            "postrider: the index writer failed too often"
        );
    }

    #[tokio::test]
    async fn what_cannot_be_prepared_stops_the_engine_and_nobody_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ports.json");
        let engine = Fake::default();
        let mut serving = serving(Path::new("/none"), &|_| panic!("nobody is told"));
        serving.ports_file = Some(PortsFile::claim(&path).expect("claimed"));
        serving.prepare = Box::new(|| Err(Failure::new("no")));
        let failure = serve(engine.clone(), serving, told(&[])).await;
        assert_eq!(failure.expect_err("it failed").to_string(), "postrider: no");
        assert_eq!(*engine.log.borrow(), ["drain 30s"]);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_ports_are_written_before_readiness_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ports.json");
        let on_ready = |_: &BTreeMap<String, u16>| {
            assert_eq!(
                fs::read_to_string(&path).expect("there"),
                "{\"imaps\":40123}\n"
            );
        };
        let mut serving = serving(Path::new("/none"), &on_ready);
        serving.ports_file = Some(PortsFile::claim(&path).expect("claimed"));
        serve(Fake::default(), serving, told(&[Signal::Stop]))
            .await
            .expect("good");
    }
}
