//! What synchronisation would change, as values: from what the directory and the index say, without asking either.
//!
//! **Invariants.** Nothing is removed, only switched off. Nobody is switched off because of what was not read, and not too many at once
//! ([`Limit`]). An address that two want goes to neither. What an operator did (a local account, an account switched off, an alias)
//! stays as it is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use postrider_storage::index::{
    Account, AccountId, Alias, AuthType, DirectoryEntry, Domain, DomainId, Timestamp,
};

use super::super::entry::{Entry, domain_of};

/// Of a domain's accounts, one in so many may be switched off at once; a single one always may.
const ONE_IN: usize = 5;

/// Whether a plan may switch off more accounts of a domain than look right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// One in five, or a single one.
    OneInFive,
    /// All of them.
    None,
}

/// One change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Adds an account.
    Create {
        /// Its address.
        email: String,
        /// What the entry says.
        says: Says,
    },
    /// Binds an account that LDAP vouches for to its entry.
    Bind {
        /// The account.
        account: AccountId,
        /// Its address.
        email: String,
        /// What the entry says.
        says: Says,
    },
    /// Gives an account the new address of its entry.
    Rename {
        /// The account.
        account: AccountId,
        /// Its address now.
        from: String,
        /// And then.
        to: String,
    },
    /// Takes over name, department and further addresses.
    Update {
        /// The account.
        account: AccountId,
        /// Its address.
        email: String,
        /// What changes, for people.
        what: String,
        /// What the entry says.
        says: Says,
    },
    /// Switches an account off.
    Disable {
        /// The account.
        account: AccountId,
        /// Its address.
        email: String,
        /// Why.
        why: String,
    },
    /// Switches an account on that synchronisation had switched off.
    Enable {
        /// The account.
        account: AccountId,
        /// Its address.
        email: String,
    },
}

/// What an entry says of a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Says {
    /// What stays.
    pub stable_id: String,
    /// The name.
    pub name: Option<String>,
    /// The department.
    pub department: Option<String>,
    /// Addresses that are to lead to the account, sorted.
    pub aliases: Vec<String>,
}

/// What happens in a domain.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DomainPlan {
    /// Its name.
    pub domain: String,
    /// Entries of the directory that have their address in it.
    pub entries: usize,
    /// Changes, in the order in which they are made.
    pub steps: Vec<Step>,
    /// What an operator has to look at; the rest is done all the same.
    pub problems: Vec<String>,
    /// Why nothing is done.
    pub refused: Option<String>,
}

/// What the index knows.
#[derive(Debug)]
pub(super) struct Known {
    /// Domains with LDAP.
    pub(super) domains: Vec<Domain>,
    /// All accounts.
    pub(super) accounts: Vec<Account>,
    /// Whom they are bound to.
    pub(super) bound: Vec<DirectoryEntry>,
    /// All aliases.
    pub(super) aliases: Vec<Alias>,
    /// When the directory was begun to be read: whom a login bound since then may be missing in what was read.
    pub(super) since: Timestamp,
    /// Domains whose entries could not be read, and why.
    pub(super) unread: BTreeMap<String, String>,
    /// Domains of which a part is on other servers, which are not asked, and where.
    pub(super) elsewhere: BTreeMap<String, String>,
}

/// The index by what is looked for.
struct Maps<'a> {
    domains: BTreeMap<&'a str, &'a Domain>,
    names: HashMap<DomainId, &'a str>,
    by_id: HashMap<AccountId, &'a Account>,
    by_email: HashMap<&'a str, &'a Account>,
    bound_by_stable: HashMap<&'a str, &'a DirectoryEntry>,
    bound_by_account: HashMap<AccountId, &'a DirectoryEntry>,
    aliases: HashMap<&'a str, Vec<&'a str>>,
}

/// A person, and the address that is the account's.
struct Person<'a> {
    entry: &'a Entry,
    stable_id: &'a str,
    email: &'a str,
    account: Option<&'a Account>,
    bound: Option<&'a DirectoryEntry>,
}

