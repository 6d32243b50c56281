//! The configuration: one TOML file, all keys with defaults.
//!
//! [`Config::load`] reads a file and says *all* that is wrong with it, with line and column. Each section is a file
//! here with a plain struct; `keys.rs` is the one table of all keys. Unknown keys are errors, and so is a part that
//! this version does not have: nobody finds out in production that a setting meant nothing.
//!
//! **Invariants.** A [`Config`] is whole and checked; nothing that holds one checks it again. Secrets in it are
//! [`Secret`]s, so `Debug` shows none. Defaults exist in one place: the sections' reading of
//! an absent key.

mod auth;
mod byte_count;
mod database;
mod duration;
mod keep;
mod keys;
mod ldap;
mod limits;
mod listener;
mod log;
mod problem;
mod queues;
mod secret;
mod service;
mod smtp;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod tls;
mod value;

pub use auth::{Auth, Throttle};
pub use byte_count::{ByteCount, ByteCountError};
pub use database::{Database, DatabaseUrl, DatabaseUrlError};
pub use duration::{DurationError, format_duration, parse_duration};
pub use keep::{Keep, KeepError};
#[cfg(test)]
pub(crate) use keys::KEYS;
pub use ldap::Ldap;
pub use limits::{Deadlines, Limits, Rates, Retention};
pub use listener::{Bind, BindError, Listener};
pub use log::{Log, LogFormat, UnknownLogFormat};
pub use postrider_protocol::secret::Secret;
pub use problem::{Place, Problem, Severity};
pub use queues::Queues;
pub use service::{Program, Service, TlsRule, UnknownProgram, UnknownService};
pub use smtp::Smtp;
pub use store::{Cache, Consistency, S3, Store};
pub use tls::{Certificate, Tls, TlsVersion, UnknownTlsVersion};

use std::{
    fs,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use source::{Environment, Source, Table};

/// Where the daemons look for their configuration.
pub const DEFAULT_FILE: &str = "/etc/postrider/postrider.toml";
/// Where the embedded default keeps its data, below the working directory.
pub const EMBEDDED_DATA_DIR: &str = "postrider-data";
/// Longest configuration file, in octets.
const FILE_LIMIT: u64 = 1024 * 1024;

/// Everything that can be configured, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from; none for the embedded default.
    pub file: Option<PathBuf>,
    /// What this server calls itself: in greetings, trace fields and names of messages.
    pub hostname: String,
    /// Where everything lies that has no place of its own: spool, self-signed certificate, and by default database and store.
    pub data_dir: PathBuf,
    /// Where the index lies.
    pub database: Database,
    /// Where message bodies lie.
    pub store: Store,
    /// Certificate and versions of TLS.
    pub tls: Tls,
    /// Where clients come in, metrics too.
    pub listeners: Vec<Listener>,
    /// Who may log in.
    pub auth: Auth,
    /// How much of what there may be.
    pub limits: Limits,
    /// How long a peer, or we, may take.
    pub deadlines: Deadlines,
    /// How many wait for each part of the house.
    pub queues: Queues,
    /// What SMTP and LMTP take.
    pub smtp: Smtp,
    /// How long what is no longer needed is kept.
    pub retention: Retention,
    /// What is logged.
    pub log: Log,
    /// What somebody should look at, though it works.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads a file and everything it names (secrets, certificates).
    ///
    /// # Errors
    /// All that is wrong, in the order of the file.
    pub fn load(file: &Path) -> Result<Self, Vec<Problem>> {
        Self::load_with(file, &|name| std::env::var(name).ok())
    }

    /// The configuration of a server that has none: SQLite and Maildir below `data_dir`, a self-signed certificate, ports
    /// above 1024 on 127.0.0.1.
    pub fn embedded(data_dir: &Path) -> Self {
        let source = Source::new(Path::new("(embedded default)"), Path::new(""), "", &|_| {
            None
        });
        let nothing = DeTable::new();
        let root = Table::root(&source, &nothing);
        Self {
            hostname: "localhost".to_owned(),
            ..read(&root, Some(data_dir))
        }
    }

    /// The listeners that a program opens.
    pub fn listeners_of(&self, program: Program) -> impl Iterator<Item = &Listener> {
        self.listeners.iter().filter(move |listener| {
            let served = program.services().contains(&listener.service);
            let meant = listener.program.is_none_or(|it| it == program);
            served && meant
        })
    }

    fn load_with(file: &Path, environment: Environment<'_>) -> Result<Self, Vec<Problem>> {
        let text = read_file(file).map_err(|message| {
            vec![Problem {
                file: file.to_owned(),
                place: None,
                severity: Severity::Error,
                message,
            }]
        })?;
        Self::parse(file, &text, environment)
    }

    fn parse(file: &Path, text: &str, environment: Environment<'_>) -> Result<Self, Vec<Problem>> {
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let base = absolute.parent().unwrap_or(Path::new("/"));
        let source = Source::new(file, base, text, environment);
        let (document, faults) = DeTable::parse_recoverable(text);
        for fault in &faults {
            // What follows a fault is guesswork, so only the faults are reported.
            source.error(
                fault.span().map(|it| it.start),
                fault.message().replace('\n', ", "),
            );
        }
        if !faults.is_empty() {
            return Err(source.into_problems().0);
        }
        let root = Table::root(&source, document.get_ref());
        keys::check_known(&source, document.get_ref());
        let config = read(&root, None);
        let (errors, warnings) = source.into_problems();
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            file: Some(absolute),
            warnings,
            ..config
        })
    }
}

