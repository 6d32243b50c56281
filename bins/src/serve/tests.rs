//! Serving, with an engine that only notes what it is told.

use std::{cell::RefCell, fs, path::Path, rc::Rc};

use super::*;
use crate::manager::tests::{Ear, Held};

/// An engine that notes what it is told.
#[derive(Clone, Default)]
struct Fake {
    log: Rc<RefCell<Vec<String>>>,
    fails: Option<&'static str>,
    never_drained: bool,
    /// Its clients stay.
    never_left: bool,
    watch: Arc<Held>,
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

    fn watch(&self) -> Arc<dyn Watch> {
        self.watch.clone()
    }

    async fn retire(&self, patience: Duration) {
        self.log.borrow_mut().push(format!("retire {patience:?}"));
        if self.never_left {
            std::future::pending().await
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

/// No service manager.
fn nobody() -> Manager {
    Manager::new(None, None)
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
    let ended = serve(
        engine.clone(),
        serving(&file, &on_ready),
        signals,
        &nobody(),
    )
    .await;
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
        serve(engine.clone(), serving(&file, &|_| {}), signals, &nobody())
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
    let ended = serve(
        engine,
        serving(Path::new("/none"), &|_| {}),
        signals,
        &nobody(),
    )
    .await;
    assert_eq!(ended.expect("good"), Ended::AtOnce);
}

#[tokio::test]
async fn an_engine_that_fails_says_why() {
    let engine = Fake {
        fails: Some("the index writer failed too often"),
        ..Fake::default()
    };
    let failure = serve(
        engine,
        serving(Path::new("/none"), &|_| {}),
        told(&[]),
        &nobody(),
    )
    .await;
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
    let failure = serve(engine.clone(), serving, told(&[]), &nobody()).await;
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
    serve(Fake::default(), serving, told(&[Signal::Stop]), &nobody())
        .await
        .expect("good");
}

#[tokio::test]
async fn who_retires_leaves_after_its_last_client() {
    let engine = Fake::default();
    let ended = serve(
        engine.clone(),
        serving(Path::new("/none"), &|_| {}),
        told(&[Signal::Retire]),
        &nobody(),
    )
    .await;
    assert_eq!(ended.expect("good"), Ended::Drained);
    assert_eq!(*engine.log.borrow(), ["retire 30s", "drain 30s"]);
}

#[tokio::test]
async fn who_retires_can_be_stopped_and_reloaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("p.toml");
    fs::write(&file, "hostname = \"new.example\"\n").expect("written");
    let engine = Fake {
        never_left: true,
        ..Fake::default()
    };
    let signals = told(&[Signal::Retire, Signal::Retire, Signal::Reload, Signal::Stop]);
    let ended = serve(engine.clone(), serving(&file, &|_| {}), signals, &nobody()).await;
    assert_eq!(ended.expect("good"), Ended::Drained);
    // What comes at once is heard in this order, and a retirement begins when it is its turn.
    let log = engine.log.borrow();
    assert!(log.iter().any(|it| it == "reload new.example"), "{log:?}");
    assert_eq!(log.last().map(String::as_str), Some("drain 30s"), "{log:?}");
}

#[tokio::test]
async fn the_service_manager_hears_of_every_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("p.toml");
    fs::write(&file, "hostnam = 1").expect("written");
    let socket = folder.path().join("notify");
    let ear = Ear::at(&socket);
    let manager = Manager::new(Some(socket.as_os_str()), None);
    let engine = Fake::default();
    let signals = told(&[Signal::Reload, Signal::Stop]);
    let on_ready = |_: &BTreeMap<String, u16>| {
        assert_eq!(ear.heard(), ["READY=1\nSTATUS=serving imaps 40123\n"]);
    };
    serve(engine, serving(&file, &on_ready), signals, &manager)
        .await
        .expect("good");
    let heard = ear.heard();
    let [reloading, ready, stopping, ..] = &heard[..] else {
        panic!("{heard:?}");
    };
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(
        ready,
        "READY=1\nSTATUS=serving imaps 40123; configuration not reloaded, see the log\n"
    );
    assert_eq!(stopping, "STOPPING=1\n");
}
