//! The server under attack, and what it costs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use postrider::net::descriptors::Descriptors;
use postrider_tests::daemon::{Daemon, House};
use tempfile::TempDir;

use crate::client::Client;

/// An account.
pub const ADA: &str = "ada@hostile.test";
/// Its password.
pub const PASSWORD: &str = "not to be guessed";
/// Its hash at bcrypt's lowest cost: the tests are about other things.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuZ4LSViaTlWbA3NzuQsqZWas5EXpaDH6";

/// How long an honest client may have to wait for its answer while others attack: a debug build on a busy machine.
pub const SERVED: Duration = Duration::from_secs(20);

/// The services under attack that speak in clear.
pub const PLAIN: [&str; 5] = ["smtp", "submission", "lmtp", "imap", "pop3"];
/// The others.
pub const TLS: [&str; 3] = ["submissions", "imaps", "pop3s"];

/// A running server.
pub struct Server {
    daemon: Daemon,
    house: House,
    _folder: TempDir,
}

impl Server {
    /// Every service, with these lines at the end of its configuration.
    pub fn start(lines: &str) -> Self {
        Descriptors::raise();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let house = House::new(folder.path(), &configuration(lines));
        house.done(&["migrate"], "");
        house.done(&["domain", "add", "hostile.test"], "");
        let table = format!("email,password_hash,quota\n{ADA},{HASH},unlimited\n");
        house.done(&["user", "import", "-"], &table);
        let daemon = house.start();
        let server = Self {
            daemon,
            house,
            _folder: folder,
        };
        // Everything that is made at its first use is made before anything is measured.
        server.serves_others();
        server
    }

    /// The port of a service.
    pub fn port(&self, service: &str) -> u16 {
        self.daemon.port(service)
    }

    /// A connection that has heard the greeting.
    pub fn connect(&self, service: &str) -> Client {
        let mut client = Client::connect(self.port(service));
        client.line();
        client
    }

    /// An IMAP session after login.
    pub fn imap(&self) -> Client {
        let mut client = self.connect("imap");
        client.ok(&format!("LOGIN {ADA} \"{PASSWORD}\""));
        client
    }

    /// Somebody else delivers a message and finds it.
    pub fn serves_others(&self) {
        let start = Instant::now();
        let mut smtp = self.connect("smtp");
        smtp.say("EHLO client.example");
        let reply = smtp.send(ADA, b"Subject: honest\r\n\r\nHello.\r\n");
        assert!(reply.starts_with("250"), "{reply}\n{}", self.house.log());
        let mut imap = self.imap();
        imap.ok("SELECT INBOX");
        imap.ok("UID SEARCH SUBJECT honest");
        let took = start.elapsed();
        assert!(took < SERVED, "others waited {took:?}");
    }

    /// Resident memory, in octets.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most resident memory that there ever was, in octets.
    pub fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, what: &str) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|it| it.strip_prefix(what));
        let kib = line.and_then(|it| it.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kib.expect("a process has memory") * 1024
    }

    /// CPU time so far: hundredths of a second.
    pub fn cpu(&self) -> u64 {
        let stat = self.read("stat");
        let (_, rest) = stat.rsplit_once(") ").expect("a name in parentheses");
        let fields: Vec<_> = rest.split(' ').collect();
        let field = |number: usize| fields[number - 3].parse::<u64>().expect("a number");
        field(14) + field(15)
    }

    fn read(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.daemon.pid());
        fs::read_to_string(Path::new(&path)).expect("the server lives")
    }

    /// How often a limit was met.
    pub fn reached(&self, limit: &str) -> u64 {
        self.metric(&format!(
            "postrider_limits_reached_total{{limit=\"{limit}\"}}"
        ))
    }

    /// A number of the metrics, summed up over what begins like this.
    pub fn metric(&self, beginning: &str) -> u64 {
        let mut http = Client::connect(self.port("metrics"));
        http.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let text = http.rest();
        let lines = text.lines().filter(|line| line.starts_with(beginning));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum::<f64>() as u64
    }

    /// Fails if more memory than this came to be held since `before`.
    pub fn holds_no_more_than(&self, before: u64, allowed: u64, what: &str) {
        let now = self.memory();
        let more = now.saturating_sub(before);
        println!(
            "{what}: {} KiB more, of {} allowed",
            more >> 10,
            allowed >> 10
        );
        assert!(
            more <= allowed,
            "{what}: {more} octets more, {allowed} allowed"
        );
    }
}

fn configuration(lines: &str) -> String {
    let mut text = "hostname = \"mail.hostile.test\"\n".to_owned();
    for service in PLAIN.iter().chain(&TLS).chain(&["metrics"]) {
        text.push_str(&format!(
            "[[listener]]\nservice = \"{service}\"\nbind = \"127.0.0.1:0\"\n"
        ));
        if matches!(*service, "submission" | "imap" | "pop3") {
            text.push_str("plaintext_login = true\n");
        }
    }
    text.push_str("[auth]\nupgrade_hashes = false\n");
    text + lines
}