/// What is to be done, by domain.
pub(super) fn plan(known: &Known, entries: &[Entry], limit: Limit) -> Vec<DomainPlan> {
    let maps = Maps::of(known);
    let mut plans: BTreeMap<&str, DomainPlan> = maps
        .domains
        .keys()
        .map(|name| {
            let plan = DomainPlan {
                domain: (*name).to_owned(),
                refused: known.unread.get(*name).cloned(),
                ..DomainPlan::default()
            };
            (*name, plan)
        })
        .collect();
    let people = people(&maps, entries, &mut plans);
    let wanted = wanted_addresses(&people);
    let present: HashSet<&str> = people.iter().map(|it| it.stable_id).collect();
    for person in &people {
        let plan = domain_of(person.email).and_then(|it| plans.get_mut(it));
        if let Some(plan) = plan {
            plan.entries += 1;
            plan_person(&maps, person, &wanted, &present, plan);
        }
    }
    let mut unseen: BTreeMap<&str, usize> = BTreeMap::new();
    for bound in &known.bound {
        let Some(account) = maps.by_id.get(&bound.account) else {
            continue;
        };
        let gone = !present.contains(bound.stable_id.as_str()) && bound.seen < known.since;
        let Some(&domain) = maps.names.get(&account.domain) else {
            continue;
        };
        if !gone || !account.active {
            continue;
        }
        if known.elsewhere.contains_key(domain) {
            *unseen.entry(domain).or_default() += 1;
            continue;
        }
        if let Some(plan) = plans.get_mut(domain) {
            plan.steps.push(Step::Disable {
                account: account.id,
                email: account.email.clone(),
                why: "gone from the directory".to_owned(),
            });
        }
    }
    for (domain, urls) in &known.elsewhere {
        if let Some(plan) = plans.get_mut(domain.as_str()) {
            let count = unseen.get(domain.as_str()).copied().unwrap_or_default();
            plan.problems.push(format!(
                "the directory refers to other servers for a part of the tree, and these are not asked ({urls}): of {count} accounts without entry nobody knows \
                 whether they are gone, and they are left as they are; give the domain a base DN that lies on one server, or set auth.ldap.ignore_references"
            ));
        }
    }
    for (name, plan) in &mut plans {
        plan.steps.sort_by_key(order);
        refuse_too_many(&maps, name, limit, plan);
        if plan.refused.is_some() {
            plan.steps.clear();
        }
    }
    plans.into_values().collect()
}

/// Who leaves goes first, so that addresses are free; who comes back comes last, with the new address.
fn order(step: &Step) -> u8 {
    match step {
        Step::Disable { .. } => 0,
        Step::Rename { .. } => 1,
        Step::Create { .. } | Step::Bind { .. } | Step::Update { .. } => 2,
        Step::Enable { .. } => 3,
    }
}

impl<'a> Maps<'a> {
    fn of(known: &'a Known) -> Self {
        let mut aliases: HashMap<&str, Vec<&str>> = HashMap::new();
        for alias in &known.aliases {
            let to = aliases.entry(&alias.source).or_default();
            to.push(&alias.destination);
        }
        let domains = known.domains.iter();
        let accounts = || known.accounts.iter();
        let bound = || known.bound.iter();
        Self {
            names: domains.clone().map(|it| (it.id, &*it.name)).collect(),
            domains: domains.map(|it| (&*it.name, it)).collect(),
            by_id: accounts().map(|it| (it.id, it)).collect(),
            by_email: accounts().map(|it| (&*it.email, it)).collect(),
            bound_by_stable: bound().map(|it| (&*it.stable_id, it)).collect(),
            bound_by_account: bound().map(|it| (it.account, it)).collect(),
            aliases,
        }
    }
}

