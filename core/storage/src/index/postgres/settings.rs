//! Where the database is, and how it is used.

/// Where the database is, and how it is used.
#[derive(Clone)]
pub struct PostgresSettings {
    /// `postgres://USER@HOST/DATABASE`, as `libpq` reads it.
    pub url: String,
    /// The same past a pooler that gives each transaction another connection: news need one that stays.
    pub listen_url: Option<String>,
    /// In place of one in the URLs.
    pub password: Option<String>,
    /// Connections at most, beside the one that listens.
    pub pool_size: u32,
    /// Whether other processes are listened to.
    pub hearing: Hearing,
}

/// Whether an index listens to other processes. It always tells them what it changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hearing {
    /// It brings [`News`](crate::index::News): for servers.
    Everybody,
    /// It does not, and tells before it answers: for programs that do one thing and end.
    Nobody,
}

impl std::fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresSettings")
    }
}

impl PostgresSettings {
    /// What is wrong with a URL, without asking any server and without its password. Reads the certificates that it names: blocks for a moment.
    ///
    /// # Errors
    /// In words for an operator.
    pub fn check_url(url: &str) -> Result<(), String> {
        let target = super::url::read(url, None)?;
        super::tls::connector(&target.trust).map(|_| ())
    }
}
