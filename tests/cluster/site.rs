//! A site: hosts with their daemons, the database with its standby, the bucket.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use postrider_tests::daemon::{DAEMONS, Daemon, House};
use postrider_tests::door::Door;
use postrider_tests::fault::Faults;
use postrider_tests::postgres::{FAST, Process, free_port};
use tempfile::TempDir;

use crate::house;
use crate::server::{ACCESS, BUCKET, REGION, SECRET, Server};

/// The database's name.
const DATABASE: &str = "mailserver";
/// Generous: a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What every host is told; a site may say otherwise.
const CONFIGURATION: [(&str, &str); 12] = [
    ("auth", "upgrade_hashes = false"),
    ("limits", "exempt = [\"127.0.0.1/32\"]"),
    ("limits", "connections_per_account = 1000"),
    ("retention", "expunged = \"1s\""),
    ("deadlines", "answer = \"4s\""),
    ("database", "pool_size = 4"),
    ("store", "kind = \"s3\""),
    ("store", "path_style = true"),
    ("store", "timeout = \"1s\""),
    ("store", "consistency = \"eventual\""),
    ("log", "format = \"text\""),
    ("log", "filter = \"info\""),
];

/// One host.
pub struct Host {
    pub name: String,
    pub house: House,
    pub faults: Faults,
    /// Those of its daemons that are started.
    pub wanted: Vec<&'static str>,
    daemons: HashMap<&'static str, Daemon>,
}

/// All of it.
pub struct Site {
    /// The server that takes changes, then its standby if there is one.
    pub postgres: Vec<Process>,
    pub store: Server,
    pub hosts: Vec<Host>,
    pub door: Door,
    _folder: TempDir,
}

/// What a standby and who may become one are told.
const STREAMING: [&str; 3] = [
    FAST,
    "wal_retrieve_retry_interval=200ms",
    "wal_keep_size=64MB",
];

impl Site {
    /// So many hosts, with or without a standby, and these lines in sections of their configuration. Tables and accounts are made, nothing is
    /// started.
    pub fn new(hosts: usize, has_standby: bool, lines: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let primary = Process::start(&STREAMING);
        primary
            .sql("postgres", &format!("CREATE DATABASE {DATABASE}"))
            .unwrap();
        let other = free_port();
        let mut addresses = format!("127.0.0.1:{}", primary.port);
        if has_standby {
            addresses.push_str(&format!(",127.0.0.1:{other}"));
        }
        let url = format!(
            "postgres://postgres@{addresses}/{DATABASE}?target_session_attrs=read-write&connect_timeout=2"
        );
        let store = Server::start();
        let hosts = ["a", "b", "c"][..hosts].iter().map(|name| {
            let at = folder.path().join(name);
            fs::create_dir(&at).unwrap();
            let house = House::new(&at, &configuration(name, &url, &store, lines));
            let faults = Faults::new(&at, &house.data());
            let house = house.with_environment(faults.environment(false));
            Host {
                name: (*name).to_owned(),
                house,
                faults,
                wanted: DAEMONS.to_vec(),
                daemons: HashMap::new(),
            }
        });
        let mut site = Self {
            postgres: vec![primary],
            hosts: hosts.collect(),
            store,
            door: Door::default(),
            _folder: folder,
        };
        house::accounts(&site.hosts[0].house);
        if has_standby {
            site.add_standby(other);
        }
        site
    }

    /// The same with everything started, and the mailboxes of the clients.
    pub fn start(hosts: usize, has_standby: bool, lines: &[(&str, &str)]) -> Self {
        let mut site = Self::new(hosts, has_standby, lines);
        site.start_what_is_down();
        house::shelves(&site.hosts[0].house, &site.door);
        site
    }

    /// Adds a standby that every commit waits for.
    pub fn add_standby(&mut self, port: u16) {
        let primary = &self.postgres[0];
        let standby = primary.standby(port, &STREAMING);
        let streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        let begun = Instant::now();
        while primary.sql("postgres", streams).as_deref() != Some("1") {
            assert!(begun.elapsed() < PATIENCE, "the standby does not follow");
            std::thread::sleep(Duration::from_millis(50));
        }
        for statement in [
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
            "SELECT pg_reload_conf()",
        ] {
            primary.sql("postgres", statement).unwrap();
        }
        self.postgres.push(standby);
    }

    /// The primary is gone in one instant; its standby takes over, and gets one of its own at the old place.
    pub fn fail_over(&mut self, pause: Duration) {
        self.postgres[0].tell("kill");
        std::thread::sleep(pause);
        let old = self.postgres.remove(0);
        let promoted = self.postgres[0].sql("postgres", "SELECT pg_promote()");
        assert_eq!(promoted.as_deref(), Some("t"), "the standby takes over");
        let port = old.port;
        drop(old);
        self.add_standby(port);
    }