/// The entries that have an address in a domain with LDAP; each person once.
fn people<'a>(
    maps: &Maps<'a>,
    entries: &'a [Entry],
    plans: &mut BTreeMap<&str, DomainPlan>,
) -> Vec<Person<'a>> {
    let mut people = Vec::new();
    let mut seen = HashSet::new();
    for entry in entries {
        let ours = |email: &&String| {
            let domain = domain_of(email);
            domain.is_some_and(|it| maps.domains.contains_key(it) && entry.is_below(it))
        };
        let Some(first) = entry.mails.iter().find(ours) else {
            continue;
        };
        let Some(stable_id) = entry.stable_id.as_deref() else {
            let plan = domain_of(first).and_then(|it| plans.get_mut(it));
            if let Some(plan) = plan {
                let why = super::super::account::NO_ID;
                // One such entry is all such entries: nobody could be told apart.
                plan.refused
                    .get_or_insert_with(|| format!("{}: {why}", entry.dn));
            }
            continue;
        };
        if !seen.insert(stable_id) {
            continue;
        }
        let bound = maps.bound_by_stable.get(stable_id).copied();
        let account = bound.and_then(|it| maps.by_id.get(&it.account).copied());
        // An address stays the account's for as long as the entry has it.
        let kept = account.filter(|it| entry.mails.contains(&it.email));
        let kept = kept.filter(|it| maps.names.contains_key(&it.domain));
        people.push(Person {
            entry,
            stable_id,
            email: kept.map_or(first.as_str(), |it| it.email.as_str()),
            account,
            bound,
        });
    }
    people
}

/// How many entries want each address.
fn wanted_addresses<'a>(people: &[Person<'a>]) -> HashMap<&'a str, usize> {
    let mut wanted = HashMap::new();
    for person in people {
        *wanted.entry(person.email).or_insert(0) += 1;
    }
    wanted
}

fn plan_person(
    maps: &Maps<'_>,
    person: &Person<'_>,
    wanted: &HashMap<&str, usize>,
    present: &HashSet<&str>,
    plan: &mut DomainPlan,
) {
    let email = person.email;
    let keeps = person.account.is_some_and(|it| it.email == email);
    if wanted.get(email).is_some_and(|it| *it > 1) && !keeps {
        let dn = &person.entry.dn;
        let problem = format!("{email}: several entries have this address; {dn} does not get it");
        plan.problems.push(problem);
        return;
    }
    let Some((account, bound)) = person.account.zip(person.bound) else {
        plan_new(maps, person, present, plan);
        return;
    };
    if account.email != email {
        let holder = maps.by_email.get(email);
        // Whoever has it may get another one in the same round.
        let free = holder.is_none_or(|it| leaves(maps, it, present));
        match free {
            true => plan.steps.push(Step::Rename {
                account: account.id,
                from: account.email.clone(),
                to: email.to_owned(),
            }),
            false => {
                let from = &account.email;
                plan.problems.push(format!(
                    "{from}: its entry is {email} now, which is another account"
                ));
            }
        }
    }
    let says = says(maps, person, plan);
    let what = differences(bound, &says);
    if !what.is_empty() {
        plan.steps.push(Step::Update {
            account: account.id,
            email: email.to_owned(),
            what: what.join(", "),
            says,
        });
    }
    match person.entry.disabled {
        Some(why) if account.active => plan.steps.push(Step::Disable {
            account: account.id,
            email: account.email.clone(),
            why: why.to_owned(),
        }),
        None if !account.active && bound.disabled.is_some() => plan.steps.push(Step::Enable {
            account: account.id,
            email: email.to_owned(),
        }),
        _ => {}
    }
}

/// Whether the account that has an address now may have another one after this round.
fn leaves(maps: &Maps<'_>, holder: &Account, present: &HashSet<&str>) -> bool {
    let bound = maps.bound_by_account.get(&holder.id);
    bound.is_some_and(|it| present.contains(it.stable_id.as_str()))
}

