//! Synchronisation: addresses, names and departments from the directory, and who is no longer there (A4, W4).
//!
//! All entries are read, in pages, before anything is decided ([`plan`]); then each change is made for itself, and one that is refused
//! hinders no other.
//!
//! **Invariants.** One process at a time, by a lease in the index. A base that could not be read whole changes nothing in its domains. Where the
//! directory refers to other servers for a part of a base, nobody in its domains is gone. An entry has addresses only in domains below whose base it lies.
//! **On failure.** Tried again after [`AGAIN`]; logins do not notice.

mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use postrider_storage::Error;
use postrider_storage::index::{
    AuthType, BindEntry, BindTo, Change, DEFAULT_QUOTA, NewAccount, NewEntry, RenameAccount,
    SetEntryActive, TakeLease, Timestamp,
};

pub use plan::{DomainPlan, Limit, Says, Step};

use super::client::Pages;
use super::entry::Entry;
use super::resolver::base;
use super::{LdapClient, LdapError, Rows, SOURCE};
use crate::clock::now;
use crate::telemetry::metrics::{LDAP_SYNC_CHANGES, LDAP_SYNC_FAILURES, LDAP_SYNCED};

/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(300);
/// How long one may take before another process may begin.
const LEASE: Duration = Duration::from_secs(1800);
/// The right to synchronise.
const RUNNING: &str = "ldap_sync";
/// The right to be the one that does so in this period.
const TURN: &str = "ldap_sync_turn";

/// Whether changes are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// They are.
    Apply,
    /// They are only said.
    DryRun,
}

/// Why nothing was done at all.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SyncError {
    /// Another process is at it.
    #[error("another process is synchronising; try again when it is done")]
    Busy,
    /// The domain is not there, or has no LDAP.
    #[error("{0} is not a domain with LDAP; see: postrider domain list")]
    NoDomain(String),
    /// The index cannot be read or changed.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// Synchronises all domains with LDAP, or one.
///
/// # Errors
/// See [`SyncError`]. What went wrong in a domain stands in its plan.
pub async fn run(
    client: &LdapClient,
    rows: &Rows,
    only: Option<&str>,
    mode: Mode,
    limit: Limit,
) -> Result<Vec<DomainPlan>, SyncError> {
    if mode == Mode::DryRun {
        return look(client, rows, only, limit).await;
    }
    let holder = holder();
    if !lease(rows, RUNNING, &holder, LEASE).await? {
        return Err(SyncError::Busy);
    }
    let done = async {
        let mut plans = look(client, rows, only, limit).await?;
        apply(rows, &mut plans).await;
        Ok(plans)
    };
    let done = tokio::time::timeout(LEASE, done).await;
    // If that fails it ends by itself.
    let _ = lease(rows, RUNNING, &holder, Duration::ZERO).await;
    done.unwrap_or_else(|_| {
        let error = Error::Unavailable("the synchronisation took too long".to_owned());
        Err(error.into())
    })
}

