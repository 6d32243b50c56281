//! A server for a test: free ports, a folder of its own, accounts at hand.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postrider::admin::Admin;
use postrider::config::{Bind, Config, Service};
use postrider::engine::{Engine, Parts, Running};
use postrider_storage::index::AuthType;
use tempfile::TempDir;

use super::client::Client;

/// The one domain.
pub const DOMAIN: &str = "example.test";
/// An account.
pub const ADA: &str = "ada@example.test";
/// Another.
pub const BOB: &str = "bob@example.test";
/// Everybody's password.
pub const PASSWORD: &str = "correct-horse";
/// How long a drain may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub struct House {
    pub config: Config,
    pub running: Running,
    folder: Arc<TempDir>,
}

/// The embedded default on free ports, where IMAP and POP3 take logins without TLS.
pub fn config(folder: &Path) -> Config {
    let mut config = Config::embedded(folder);
    for listener in &mut config.listeners {
        listener.bind = vec![Bind::Tcp(([127, 0, 0, 1], 0).into())];
        listener.plaintext_login = true;
    }
    // The accounts' hashes are cheap on purpose.
    config.auth.upgrade_hashes = false;
    config
}

impl House {
    /// With Ada and Bob, SQLite and Maildir.
    pub async fn new() -> Self {
        Self::with(|_| {}, Parts::default()).await
    }

    /// With Ada and Bob, other settings and other parts.
    pub async fn with(change: impl FnOnce(&mut Config), parts: Parts) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        let mut config = config(folder.path());
        change(&mut config);
        let running = Engine::start(config.clone(), parts).await.expect("starts");
        let house = Self {
            config,
            running,
            folder,
        };
        let admin = house.admin();
        admin
            .add_domain(DOMAIN, AuthType::Local, None)
            .await
            .expect("a new domain");
        for email in [ADA, BOB] {
            house.add(email, None).await;
        }
        house
    }

    /// Adds an account.
    pub async fn add(&self, email: &str, quota: Option<u64>) {
        let added = self.admin().add_user(email, hash(PASSWORD), quota).await;
        added.expect("a new account");
    }

    /// Acts on the same index as its operator.
    pub fn admin(&self) -> Admin {
        self.running.admin()
    }

    /// Stops it and starts another one on the same data.
    pub async fn restart(self) -> Self {
        self.restart_within(PATIENCE).await
    }

    /// Stops it, does something to its data, and starts another one on them.
    pub async fn restart_after(self, change: impl FnOnce(&Path)) -> Self {
        let Self {
            config,
            running,
            folder,
        } = self;
        running.drain(PATIENCE).await;
        // The last connections to the database close in threads of their own.
        until("the database is closed", async || closed(folder.path())).await;
        change(folder.path());
        let running = Engine::start(config.clone(), Parts::default())
            .await
            .expect("starts again");
        Self {
            config,
            running,
            folder,
        }
    }

    /// The same, with so much patience for who is connected.
    pub async fn restart_within(self, patience: Duration) -> Self {
        let Self {
            config,
            running,
            folder,
        } = self;
        running.drain(patience).await;
        let running = Engine::start(config.clone(), Parts::default())
            .await
            .expect("starts again");
        Self {
            config,
            running,
            folder,
        }
    }

    /// Stops it.
    pub async fn stop(self) {
        self.running.drain(PATIENCE).await;
    }

    pub fn port(&self, service: Service) -> u16 {
        self.running.ports()[service.name()]
    }

    /// A connection that has heard the greeting.
    pub async fn connect(&self, service: Service) -> Client {
        let mut client = Client::connect(self.port(service)).await;
        client.line().await;
        client
    }

    /// An SMTP session after EHLO.
    pub async fn smtp(&self) -> Client {
        let mut client = self.connect(Service::Smtp).await;
        client.smtp("EHLO client.example").await;
        client
    }

    /// An IMAP session of an account.
    pub async fn imap(&self, email: &str) -> Client {
        let mut client = self.connect(Service::Imap).await;
        let answer = client.imap(&format!("LOGIN {email} {PASSWORD}")).await;
        assert!(answer.is_ok(), "{answer:?}");
        client
    }

    /// Delivers a message from outside; the last reply.
    pub async fn deliver(&self, to: &str, subject: &str) -> String {
        self.smtp().await.send(to, &message(subject)).await
    }

    /// The subjects in INBOX, by UID.
    pub async fn subjects(&self, email: &str) -> Vec<String> {
        let mut imap = self.imap(email).await;
        let selected = imap.imap("EXAMINE INBOX").await;
        assert!(selected.is_ok(), "{selected:?}");
        let fetched = imap
            .imap("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            .await;
        assert!(fetched.is_ok(), "{fetched:?}");
        let subject = |line: &String| line.strip_prefix("Subject: ").map(str::to_owned);
        fetched.untagged.iter().filter_map(subject).collect()
    }
}

/// Whether this process has the database below this folder open no longer.
fn closed(folder: &Path) -> Option<()> {
    let folder = folder.canonicalize().expect("a folder");
    let open = std::fs::read_dir("/proc/self/fd").expect("descriptors");
    let names = open.filter_map(|it| std::fs::read_link(it.ok()?.path()).ok());
    let database = folder.join("postrider.db");
    let mut of_it = names.filter(|it| {
        let name = it.to_string_lossy();
        name.starts_with(&*database.to_string_lossy()) && !name.ends_with("-mark")
    });
    of_it.next().is_none().then_some(())
}

/// A hash that costs next to nothing.
pub fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).expect("a short password")
}

/// A message with this subject.
pub fn message(subject: &str) -> String {
    format!("From: <eve@remote.example>\r\nSubject: {subject}\r\n\r\nHello.\r\n")
}

/// Waits until `look` brings something; fails if that takes too long.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"))
}