/// An entry that no account is bound to.
fn plan_new(maps: &Maps<'_>, person: &Person<'_>, present: &HashSet<&str>, plan: &mut DomainPlan) {
    let email = person.email;
    let Some(account) = maps.by_email.get(email) else {
        if person.entry.disabled.is_none() {
            let says = says(maps, person, plan);
            let email = email.to_owned();
            plan.steps.push(Step::Create { email, says });
        }
        return;
    };
    // A local account in a domain with LDAP stays what it is.
    if account.auth == AuthType::Local {
        return;
    }
    match maps.bound_by_account.get(&account.id) {
        None => {
            let says = says(maps, person, plan);
            plan.steps.push(Step::Bind {
                account: account.id,
                email: email.to_owned(),
                says,
            });
        }
        Some(other) if present.contains(other.stable_id.as_str()) => {
            let problem = format!("{email}: the account of another entry has this address still");
            plan.problems.push(problem);
        }
        Some(_) => plan.problems.push(format!(
            "{email}: belongs to an entry that is gone, and a new one has the address; if it is the same person: postrider ldap unbind {email}"
        )),
    }
}

/// What an entry says, but for addresses that somebody else has.
fn says(maps: &Maps<'_>, person: &Person<'_>, plan: &mut DomainPlan) -> Says {
    let entry = person.entry;
    let own = person.bound.map(|it| it.aliases.as_slice());
    let own: HashSet<&str> = own.unwrap_or_default().iter().map(String::as_str).collect();
    let now = person.account.map(|it| it.email.as_str());
    let mut aliases = BTreeSet::new();
    for alias in entry.mails.iter().chain(&entry.aliases) {
        let ours = domain_of(alias).is_some_and(|it| maps.domains.contains_key(it));
        if !ours || alias == person.email {
            continue;
        }
        if !domain_of(alias).is_some_and(|it| entry.is_below(it)) {
            let email = person.email;
            let problem = format!(
                "{email}: its further address {alias} is not taken over, for the entry is not below the base DN of that domain"
            );
            plan.problems.push(problem);
            continue;
        }
        let account = maps.by_email.get(alias.as_str());
        // Its own address until it is renamed in this round.
        let account = account.filter(|it| Some(it.email.as_str()) != now);
        let elsewhere = maps.aliases.get(alias.as_str());
        let elsewhere = elsewhere.is_some_and(|to| {
            let others = to.iter().any(|it| *it != person.email && Some(*it) != now);
            others && !own.contains(alias.as_str())
        });
        if account.is_some() || elsewhere {
            let email = person.email;
            let problem = format!("{email}: its further address {alias} is somebody else's");
            plan.problems.push(problem);
            continue;
        }
        aliases.insert(alias.clone());
    }
    Says {
        stable_id: person.stable_id.to_owned(),
        name: entry.name.clone(),
        department: entry.department.clone(),
        aliases: aliases.into_iter().collect(),
    }
}

/// What is new of what an entry says, for people.
fn differences(bound: &DirectoryEntry, says: &Says) -> Vec<String> {
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let mut what = Vec::new();
    if bound.display_name != says.name {
        what.push(format!("name {}", shown(&says.name)));
    }
    if bound.department != says.department {
        what.push(format!("department {}", shown(&says.department)));
    }
    let before: BTreeSet<&String> = bound.aliases.iter().collect();
    let after: BTreeSet<&String> = says.aliases.iter().collect();
    what.extend(after.difference(&before).map(|it| format!("alias {it}")));
    what.extend(before.difference(&after).map(|it| format!("no alias {it}")));
    what
}

/// Refuses a plan that would switch off more than looks right: an empty base or a lost right is no reason to close a company.
fn refuse_too_many(maps: &Maps<'_>, name: &str, limit: Limit, plan: &mut DomainPlan) {
    let off = plan.steps.iter();
    let off = off.filter(|it| matches!(it, Step::Disable { .. })).count();
    let domain = maps.domains.get(name).map(|it| it.id);
    let all = maps.bound_by_account.keys();
    let all = all.filter_map(|it| maps.by_id.get(it));
    let all = all
        .filter(|it| it.active && Some(it.domain) == domain)
        .count();
    if limit == Limit::OneInFive && off > 1 && off * ONE_IN > all && plan.refused.is_none() {
        plan.refused = Some(format!(
            "would switch off {off} of {all} accounts, more than one in {ONE_IN}; if that is right: postrider ldap sync --force {name}"
        ));
    }
}