/// Synchronises every so often, in the one process whose turn it is, until it is dropped.
pub(crate) async fn keep_up(client: LdapClient, rows: Rows) {
    let every = client.settings().sync_every;
    if every.is_zero() {
        return;
    }
    let holder = holder();
    loop {
        // A little less, so that the next turn finds it free.
        let turn = lease(&rows, TURN, &holder, every - every / 20).await;
        let pause = match turn {
            Ok(true) => match once(&client, &rows).await {
                true => every,
                false => {
                    // Somebody else may have more luck.
                    let _ = lease(&rows, TURN, &holder, Duration::ZERO).await;
                    AGAIN.min(every)
                }
            },
            Ok(false) => every.min(AGAIN),
            Err(error) => {
                tracing::warn!(%error, "directory not synchronised");
                AGAIN.min(every)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// One round, and its traces in log and metrics; whether all of it was done.
async fn once(client: &LdapClient, rows: &Rows) -> bool {
    let done = run(client, rows, None, Mode::Apply, Limit::OneInFive).await;
    let plans = match done {
        Ok(plans) => plans,
        Err(error) => {
            metrics::counter!(LDAP_SYNC_FAILURES).increment(1);
            tracing::warn!(%error, "directory not synchronised");
            return false;
        }
    };
    let mut whole = true;
    for plan in &plans {
        for problem in &plan.problems {
            tracing::warn!(
                domain = plan.domain,
                problem,
                "directory entry needs a look"
            );
        }
        if let Some(why) = &plan.refused {
            whole = false;
            metrics::counter!(LDAP_SYNC_FAILURES).increment(1);
            tracing::error!(domain = plan.domain, why, "domain not synchronised");
            continue;
        }
        let (entries, changes) = (plan.entries, plan.steps.len());
        tracing::info!(
            domain = plan.domain,
            entries,
            changes,
            "domain synchronised"
        );
    }
    if whole {
        metrics::gauge!(LDAP_SYNCED).set(now().0 as f64 / 1e6);
    }
    whole
}

/// What would change.
async fn look(
    client: &LdapClient,
    rows: &Rows,
    only: Option<&str>,
    limit: Limit,
) -> Result<Vec<DomainPlan>, SyncError> {
    let index = rows.index();
    let domains = index.domains().await?;
    let domains: Vec<_> = domains
        .into_iter()
        .filter(|it| it.auth == AuthType::Ldap)
        .collect();
    if let Some(only) = only
        && !domains.iter().any(|it| it.name == only)
    {
        return Err(SyncError::NoDomain(only.to_owned()));
    }
    let since = now();
    // Before the index, so that what a login adds meanwhile is seen as there.
    let mut entries = People::default();
    let mut unread = BTreeMap::new();
    let mut elsewhere = BTreeMap::new();
    let mut bases: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for domain in &domains {
        let base = base(client.settings(), domain);
        bases.entry(base).or_default().push(&domain.name);
    }
    for (base, names) in bases {
        match read(client, &base).await {
            Ok(found) => {
                entries.add(found.entries, &names);
                if !found.elsewhere.is_empty() && !client.settings().ignore_references {
                    let urls = found.elsewhere.join(" ");
                    elsewhere.extend(names.into_iter().map(|it| (it.to_owned(), urls.clone())));
                }
            }
            Err(error) => {
                let why = format!("cannot read {base:?}: {error}");
                unread.extend(names.into_iter().map(|it| (it.to_owned(), why.clone())));
            }
        }
    }
    let known = plan::Known {
        accounts: index.accounts(None).await?,
        bound: index.directory_entries(SOURCE).await?,
        aliases: index.aliases(None).await?,
        domains,
        since,
        unread,
        elsewhere,
    };
    let mut plans = plan::plan(&known, &entries.all, limit);
    plans.retain(|it| only.is_none_or(|only| it.domain == only));
    Ok(plans)
}

/// Entries of several bases, which may lie in each other: each once, in the order of the directory.
#[derive(Debug, Default)]
struct People {
    all: Vec<Entry>,
    by_dn: HashMap<String, usize>,
}

impl People {
    /// Adds what was found below the base of these domains.
    fn add(&mut self, found: Vec<Entry>, domains: &[&str]) {
        for entry in found {
            let place = self.by_dn.entry(entry.dn.clone());
            let at = *place.or_insert(self.all.len());
            if at == self.all.len() {
                self.all.push(entry);
            }
            let below = self.all[at].below.get_or_insert_default();
            below.extend(domains.iter().map(|it| (*it).to_owned()));
        }
    }
}

/// All users below a base; those that the filter for disabled ones finds are.
async fn read(client: &LdapClient, base: &str) -> Result<Pages, LdapError> {
    let settings = client.settings();
    let users = settings.sync_filter.clone();
    let mut found = client.all(base.to_owned(), users.clone()).await?;
    if let Some(disabled) = &settings.disabled_filter {
        let filter = super::query::both(&users, disabled);
        let off = client.all(base.to_owned(), filter).await?;
        let off = off.entries.into_iter().map(|it| it.dn);
        let off: std::collections::HashSet<String> = off.collect();
        for entry in found.entries.iter_mut().filter(|it| off.contains(&it.dn)) {
            let why = "disabled by auth.ldap.disabled_filter";
            entry.disabled.get_or_insert(why);
        }
    }
    Ok(found)
}

/// Makes the changes; one that is refused becomes a problem.
async fn apply(rows: &Rows, plans: &mut [DomainPlan]) {
    // Renames may wait for each other, also over domains: as long as one succeeds, the others get another try.
    let mut changed: Vec<Vec<Step>> = plans.iter().map(|_| Vec::new()).collect();
    for stage in [Stage::Off, Stage::Rename, Stage::Rest] {
        let mut waiting: Vec<(usize, Step)> = Vec::new();
        for (at, plan) in plans.iter().enumerate() {
            let of_stage = plan.steps.iter().filter(|it| stage.takes(it));
            waiting.extend(of_stage.map(|it| (at, it.clone())));
        }
        loop {
            let changes = waiting.iter().map(|(_, step)| change(step)).collect();
            let answers = rows.change_all(changes).await;
            let before = waiting.len();
            let mut refused = Vec::new();
            for ((at, step), answer) in waiting.into_iter().zip(answers) {
                match answer {
                    Ok(_) => {
                        metrics::counter!(LDAP_SYNC_CHANGES, "change" => word(&step)).increment(1);
                        tracing::info!(domain = plans[at].domain, change = %step, "directory synchronised");
                        changed[at].push(step);
                    }
                    Err(error) => refused.push((at, step, error)),
                }
            }
            let again = stage == Stage::Rename && refused.len() < before;
            if refused.is_empty() || !again {
                for (at, step, error) in refused {
                    plans[at].problems.push(format!("{step}: {error}"));
                }
                break;
            }
            waiting = refused
                .into_iter()
                .map(|(at, step, _)| (at, step))
                .collect();
        }
    }
    for (plan, steps) in plans.iter_mut().zip(changed) {
        plan.steps = steps;
    }
}

/// In which order changes are made over all domains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Off,
    Rename,
    Rest,
}

impl Stage {
    fn takes(self, step: &Step) -> bool {
        let own = match step {
            Step::Disable { .. } => Self::Off,
            Step::Rename { .. } => Self::Rename,
            _ => Self::Rest,
        };
        own == self
    }
}

fn change(step: &Step) -> Change {
    let now = now();
    let entry = |says: &Says| NewEntry {
        source: SOURCE.to_owned(),
        stable_id: says.stable_id.clone(),
        display_name: says.name.clone(),
        department: says.department.clone(),
        aliases: says.aliases.clone(),
    };
    let bind = |to, says: &Says| {
        let entry = entry(says);
        Change::BindEntry(BindEntry { to, entry, now })
    };
    let active = |account, active| {
        Change::SetEntryActive(SetEntryActive {
            account,
            active,
            now,
        })
    };
    match step {
        Step::Create { email, says } => {
            let new = NewAccount {
                email: email.clone(),
                password: None,
                quota: Some(DEFAULT_QUOTA),
                auth: AuthType::Ldap,
            };
            bind(BindTo::New(new), says)
        }
        Step::Bind { account, says, .. } | Step::Update { account, says, .. } => {
            bind(BindTo::Existing(*account), says)
        }
        Step::Rename { account, to, .. } => Change::RenameAccount(RenameAccount {
            account: *account,
            email: to.clone(),
            now,
        }),
        Step::Disable { account, .. } => active(*account, false),
        Step::Enable { account, .. } => active(*account, true),
    }
}

fn word(step: &Step) -> &'static str {
    match step {
        Step::Create { .. } => "create",
        Step::Bind { .. } => "bind",
        Step::Rename { .. } => "rename",
        Step::Update { .. } => "update",
        Step::Disable { .. } => "disable",
        Step::Enable { .. } => "enable",
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create { email, .. } => write!(f, "create {email}"),
            Self::Bind { email, .. } => write!(f, "bind {email} to its entry"),
            Self::Rename { from, to, .. } => write!(f, "rename {from} to {to}"),
            Self::Update { email, what, .. } => write!(f, "update {email}: {what}"),
            Self::Disable { email, why, .. } => write!(f, "disable {email}: {why}"),
            Self::Enable { email, .. } => write!(f, "enable {email}"),
        }
    }
}

impl Step {
    /// One word for what it does.
    pub fn kind(&self) -> &'static str {
        word(self)
    }
}

/// Takes a lease for so long (zero: gives it back); whether it was free.
async fn lease(rows: &Rows, name: &str, holder: &str, time: Duration) -> Result<bool, Error> {
    let now = now();
    let time = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let change = Change::TakeLease(TakeLease {
        name: name.to_owned(),
        holder: holder.to_owned(),
        until: Timestamp(now.0.saturating_add(time)),
        now,
    });
    match rows.change(change).await {
        Ok(_) => Ok(true),
        Err(Error::Exists(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A name that no other process has.
fn holder() -> String {
    let mut octets = [0u8; 16];
    // Without random numbers the number of the process has to do.
    let _ = getrandom::fill(&mut octets);
    let random: String = octets.iter().map(|it| format!("{it:02x}")).collect();
    format!("{}-{random}", std::process::id())
}
