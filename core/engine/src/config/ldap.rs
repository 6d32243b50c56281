//! `[auth.ldap]`: the directory that is asked first in domains whose users it vouches for.
//!
//! LDAPS only: `ldap://` and StartTLS, which an attacker on the path can strip, are not offered. Who searches has a name and a password.

use std::{path::PathBuf, time::Duration};

use postrider_protocol::secret::Secret;

use super::{
    secret::secret,
    source::{Found, Source, Table},
    tls::check_pem,
};

/// An LDAP directory.
#[derive(Clone, Debug)]
pub struct Ldap {
    /// `ldaps://HOST[:PORT]`, at least one, in the order in which they are tried.
    pub urls: Vec<String>,
    /// Certificates that may have signed the servers'; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Who searches.
    pub bind_dn: String,
    /// Its password.
    pub bind_password: Secret<String>,
    /// Where users are searched; a domain's own base DN overrides it. `{domain}` is the domain, escaped.
    pub base_dn: String,
    /// The domain of a login without one; none: such a login is nobody's.
    pub default_domain: Option<String>,
    /// How a user is found; `{email}` is the address, `{uid}` its local part, both escaped.
    pub user_filter: String,
    /// Which entries may not log in, beside those that say so themselves.
    pub disabled_filter: Option<String>,
    /// What stays when an entry is renamed.
    pub id_attribute: String,
    /// The address.
    pub mail_attribute: String,
    /// The name without a domain.
    pub uid_attribute: String,
    /// Further addresses.
    pub alias_attributes: Vec<String>,
    /// The person's name; the first that is there.
    pub name_attributes: Vec<String>,
    /// Where the person works; the first that is there.
    pub department_attributes: Vec<String>,
    /// How long connecting (TLS and bind with it), a search and a bind may each take.
    pub timeout: Duration,
    /// Connections that compare passwords.
    pub connections: u32,
    /// Whether a first login adds the account if synchronisation has not done it yet.
    pub create_accounts: bool,
    /// How long after a login its user is let in by the same password while the directory is away; zero: not at all.
    pub grace: Duration,
    /// How often addresses, names and departments are taken over; zero: not at all.
    pub sync_every: Duration,
    /// Which entries are users.
    pub sync_filter: String,
    /// Entries of a page.
    pub sync_page: u32,
    /// Whether parts of the tree that are on other servers hold nobody of our domains.
    pub ignore_references: bool,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// Servers that are tried.
const SERVERS: usize = 8;

/// Reads the section.
pub(super) fn read(table: &Table<'_>) -> Option<Ldap> {
    let urls = table.list::<String>("url");
    let ca_file = table.get::<PathBuf>("ca_file");
    let bind_dn = table.get::<String>("bind_dn");
    let bind_password = secret(table, "bind_password");
    let base_dn = table.get::<String>("base_dn");
    let default_domain = table.get::<String>("default_domain");
    let user_filter = table.get::<String>("user_filter");
    let disabled_filter = table.get::<String>("disabled_filter");
    let sync_filter = table.get::<String>("sync_filter");
    let timeout = table.within(
        "timeout",
        Duration::from_secs(3),
        Duration::from_millis(100)..=MINUTE,
    );
    let connections = table.within("connections", 8, 1..=256);
    let create_accounts = table.or("create_accounts", true);
    let grace = table.within("grace", Duration::ZERO, Duration::ZERO..=30 * DAY);
    let sync_every = table.within("sync_every", 60 * MINUTE, Duration::ZERO..=30 * DAY);
    let sync_page = table.within("sync_page", 500, 1..=100_000);
    let ignore_references = table.or("ignore_references", false);
    let attribute = |key, default: &str| attributes(table, key, &[default], One::Only);
    let id = attribute("id_attribute", "entryUUID");
    let mail = attribute("mail_attribute", "mail");
    let uid = attribute("uid_attribute", "uid");
    let aliases = attributes(table, "alias_attributes", &[], One::OrMore);
    let names = attributes(
        table,
        "name_attributes",
        &["displayName", "cn"],
        One::OrMore,
    );
    let departments = ["department", "departmentNumber", "ou"];
    let departments = attributes(table, "department_attributes", &departments, One::OrMore);
    if !table.present() {
        return None;
    }
    let source = table.source;
    for key in ["url", "bind_dn", "base_dn"] {
        if !table.has(key) || table.is_empty_list(key) {
            source.error(table.at(), format!("auth.ldap.{key} is missing"));
        }
    }
    if !table.has("bind_password") && !table.has("bind_password_file") {
        let message = "auth.ldap.bind_password_file (or auth.ldap.bind_password) is missing; anonymous bind is refused";
        source.error(table.at(), message);
    }
    for url in &urls {
        check_url(source, url);
    }
    if urls.len() > SERVERS {
        source.error(
            Some(urls[SERVERS].at),
            format!("auth.ldap.url: at most {SERVERS} servers"),
        );
    }
    if let Some(file) = &ca_file {
        check_pem(source, "auth.ldap.ca_file", file, "CERTIFICATE");
    }
    if let Some(domain) = &default_domain
        && !super::is_hostname(&domain.value)
    {
        let message = format!("auth.ldap.default_domain: {:?} is no domain", domain.value);
        source.error(Some(domain.at), message);
    }
    check_filters(
        source,
        &[
            ("user_filter", user_filter.as_ref(), Asks::ForTheUser),
            ("disabled_filter", disabled_filter.as_ref(), Asks::ForAll),
            ("sync_filter", sync_filter.as_ref(), Asks::ForAll),
        ],
    );
    let user_filter = value_or(
        user_filter,
        "(&(objectClass=inetOrgPerson)(mail={email}))".to_owned(),
    );
    let everybody = user_filter.replace("{email}", "*").replace("{uid}", "*");
    Some(Ldap {
        urls: urls.into_iter().map(|it| it.value).collect(),
        ca_file: ca_file.map(|it| it.value),
        bind_dn: bind_dn?.value,
        bind_password: bind_password?,
        base_dn: base_dn?.value,
        default_domain: default_domain.map(|it| it.value.to_ascii_lowercase()),
        user_filter,
        disabled_filter: disabled_filter.map(|it| it.value),
        id_attribute: id.into_iter().next()?,
        mail_attribute: mail.into_iter().next()?,
        uid_attribute: uid.into_iter().next()?,
        alias_attributes: aliases,
        name_attributes: names,
        department_attributes: departments,
        timeout,
        connections,
        create_accounts,
        grace,
        sync_every,
        sync_filter: value_or(sync_filter, everybody),
        sync_page,
        ignore_references,
    })
}

fn value_or(found: Option<Found<String>>, default: String) -> String {
    found.map_or(default, |it| it.value)
}

/// How many attributes a key takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum One {
    Only,
    OrMore,
}

