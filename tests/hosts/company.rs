//! A company with several hosts: one database, one store, accounts.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use postrider_tests::daemon::{Daemon, House};
use tempfile::TempDir;

use super::client::Client;
use super::server::{self, Server};

/// Accounts.
pub const ADA: &str = "ada@hosts.test";
pub const BOB: &str = "bob@hosts.test";
pub const PASSWORD: &str = "not to be guessed";
/// Its hash at bcrypt's lowest cost: the tests are about other things.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuZ4LSViaTlWbA3NzuQsqZWas5EXpaDH6";

/// What its hosts share.
pub struct Company {
    pub server: &'static Server,
    pub database: String,
    lines: String,
    folder: TempDir,
}

impl Company {
    /// With Ada and Bob, and these lines in every host's configuration.
    pub fn new(lines: &str) -> Self {
        let server = server::shared();
        let company = Self {
            database: block_on(server.database()),
            server,
            lines: lines.to_owned(),
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        let first = company.host("control");
        first.done(&["domain", "add", "hosts.test"], "");
        let table =
            format!("email,password_hash,quota\n{ADA},{HASH},unlimited\n{BOB},{HASH},unlimited\n");
        first.done(&["user", "import", "-"], &table);
        company
    }

    /// A host that serves nothing yet.
    pub fn host(&self, name: &str) -> House {
        self.host_with(name, "")
    }

    /// The same with lines of its own in its configuration.
    pub fn host_with(&self, name: &str, lines: &str) -> House {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let mut text = format!("hostname = \"{name}.hosts.test\"\n");
        for service in ["smtp", "imap", "pop3"] {
            text.push_str(&format!(
                "[[listener]]\nservice = \"{service}\"\nbind = \"127.0.0.1:0\"\n"
            ));
            if service != "smtp" {
                text.push_str("plaintext_login = true\n");
            }
        }
        text.push_str("[auth]\nupgrade_hashes = false\n");
        let url = self.server.url(&self.database);
        text.push_str(&format!("[database]\nurl = \"{url}\"\npool_size = 6\n"));
        if !(self.lines.contains("[store]") || lines.contains("[store]")) {
            text.push_str(&format!(
                "[store]\nkind = \"filesystem\"\nroot = {:?}\n",
                self.store().display().to_string()
            ));
        }
        House::new(&folder, &format!("{text}{}{lines}", self.lines))
    }

    /// Where bodies lie.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// The first column of the first row of a query.
    pub fn ask(&self, query: &str) -> String {
        block_on(self.server.ask(&self.database, query))
    }
}

/// Runs what needs a runtime, from a test that has none.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// A session of IMAP after login.
pub fn imap(imapd: &Daemon, email: &str) -> Client {
    let mut client = connect(imapd, "imap");
    client.ok(&format!("LOGIN {email} \"{PASSWORD}\""));
    client
}

/// A command of IMAP that is answered OK, and the lines that came before.
pub fn lines(client: &mut Client, command: &str) -> Vec<String> {
    client.write(format!("x {command}\r\n").as_bytes());
    let mut lines = Vec::new();
    loop {
        let line = client.line();
        match line.strip_prefix("x ") {
            Some(tagged) => {
                assert!(tagged.starts_with("OK"), "{command}: {tagged}");
                return lines;
            }
            None => lines.push(line),
        }
    }
}

/// A connection that has heard the greeting.
pub fn connect(daemon: &Daemon, service: &str) -> Client {
    let mut client = Client::connect(daemon.port(service));
    client.line();
    client
}

/// Delivers a message with this subject.
pub fn deliver(smtpd: &Daemon, to: &str, subject: &str) {
    let mut smtp = connect(smtpd, "smtp");
    smtp.say("EHLO client.example");
    let text = format!("From: eve@remote.example\r\nSubject: {subject}\r\n\r\nHello.\r\n");
    let reply = smtp.send(to, text.as_bytes());
    assert!(reply.starts_with("250"), "{reply}");
}

/// Tells a process something.
pub fn signal(daemon: &Daemon, name: &str) {
    let pid = daemon.pid().to_string();
    let told = Command::new("sh")
        .args(["-c", "kill -\"$0\" \"$1\"", name, &pid])
        .status();
    assert!(told.is_ok_and(|it| it.success()), "{name} {pid}");
}

/// Waits until `look` brings something; fails if that takes too long.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
