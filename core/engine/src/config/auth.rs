//! `[auth]`: who may log in.

use std::{path::PathBuf, time::Duration};

use postrider_protocol::secret::Secret;

use super::{secret::secret, source::Table, tls::check_pem};

/// Who may log in, and what guessing costs.
#[derive(Clone, Debug)]
pub struct Auth {
    /// A weaker hash becomes bcrypt at the next login.
    pub upgrade_hashes: bool,
    /// How long a success is remembered.
    pub cache: Duration,
    /// How long a login waits for a free password hasher before it is told to come back.
    pub hash_wait: Duration,
    /// What guessing costs.
    pub throttle: Throttle,
    /// The directory.
    pub ldap: Option<Ldap>,
}

/// What guessing passwords costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Throttle {
    /// Failures within `window` after which an address is banned (IPv6: its /64).
    pub failures_per_ip: u32,
    /// Failures within `window`, from any address, after which an account answers "later".
    pub failures_per_account: u32,
    /// How long a failure counts.
    pub window: Duration,
    /// How long a ban lasts.
    pub ban: Duration,
}

/// An LDAP directory.
#[derive(Clone, Debug)]
pub struct Ldap {
    /// `ldaps://HOST[:PORT]`
    pub url: String,
    /// Certificates that may have signed the server's; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Who searches.
    pub bind_dn: String,
    /// Its password.
    pub bind_password: Secret<String>,
    /// Where users are searched; a domain's own base DN overrides it.
    pub base_dn: String,
    /// How a user is found; `{email}` is the address, escaped.
    pub user_filter: String,
    /// How long an operation may take.
    pub timeout: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Reads the section.
pub(super) fn read(root: &Table<'_>) -> Auth {
    let table = root.table("auth");
    let throttle = table.table("throttle");
    let second = Duration::from_secs(1);
    Auth {
        upgrade_hashes: table.or("upgrade_hashes", true),
        cache: table.within("cache", 5 * MINUTE, Duration::ZERO..=DAY),
        hash_wait: table.within(
            "hash_wait",
            10 * second,
            Duration::from_millis(100)..=5 * MINUTE,
        ),
        throttle: Throttle {
            failures_per_ip: throttle.within("failures_per_ip", 100, 1..=1_000_000),
            failures_per_account: throttle.within("failures_per_account", 20, 1..=1_000_000),
            window: throttle.within("window", 10 * MINUTE, second..=DAY),
            ban: throttle.within("ban", 10 * MINUTE, second..=30 * DAY),
        },
        ldap: read_ldap(&table.table("ldap")),
    }
}

fn read_ldap(table: &Table<'_>) -> Option<Ldap> {
    let url = table.get::<String>("url");
    let ca_file = table.get::<PathBuf>("ca_file");
    let bind_dn = table.get::<String>("bind_dn");
    let bind_password = secret(table, "bind_password");
    let base_dn = table.get::<String>("base_dn");
    let user_filter = table.get::<String>("user_filter");
    let timeout = table.within(
        "timeout",
        Duration::from_secs(3),
        Duration::from_millis(100)..=MINUTE,
    );
    if !table.present() {
        return None;
    }
    let source = table.source;
    for key in ["url", "bind_dn", "base_dn"] {
        if !table.has(key) {
            source.error(table.at(), format!("auth.ldap.{key} is missing"));
        }
    }
    if !table.has("bind_password") && !table.has("bind_password_file") {
        let message = "auth.ldap.bind_password_file (or auth.ldap.bind_password) is missing; anonymous bind is refused";
        source.error(table.at(), message);
    }
    if let Some(url) = &url {
        check_url(table, &url.value, url.at);
    }
    if let Some(file) = &ca_file {
        check_pem(source, "auth.ldap.ca_file", file, "CERTIFICATE");
    }
    if let Some(filter) = &user_filter
        && let Err(message) = check_filter(&filter.value)
    {
        source.error(Some(filter.at), format!("auth.ldap.user_filter: {message}"));
    }
    source.error(
        table.at(),
        "auth.ldap is not available in this version; remove the section",
    );
    Some(Ldap {
        url: url?.value,
        ca_file: ca_file.map(|it| it.value),
        bind_dn: bind_dn?.value,
        bind_password: bind_password?,
        base_dn: base_dn?.value,
        user_filter: user_filter.map_or_else(
            || "(&(objectClass=inetOrgPerson)(mail={email}))".to_owned(),
            |it| it.value,
        ),
        timeout,
    })
}

fn check_url(table: &Table<'_>, url: &str, at: usize) {
    let source = table.source;
    if url.starts_with("ldap://") {
        source.error(
            Some(at),
            "auth.ldap.url: TLS is mandatory; use \"ldaps://\"",
        );
        return;
    }
    let host = url
        .strip_prefix("ldaps://")
        .map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let good = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '@', ' ']));
    if !good {
        source.error(
            Some(at),
            "auth.ldap.url: must be \"ldaps://HOST\" or \"ldaps://HOST:PORT\"",
        );
    }
}

/// Parentheses must pair and the address must be asked for (RFC 4515).
fn check_filter(filter: &str) -> Result<(), &'static str> {
    let mut depth = 0i32;
    for (at, character) in filter.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        let closed_early = depth <= 0 && at + 1 < filter.len();
        if closed_early {
            return Err("must be one filter in parentheses, such as \"(mail={email})\"");
        }
    }
    if depth != 0 {
        return Err("parentheses do not pair");
    }
    if !filter.contains("{email}") {
        return Err("must hold {email}, or it finds the same users for everybody");
    }
    Ok(())
}
