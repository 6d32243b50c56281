//! `[database]`: where the index lies.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use postrider_protocol::secret::Secret;
use postrider_storage::index::{Hearing, PostgresSettings};

use super::{
    secret::secret,
    source::{Found, Table},
    value::FromValue,
};

/// Where the index lies.
#[derive(Clone, Debug)]
pub struct Database {
    /// Which database.
    pub url: DatabaseUrl,
    /// Connections held open at most.
    pub pool_size: u32,
    /// Password in place of one in the URL.
    pub password: Option<Secret<String>>,
    /// PostgreSQL past a pooler: where news of other processes are listened to.
    pub listen_url: Option<Secret<String>>,
}

/// Which database.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// SQLite, a file.
    Sqlite(PathBuf),
    /// PostgreSQL, a URL that may hold a password.
    Postgres(Secret<String>),
}

/// Why a text is no database URL. Never holds the text: there may be a password in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Another scheme.
    #[error("must begin with \"sqlite://\" or \"postgres://\"")]
    Scheme,
    /// SQLite without a file.
    #[error("names no file; write \"sqlite:///var/lib/postrider/postrider.db\"")]
    NoFile,
    /// SQLite in memory or with parameters.
    #[error("takes a path and nothing else after \"sqlite://\"")]
    SqliteParameters,
    /// PostgreSQL without host or database.
    #[error("must be \"postgres://USER@HOST/DATABASE\"")]
    Postgres,
    /// A port that is none.
    #[error("has a port that is no number from 1 to 65535")]
    Port,
    /// An unknown value of sslmode.
    #[error(
        "has an unknown sslmode; known are disable, prefer, require, verify-ca and verify-full"
    )]
    SslMode,
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.ends_with('/') {
                return Err(DatabaseUrlError::NoFile);
            }
            if path.contains(['?', '\0']) || path == ":memory:" {
                return Err(DatabaseUrlError::SqliteParameters);
            }
            return Ok(Self::Sqlite(path.into()));
        }
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or(DatabaseUrlError::Scheme)?;
        check_postgres(rest)?;
        Ok(Self::Postgres(Secret::new(text.to_owned())))
    }
}

/// `[user[:password]@]host[:port][,host[:port]…]/database[?name=value&…]`
fn check_postgres(rest: &str) -> Result<(), DatabaseUrlError> {
    let (before, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = before.rsplit_once('/').ok_or(DatabaseUrlError::Postgres)?;
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("-", authority));
    let parameter = |name: &str| {
        let mut pairs = parameters.split('&').filter_map(|it| it.split_once('='));
        pairs.rfind(|(it, _)| *it == name).map(|(_, value)| value)
    };
    let no_host = hosts.is_empty() && parameter("host").is_none();
    if database.is_empty() || user.is_empty() || no_host || authority.contains('/') {
        return Err(DatabaseUrlError::Postgres);
    }
    for host in hosts.split(',') {
        let after_literal = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
        if let Some((_, port)) = after_literal.split_once(':')
            && !port.parse::<u16>().is_ok_and(|port| port != 0)
        {
            return Err(DatabaseUrlError::Port);
        }
    }
    match parameter("sslmode") {
        None | Some("disable" | "prefer" | "require" | "verify-ca" | "verify-full") => Ok(()),
        Some(_) => Err(DatabaseUrlError::SslMode),
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres(..)"),
        }
    }
}

impl FromValue for DatabaseUrl {
    fn from_value(value: &super::source::Value<'_>) -> Result<Self, String> {
        let text = Secret::new(value.string("a database URL")?);
        let url = text
            .expose()
            .parse()
            .map_err(|error: DatabaseUrlError| error.to_string())?;
        Ok(match url {
            Self::Sqlite(path) => Self::Sqlite(value.source.resolve(&path.to_string_lossy())),
            postgres @ Self::Postgres(_) => postgres,
        })
    }
}

/// Reads the section.
pub(super) fn read(root: &Table<'_>, data_dir: &Path) -> Database {
    let table = root.table("database");
    let url = table.get::<DatabaseUrl>("url");
    let pool_size = table.within("pool_size", 16, 1..=1000);
    let password = secret(&table, "password");
    let listen_url = table.get::<DatabaseUrl>("listen_url").and_then(|found| {
        let DatabaseUrl::Postgres(listen) = &found.value else {
            let message = "database.listen_url: only PostgreSQL can be listened to";
            table.source.error(Some(found.at), message);
            return None;
        };
        check_all(&table, "listen_url", &found);
        Some(listen.clone())
    });
    if let Some(found) = &url {
        check_all(&table, "url", found);
    }
    let url = url.map_or_else(
        || DatabaseUrl::Sqlite(data_dir.join("postrider.db")),
        |found| found.value,
    );
    Database {
        url,
        pool_size,
        password,
        listen_url,
    }
}

/// What only the one who connects understands: parameters, and the certificates that they name.
fn check_all(table: &Table<'_>, key: &str, found: &Found<DatabaseUrl>) {
    if let DatabaseUrl::Postgres(url) = &found.value
        && let Err(why) = PostgresSettings::check_url(url.expose())
    {
        let message = format!("{}: {why}", table.path(key));
        table.source.error(Some(found.at), message);
    }
}

impl Database {
    /// What PostgreSQL is opened with; none if the database is another.
    pub fn postgres(&self) -> Option<PostgresSettings> {
        let DatabaseUrl::Postgres(url) = &self.url else {
            return None;
        };
        Some(PostgresSettings {
            url: url.expose().clone(),
            listen_url: self.listen_url.as_ref().map(|url| url.expose().clone()),
            password: self.password.as_ref().map(|it| it.expose().clone()),
            pool_size: self.pool_size,
            hearing: Hearing::Everybody,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls() {
        let path = |text: &str| match text.parse() {
            Ok(DatabaseUrl::Sqlite(path)) => path,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(path("sqlite:///var/p.db"), PathBuf::from("/var/p.db"));
        assert_eq!(path("sqlite:p.db"), PathBuf::from("p.db"));
        for good in [
            "postgres://postrider@db.example.com/mailserver?sslmode=verify-full",
            "postgresql://u:p%40ss@[2001:db8::1]:5432/mail",
            "postgres://u@a:5432,b:5433/mail?target_session_attrs=read-write",
            "postgres://u@/mail?host=/run/postgresql",
        ] {
            let url = good.parse::<DatabaseUrl>();
            assert!(matches!(url, Ok(DatabaseUrl::Postgres(_))), "{good}");
        }
    }

    #[test]
    fn says_what_is_wrong_without_repeating_the_password() {
        use DatabaseUrlError::*;
        for (text, error) in [
            ("mysql://u:hunter2@h/d", Scheme),
            ("sqlite://", NoFile),
            ("sqlite:///var/lib/", NoFile),
            ("sqlite::memory:", SqliteParameters),
            ("sqlite:///p.db?mode=ro", SqliteParameters),
            ("postgres://u:hunter2@h", Postgres),
            ("postgres://u:hunter2@h/", Postgres),
            ("postgres://u:hunter2@/d", Postgres),
            ("postgres://u:hunter2@h:99999/d", Port),
            ("postgres://u:hunter2@h/d?sslmode=allow", SslMode),
        ] {
            let found = text.parse::<DatabaseUrl>().expect_err(text);
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("hunter2"));
        }
        let url: DatabaseUrl = "postgres://u:hunter2@h/d".parse().expect("good");
        assert!(!format!("{url:?}").contains("hunter2"));
    }
}
