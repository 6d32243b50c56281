//! `postrider ldap test`: step by step, what a login of somebody would find, but for the password.

use std::fmt::Write;

use postrider_storage::index::{AuthType, Domain};

use super::account::{self, Whose};
use super::client::Found;
use super::entry::{Entry, domain_of};
use super::error::{LdapError, Step};
use super::resolver::base;
use super::{LdapClient, Rows, query};
use crate::auth::name::fold;

/// What was found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Probe {
    /// Step by step, to the first that ends it.
    pub steps: Vec<ProbeStep>,
}

/// A step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProbeStep {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub good: bool,
    /// What was found.
    pub found: String,
}

impl Probe {
    /// Whether somebody with the right password could log in.
    pub fn is_good(&self) -> bool {
        self.steps.iter().all(|it| it.good)
    }

    fn add(&mut self, name: &'static str, good: bool, found: impl Into<String>) -> bool {
        let found = found.into();
        self.steps.push(ProbeStep { name, good, found });
        good
    }
}

/// Looks for somebody as a login would, and says what is found. Changes nothing.
pub async fn probe(client: &LdapClient, rows: &Rows, user: &str) -> Probe {
    let mut probe = Probe::default();
    let mut reached = false;
    for server in client.servers() {
        let patience = client.settings().timeout;
        let identity = Some(client.service());
        match server.open(client.tls(), identity, patience).await {
            Ok(_) => {
                probe.add("connect", true, server.url.clone());
                probe.add("tls", true, "certificate verified");
                probe.add("service bind", true, client.settings().bind_dn.clone());
                reached = true;
            }
            Err(error) => refused(&mut probe, &server.url, &error),
        }
    }
    if !reached {
        return probe;
    }
    let user = match (user.contains('@'), &client.settings().default_domain) {
        (false, Some(domain)) => fold(&format!("{user}@{domain}")),
        _ => fold(user),
    };
    let Some(domain) = domain(rows, &user, &mut probe).await else {
        return probe;
    };
    if let Some(entry) = search(client, &domain, &user, &mut probe).await {
        look_at_account(client, rows, &domain, &user, &entry, &mut probe).await;
    }
    probe
}

/// Where the way to a server ends.
fn refused(probe: &mut Probe, url: &str, error: &LdapError) {
    let (step, why) = match error {
        LdapError::Server { step, why, .. } => (*step, why.clone()),
        other => (Step::Connect, other.to_string()),
    };
    let why = format!("{url}: {why}");
    let so_far = url.to_owned();
    match step {
        Step::Connect => probe.add("connect", false, why),
        Step::Tls => probe.add("connect", true, so_far) & probe.add("tls", false, why),
        Step::Bind => {
            probe.add("connect", true, so_far)
                & probe.add("tls", true, "certificate verified")
                & probe.add("service bind", false, why)
        }
    };
}

async fn domain(rows: &Rows, user: &str, probe: &mut Probe) -> Option<Domain> {
    let name = domain_of(user).unwrap_or_default();
    match rows.index().domain(name).await {
        Ok(Some(domain)) if domain.auth == AuthType::Local => {
            let why = format!("{name} authenticates locally, so LDAP is not asked");
            probe.add("domain", false, why);
            None
        }
        Ok(Some(domain)) if !domain.active => {
            probe.add("domain", false, format!("{name} is disabled"));
            None
        }
        Ok(Some(domain)) => {
            probe.add("domain", true, format!("{name} authenticates by LDAP"));
            Some(domain)
        }
        Ok(None) => {
            probe.add("domain", false, format!("{name:?} is not a domain of ours"));
            None
        }
        Err(error) => {
            probe.add("domain", false, error.to_string());
            None
        }
    }
}

async fn search(
    client: &LdapClient,
    domain: &Domain,
    user: &str,
    probe: &mut Probe,
) -> Option<Entry> {
    let settings = client.settings();
    let base = base(settings, domain);
    let filter = query::for_user(&settings.user_filter, user);
    let asked = format!("{filter} below {base}");
    match client.find(base, filter).await {
        Ok(Found::One(entry)) => {
            probe.add("search", true, asked);
            Some(*entry)
        }
        Ok(Found::Nobody) => {
            probe.add("search", false, format!("nothing matches {asked}"));
            None
        }
        Ok(Found::Many) => {
            let why = format!("more than one entry matches {asked}");
            probe.add("search", false, why);
            None
        }
        Err(error) => {
            probe.add("search", false, format!("{asked}: {error}"));
            None
        }
    }
}

async fn look_at_account(
    client: &LdapClient,
    rows: &Rows,
    domain: &Domain,
    user: &str,
    entry: &Entry,
    probe: &mut Probe,
) {
    let mut text = entry.dn.clone();
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    // Writing to a String does not fail.
    let _ = write!(
        text,
        "; id {}; addresses {}; further ones {}; name {}; department {}",
        or_none(&entry.stable_id),
        list(&entry.mails),
        list(&entry.aliases),
        or_none(&entry.name),
        or_none(&entry.department),
    );
    probe.add("entry", entry.stable_id.is_some(), text);
    let local = user.rsplit_once('@').map_or(user, |(local, _)| local);
    if entry.mail_in(&domain.name).is_none() || !entry.is_called(user, local, &domain.name) {
        let why = format!(
            "the entry has not the address {user}, or none in {}",
            domain.name
        );
        probe.add("address", false, why);
        return;
    }
    if let Some(why) = entry.disabled {
        probe.add("enabled", false, why);
    }
    let create = client.settings().create_accounts;
    match account::look(rows, user, domain, entry).await {
        Ok(Whose::Account(account)) if account.enabled() => {
            probe.add("account", true, account.email);
        }
        Ok(Whose::Account(account)) => {
            let why = format!("{} is switched off", account.email);
            probe.add("account", false, why);
        }
        Ok(Whose::Nobody(email)) if create => {
            let will =
                format!("{email} will be added at the first login, or by: postrider ldap sync");
            probe.add("account", true, will);
        }
        Ok(Whose::Nobody(email)) => {
            let why = format!("{email} is not there; add it by: postrider ldap sync");
            probe.add("account", false, why);
        }
        Ok(Whose::Refused(why)) => {
            probe.add("account", false, why);
        }
        Err(error) => {
            probe.add("account", false, error.to_string());
        }
    }
}

fn list(addresses: &[String]) -> String {
    match addresses.is_empty() {
        true => "none".to_owned(),
        false => addresses.join(" "),
    }
}