/// Names of attributes (RFC 4512 section 2.5).
fn attributes(table: &Table<'_>, key: &str, default: &[&str], one: One) -> Vec<String> {
    let found = match one {
        One::Only => table.get::<String>(key).into_iter().collect(),
        One::OrMore => table.list::<String>(key),
    };
    let good = |name: &str| {
        let rest = |c: char| c.is_ascii_alphanumeric() || "-.;".contains(c);
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(rest)
    };
    for bad in found.iter().filter(|it| !good(&it.value)) {
        let message = format!(
            "{}: {:?} is not the name of an attribute",
            table.path(key),
            bad.value
        );
        table.source.error(Some(bad.at), message);
    }
    if found.is_empty() && !table.is_empty_list(key) {
        return default.iter().map(|it| (*it).to_owned()).collect();
    }
    found.into_iter().map(|it| it.value).collect()
}

fn check_url(source: &Source<'_>, url: &Found<String>) {
    let (at, url) = (Some(url.at), url.value.as_str());
    if url.starts_with("ldap://") {
        source.error(at, "auth.ldap.url: TLS is mandatory; use \"ldaps://\"");
        return;
    }
    let host = url
        .strip_prefix("ldaps://")
        .map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    if host.is_some_and(|host| host.starts_with('[')) {
        let message = "auth.ldap.url: an IPv6 address cannot be compared with a certificate here; give the server's name";
        source.error(at, message);
        return;
    }
    let (host, port) = match host {
        Some(host) => host.split_once(':').unwrap_or((host, "636")),
        None => ("", ""),
    };
    let good = super::is_hostname(host) && port.parse::<u16>().is_ok_and(|port| port != 0);
    if !good {
        source.error(
            at,
            "auth.ldap.url: must be \"ldaps://HOST\" or \"ldaps://HOST:PORT\"",
        );
    }
}

/// Whom a filter is to find.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asks {
    ForTheUser,
    ForAll,
}

fn check_filters(source: &Source<'_>, filters: &[(&str, Option<&Found<String>>, Asks)]) {
    for (key, filter, asks) in filters {
        let Some(filter) = filter else { continue };
        if let Err(message) = check_filter(&filter.value, *asks) {
            source.error(Some(filter.at), format!("auth.ldap.{key}: {message}"));
        }
    }
}

/// Parentheses must pair (RFC 4515 section 3), and the user must be asked for.
fn check_filter(filter: &str, asks: Asks) -> Result<(), &'static str> {
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
    let names_the_user = filter.contains("{email}") || filter.contains("{uid}");
    match asks {
        Asks::ForTheUser if !names_the_user => {
            return Err("must hold {email} or {uid}, or it finds the same users for everybody");
        }
        Asks::ForAll if names_the_user => {
            return Err("is asked for all users, and cannot hold {email} or {uid}");
        }
        _ => {}
    }
    let whole = filter.replace("{email}", "x").replace("{uid}", "x");
    ldap3::parse_filter(whole.as_str()).map_err(|_| "is not an LDAP filter")?;
    Ok(())
}