fn read_file(file: &Path) -> Result<String, String> {
    let metadata = fs::metadata(file).map_err(|error| format!("cannot read: {error}"))?;
    if metadata.is_dir() {
        return Err("cannot read: is a directory".to_owned());
    }
    if metadata.len() > FILE_LIMIT {
        return Err("cannot read: longer than 1MiB".to_owned());
    }
    let octets = fs::read(file).map_err(|error| format!("cannot read: {error}"))?;
    String::from_utf8(octets).map_err(|_| "cannot read: not UTF-8".to_owned())
}

/// Reads all sections. Whatever is wrong is in the source; the value is then of no use.
fn read(root: &Table<'_>, data_dir: Option<&Path>) -> Config {
    let source = root.source;
    let hostname = read_hostname(root);
    let found = root.get::<PathBuf>("data_dir");
    if let Some(found) = &found
        && found.value.exists()
        && !found.value.is_dir()
    {
        let message = format!("data_dir: {} is not a directory", found.value.display());
        source.error(Some(found.at), message);
    }
    let data_dir = match (data_dir, found) {
        (Some(given), _) => std::path::absolute(given).unwrap_or_else(|_| given.to_owned()),
        (None, Some(found)) => found.value,
        (None, None) => PathBuf::from("/var/lib/postrider"),
    };
    Config {
        file: None,
        hostname,
        database: database::read(root, &data_dir),
        store: store::read(root, &data_dir),
        tls: tls::read(root),
        listeners: listener::read(root),
        auth: auth::read(root),
        limits: limits::read_limits(root),
        deadlines: limits::read_deadlines(root),
        queues: queues::read(root),
        smtp: smtp::read(root),
        retention: limits::read_retention(root),
        log: log::read(root),
        warnings: Vec::new(),
        data_dir,
    }
}

/// The configured host name, or what the system calls itself.
fn read_hostname(root: &Table<'_>) -> String {
    if let Some(found) = root.get::<String>("hostname") {
        if is_hostname(&found.value) {
            return found.value.to_ascii_lowercase();
        }
        let message = format!("hostname: {:?} is not a host name", found.value);
        root.source.error(Some(found.at), message);
    }
    let system = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let system = system.trim().to_ascii_lowercase();
    match is_hostname(&system) {
        true => system,
        false => "localhost".to_owned(),
    }
}

/// RFC 1123 section 2.1, RFC 1035 section 2.3.4.
fn is_hostname(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