    /// What a query of the database says.
    pub fn ask(&self, query: &str) -> String {
        let said = self.postgres[0].sql(DATABASE, query);
        said.unwrap_or_else(|| panic!("not answered: {query}"))
    }

    /// Starts every wanted daemon that does not run; their names.
    pub fn start_what_is_down(&mut self) -> Vec<String> {
        let mut started = Vec::new();
        for host in &mut self.hosts {
            let mut launched = Vec::new();
            for name in host.wanted.iter().copied() {
                let runs = host.daemons.get_mut(name);
                if runs.is_some_and(|it| it.ended(Duration::ZERO).is_none()) {
                    continue;
                }
                host.daemons.remove(name);
                self.door.close(&format!("{name}@{}", host.name));
                launched.push((name, host.house.launch_daemon(name)));
            }
            for (name, daemon) in launched {
                let place = format!("{name}@{}", host.name);
                let ready = host.house.ready(daemon).unwrap_or_else(|status| {
                    panic!(
                        "{place} ended at its start with {status}:\n{}",
                        host.house.log()
                    )
                });
                self.door.open(&place, ready.ports().clone());
                host.daemons.insert(name, ready);
                started.push(place);
            }
        }
        started
    }

    /// `kill -9` of one.
    pub fn kill(&mut self, host: usize, name: &str) {
        let host = &mut self.hosts[host];
        self.door.close(&format!("{name}@{}", host.name));
        if let Some(daemon) = host.daemons.remove(name) {
            daemon.kill();
        }
    }

    /// Waits until a daemon of a host has ended.
    pub fn wait_for_an_end(&mut self, host: usize, patience: Duration) {
        let begun = Instant::now();
        let daemons = &mut self.hosts[host].daemons;
        while begun.elapsed() < patience {
            if daemons
                .values_mut()
                .any(|it| it.ended(Duration::ZERO).is_some())
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM for all; each must leave as it should.
    pub fn stop(&mut self) {
        for host in &mut self.hosts {
            for (name, daemon) in host.daemons.drain() {
                self.door.close(&format!("{name}@{}", host.name));
                let status = daemon.stop();
                assert!(
                    status.success(),
                    "{name}@{}: {status}\n{}",
                    host.name,
                    host.house.log()
                );
            }
        }
    }

    /// What all hosts logged last.
    pub fn log(&self) -> String {
        let of = |host: &Host| format!("--- host {}\n{}\n", host.name, host.house.log());
        self.hosts.iter().map(of).collect()
    }
}

impl Host {
    /// The sum of the numbers of a metric whose line begins so.
    pub fn metric(&self, daemon: &str, beginning: &str) -> f64 {
        let text = self.http(daemon, "/metrics");
        let lines = text.lines().filter(|line| line.starts_with(beginning));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// What a daemon answers to a GET.
    pub fn http(&self, daemon: &str, path: &str) -> String {
        let port = self.daemons[daemon].port("metrics");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let ask = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// Resident memory of a daemon, in octets.
    pub fn memory(&self, daemon: &str) -> u64 {
        let path = format!("/proc/{}/status", self.daemons[daemon].pid());
        let status = fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let kib = line.and_then(|it| it.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kib.unwrap() * 1024
    }
}

/// The configuration of a host.
fn configuration(host: &str, url: &str, store: &Server, lines: &[(&str, &str)]) -> String {
    let own = [
        ("database", format!("url = \"{url}\"")),
        ("store", format!("endpoint = \"{}\"", store.endpoint())),
        ("store", format!("bucket = \"{BUCKET}\"")),
        ("store", format!("region = \"{REGION}\"")),
        ("store", format!("access_key = \"{ACCESS}\"")),
        ("store", format!("secret_key = \"{SECRET}\"")),
    ];
    let own = own.iter().map(|(section, line)| (*section, line.as_str()));
    let mut sections: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for (section, line) in CONFIGURATION
        .into_iter()
        .chain(own)
        .chain(lines.iter().copied())
    {
        let (key, value) = line.split_once(" = ").unwrap();
        sections.entry(section).or_default().insert(key, value);
    }
    let mut text = format!("hostname = \"{host}.crash.test\"\n");
    for (section, lines) in sections {
        text.push_str(&format!("[{section}]\n"));
        for (key, value) in lines {
            text.push_str(&format!("{key} = {value}\n"));
        }
    }
    for (service, more) in [
        ("smtp", ""),
        ("lmtp", ""),
        ("imap", "plaintext_login = true"),
        ("pop3", "plaintext_login = true"),
        ("metrics", "program = \"smtpd\""),
        ("metrics", "program = \"imapd\""),
        ("metrics", "program = \"pop3d\""),
    ] {
        text.push_str(&format!(
            "[[listener]]\nservice = \"{service}\"\nbind = \"127.0.0.1:0\"\n{more}\n"
        ));
    }
    text
}
