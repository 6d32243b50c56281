//! What the URL of a database says: as `libpq` reads it, and who must vouch for the server.
//!
//! `postgres://user:password@host1:5432,host2/database?sslmode=verify-full&sslrootcert=/etc/ca.pem&target_session_attrs=read-write`
//!
//! Beside `libpq`'s own parameters there are `statement_timeout` (seconds) and those that `tokio-postgres` knows.

use std::{path::PathBuf, str::FromStr, time::Duration};

use tokio_postgres::config::{Config, SslMode};

/// How long a statement may take, if the URL says nothing.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a TCP connection to each host may take, if the URL says nothing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// When an idle connection is first asked whether it still is one: well before firewalls forget it.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Who must vouch for the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Trust {
    /// Nobody: no TLS, or TLS with whoever answers.
    Anybody,
    /// An authority, for any name.
    Authority(Roots),
    /// An authority, for the name of the host.
    Name(Roots),
}

/// Authorities.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Roots {
    /// Those that the operating system trusts.
    System,
    /// Those in a PEM file.
    File(PathBuf),
}

/// How to connect.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) trust: Trust,
    pub(super) statement_timeout: Duration,
}

/// Reads a URL. What is wrong with it never holds the password.
pub(super) fn read(url: &str, password: Option<&str>) -> Result<Target, String> {
    let (before, parameters) = url.split_once('?').unwrap_or((url, ""));
    let mut passed = Vec::new();
    let (mut mode, mut root, mut statement_timeout) = (None, None, STATEMENT_TIMEOUT);
    for parameter in parameters.split('&').filter(|it| !it.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name {
            "sslmode" => mode = Some(value.to_owned()),
            "sslrootcert" => root = Some(decoded(value)?),
            "statement_timeout" => {
                let seconds: u64 = value.parse().map_err(|_| not_seconds())?;
                if !(1..=3600).contains(&seconds) {
                    return Err(not_seconds());
                }
                statement_timeout = Duration::from_secs(seconds);
            }
            "sslcert" | "sslkey" | "sslpassword" | "sslcrl" | "sslcrldir" => {
                return Err(format!("{name} is not known here: log in with a password"));
            }
            "gssencmode" | "krbsrvname" => {
                return Err(format!("{name} is not known here: use TLS"));
            }
            _ => passed.push(parameter),
        }
    }
    let rest = match passed.is_empty() {
        true => before.to_owned(),
        false => format!("{before}?{}", passed.join("&")),
    };
    let mut config = Config::from_str(&rest).map_err(|error| {
        let source = std::error::Error::source(&error);
        source.map_or_else(|| error.to_string(), ToString::to_string)
    })?;
    let (ssl, trust) = trust(mode.as_deref(), root)?;
    config.ssl_mode(ssl);
    if let Some(password) = password {
        config.password(password);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_application_name().is_none() {
        config.application_name("postrider");
    }
    config.keepalives_idle(KEEPALIVE);
    Ok(Target {
        config,
        trust,
        statement_timeout,
    })
}

fn not_seconds() -> String {
    "statement_timeout is a number of seconds from 1 to 3600".to_owned()
}

/// As `libpq` has it: `require` with authorities means `verify-ca`.
fn trust(mode: Option<&str>, root: Option<String>) -> Result<(SslMode, Trust), String> {
    let roots = root.map(|root| match root.as_str() {
        "system" => Roots::System,
        path => Roots::File(path.into()),
    });
    let system = || roots.clone().unwrap_or(Roots::System);
    Ok(match mode {
        Some("disable") => (SslMode::Disable, Trust::Anybody),
        None | Some("prefer") => (SslMode::Prefer, Trust::Anybody),
        Some("require") => match &roots {
            Some(roots) => (SslMode::Require, Trust::Authority(roots.clone())),
            None => (SslMode::Require, Trust::Anybody),
        },
        Some("verify-ca") => (SslMode::Require, Trust::Authority(system())),
        Some("verify-full") => (SslMode::Require, Trust::Name(system())),
        Some(_) => {
            return Err("sslmode is disable, prefer, require, verify-ca or verify-full".to_owned());
        }
    })
}

/// Takes `%2F` and the like for what they stand for.
fn decoded(text: &str) -> Result<String, String> {
    let broken = || "sslrootcert has a % that stands for nothing".to_owned();
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let digits = [rest.next().unwrap_or(0), rest.next().unwrap_or(0)];
        let digits = std::str::from_utf8(&digits).map_err(|_| broken())?;
        octets.push(u8::from_str_radix(digits, 16).map_err(|_| broken())?);
    }
    String::from_utf8(octets).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_libpq_reads() {
        let url = "postgres://u:p%40ss@a:5432,b:5433/mail?sslmode=verify-full&sslrootcert=/etc/my%20ca.pem\
                   &target_session_attrs=read-write&statement_timeout=7&connect_timeout=3";
        let target = read(url, None).expect("good");
        let roots = Roots::File("/etc/my ca.pem".into());
        assert_eq!(target.trust, Trust::Name(roots));
        assert_eq!(target.statement_timeout, Duration::from_secs(7));
        let config = target.config;
        assert_eq!(config.get_hosts().len(), 2);
        assert_eq!(config.get_ports(), [5432, 5433]);
        assert_eq!(config.get_password(), Some(&b"p@ss"[..]));
        assert_eq!(config.get_ssl_mode(), SslMode::Require);
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(3)));

        let target = read("postgres://u@h/mail", Some("else")).expect("good");
        assert_eq!(target.config.get_password(), Some(&b"else"[..]));
        assert_eq!(target.config.get_ssl_mode(), SslMode::Prefer);
        assert_eq!(target.trust, Trust::Anybody);
        let socket = read("postgres://u@/mail?host=/run/postgresql", None).expect("good");
        assert_eq!(socket.config.get_hosts().len(), 1);
    }

    #[test]
    fn trust_is_what_sslmode_says() {
        let of = |query: &str| read(&format!("postgres://u@h/d?{query}"), None).map(|it| it.trust);
        let file = || Roots::File("/ca".into());
        assert_eq!(of("sslmode=disable"), Ok(Trust::Anybody));
        assert_eq!(of("sslmode=require"), Ok(Trust::Anybody));
        assert_eq!(
            of("sslmode=require&sslrootcert=/ca"),
            Ok(Trust::Authority(file()))
        );
        assert_eq!(of("sslmode=verify-ca"), Ok(Trust::Authority(Roots::System)));
        assert_eq!(
            of("sslmode=verify-full&sslrootcert=system"),
            Ok(Trust::Name(Roots::System))
        );
    }

    #[test]
    fn says_what_is_wrong_without_the_password() {
        for (query, word) in [
            ("sslmode=allow", "sslmode"),
            ("sslcert=/c.pem", "sslcert"),
            ("statement_timeout=0", "statement_timeout"),
            ("statement_timeout=1min", "statement_timeout"),
            ("sslrootcert=%zz", "sslrootcert"),
            ("colour=red", "colour"),
            ("target_session_attrs=best", "target_session_attrs"),
        ] {
            let error = read(&format!("postgres://u:hunter2@h/d?{query}"), None);
            let error = error.expect_err(query);
            assert!(error.contains(word), "{query}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
