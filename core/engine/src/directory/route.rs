//! From a recipient to the accounts that get the message.

use std::collections::{BTreeMap, HashSet};

use postrider_protocol::message::address::Address;
use postrider_storage::Error;
use postrider_storage::index::{Account, AccountId, INBOX, KnownAddress, MailboxId};

use super::{DEPTH, TARGETS};
use crate::index::IndexPool;

/// Where mail for an address goes.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// The accounts, each once.
    pub targets: Vec<Target>,
}

/// An account that gets a message.
#[derive(Clone, Debug)]
pub struct Target {
    /// The account.
    pub account: Account,
    /// Its INBOX.
    pub inbox: MailboxId,
}

/// Why an address leads nowhere.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unroutable {
    /// Its domain is not ours.
    #[error("domain is not kept here")]
    Foreign,
    /// Its domain is ours, but it is neither account nor alias.
    #[error("no such address")]
    Unknown,
    /// It is switched off, or its domain is.
    #[error("address is switched off")]
    Disabled,
    /// Its aliases lead in a circle, too deep or to too many.
    #[error("aliases lead in a circle or too far")]
    Loop,
    /// An alias leads out of this server.
    #[error("alias leads to a foreign address")]
    ForeignAlias,
    /// We cannot tell now.
    #[error("directory unavailable: {0}")]
    Unavailable(#[from] Error),
}

/// Looks recipients up.
#[derive(Clone, Debug)]
pub struct Directory {
    index: IndexPool,
    delimiter: Option<char>,
    postmaster: Option<Address>,
    hostname: String,
}

impl Directory {
    /// A directory over the index. `delimiter` parts the local part from its detail.
    pub fn new(
        index: IndexPool,
        hostname: String,
        delimiter: Option<char>,
        postmaster: Option<Address>,
    ) -> Self {
        Self {
            index,
            delimiter,
            postmaster,
            hostname,
        }
    }

    /// Where mail for a recipient goes; `None` is `<Postmaster>` without a domain.
    ///
    /// # Errors
    /// See [`Unroutable`].
    pub async fn route(&self, recipient: Option<&Address>) -> Result<Route, Unroutable> {
        let Some(recipient) = recipient else {
            return self.postmaster().await;
        };
        let mut search = Search::default();
        let found = self.follow(recipient.clone(), &mut search).await;
        match found {
            Err(Unroutable::Unknown) if is_postmaster(recipient) => {
                let domain = recipient.domain().name().ok_or(Unroutable::Foreign)?;
                match self.postmaster_of(domain).await {
                    Err(Unroutable::Unknown) => self.postmaster().await,
                    found => found,
                }
            }
            Err(error) => Err(error),
            Ok(()) => Ok(search.into()),
        }
    }

    /// The account itself behind an address, through no alias.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn account(&self, address: &str) -> Result<Option<Account>, Error> {
        let address = address.to_lowercase();
        self.index.read(|index| index.account(&address)).await
    }

    /// Whether an account may send as an address: its own (with any detail), or an alias that leads to it.
    ///
    /// # Errors
    /// [`Unroutable::Unavailable`]; every other reason is a no.
    pub async fn may_send_as(
        &self,
        account: &Account,
        sender: &Address,
    ) -> Result<bool, Unroutable> {
        let bare = self.without_detail(sender);
        if key_of(sender) == account.email || key_of(&bare) == account.email {
            return Ok(true);
        }
        // The catch-all takes mail for an address, it does not lend the address to who reads it.
        let mut search = Search {
            catch_all: CatchAll::Ignored,
            ..Search::default()
        };
        match self.follow(sender.clone(), &mut search).await {
            Ok(()) => Ok(search.targets.contains_key(&account.id)),
            Err(error @ Unroutable::Unavailable(_)) => Err(error),
            Err(_) => Ok(search.targets.contains_key(&account.id)),
        }
    }

    /// Follows an address through aliases, breadth first.
    async fn follow(&self, address: Address, search: &mut Search) -> Result<(), Unroutable> {
        let mut level = vec![address];
        for depth in 0..=DEPTH {
            let mut next = Vec::new();
            for address in level {
                if !search.seen.insert(key_of(&address)) {
                    continue;
                }
                let first = depth == 0;
                match self.step(&address, search.catch_all).await {
                    Ok(hop) => {
                        let target = hop.target.into_iter();
                        let targets = target.map(|target| (target.account.id, target));
                        search.targets.extend(targets);
                        next.extend(hop.aliases);
                    }
                    Err(Unroutable::Foreign) if !first => return Err(Unroutable::ForeignAlias),
                    Err(error @ Unroutable::Unavailable(_)) => return Err(error),
                    Err(error) if first => return Err(error),
                    // One member of a list that has gone does not stop the others.
                    Err(error) => {
                        tracing::warn!(%address, %error, "alias leads nowhere");
                        search.dead = Some(error);
                    }
                }
            }
            if search.targets.len() + next.len() > TARGETS {
                return Err(Unroutable::Loop);
            }
            if next.is_empty() {
                return match (search.targets.is_empty(), search.dead.take()) {
                    (false, _) => Ok(()),
                    (true, Some(error)) => Err(error),
                    (true, None) => Err(Unroutable::Loop),
                };
            }
            level = next;
        }
        Err(Unroutable::Loop)
    }

    /// Where one address leads at once.
    async fn step(&self, address: &Address, catch_all: CatchAll) -> Result<Hop, Unroutable> {
        let name = address
            .domain()
            .name()
            .ok_or(Unroutable::Foreign)?
            .to_owned();
        let bare = self.without_detail(address);
        let mut keys = vec![key_of(address)];
        if bare != *address {
            keys.push(key_of(&bare));
        }
        let known = self
            .index
            .read(|index| index.addresses(&name, &keys))
            .await?;
        if !known.domain.ok_or(Unroutable::Foreign)?.active {
            return Err(Unroutable::Disabled);
        }
        // The address as it was written, then without its detail: what is said of `ada+lists` goes before what is said of `ada`,
        // be it an alias or an account.
        for found in &known.addresses {
            // An alias to itself means "and keep a copy": the account gets it too.
            let aliases = parsed(&found.destinations);
            let (own, others): (Vec<_>, Vec<_>) = aliases
                .into_iter()
                .partition(|to| keys.contains(&key_of(to)));
            if !others.is_empty() {
                let target = match own.is_empty() {
                    true => None,
                    false => target_of(&known.addresses)?,
                };
                return Ok(Hop {
                    target,
                    aliases: others,
                });
            }
            if let Some(target) = target_of(std::slice::from_ref(found))? {
                return Ok(Hop {
                    target: Some(target),
                    aliases: Vec::new(),
                });
            }
        }
        if catch_all == CatchAll::Followed {
            let aliases = self.destinations(format!("@{name}")).await?;
            if !aliases.is_empty() {
                return Ok(Hop {
                    target: None,
                    aliases,
                });
            }
        }
        Err(Unroutable::Unknown)
    }

    async fn destinations(&self, source: String) -> Result<Vec<Address>, Unroutable> {
        let destinations = self.index.read(|index| index.destinations(&source)).await?;
        Ok(parsed(&destinations))
    }

    async fn postmaster(&self) -> Result<Route, Unroutable> {
        let hostname = self.hostname.clone();
        if let Ok(own) = format!("postmaster@{hostname}").parse() {
            let mut search = Search::default();
            match self.follow(own, &mut search).await {
                Ok(()) => return Ok(search.into()),
                Err(error @ Unroutable::Unavailable(_)) => return Err(error),
                Err(_) => {}
            }
        }
        let domains = self.index.read(|index| index.domains()).await?;
        for domain in domains.iter().filter(|domain| domain.active) {
            match self.postmaster_of(&domain.name).await {
                Err(Unroutable::Unknown) => {}
                found => return found,
            }
        }
        Err(Unroutable::Unknown)
    }

    /// Nobody is named postmaster of this domain: the configured one, else the domain's first account.
    async fn postmaster_of(&self, domain: &str) -> Result<Route, Unroutable> {
        if let Some(postmaster) = &self.postmaster {
            let mut search = Search::default();
            if self.follow(postmaster.clone(), &mut search).await.is_ok() {
                return Ok(search.into());
            }
        }
        let first = self
            .index
            .read(|index| index.first_account(domain))
            .await?
            .ok_or(Unroutable::Unknown)?;
        let id = first.id;
        let inbox = self
            .index
            .read(|index| index.mailbox(id, INBOX))
            .await?
            .ok_or(Unroutable::Unknown)?;
        Ok(Route {
            targets: vec![Target {
                account: first,
                inbox: inbox.id,
            }],
        })
    }

    fn without_detail(&self, address: &Address) -> Address {
        match self.delimiter {
            Some(delimiter) => address.without_detail(delimiter),
            None => address.clone(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum CatchAll {
    #[default]
    Followed,
    Ignored,
}

#[derive(Debug, Default)]
struct Search {
    targets: BTreeMap<AccountId, Target>,
    seen: HashSet<String>,
    catch_all: CatchAll,
    dead: Option<Unroutable>,
}

/// Where one address leads at once.
#[derive(Debug)]
struct Hop {
    target: Option<Target>,
    aliases: Vec<Address>,
}

/// The form in which addresses stand in the index.
fn key_of(address: &Address) -> String {
    address.lookup_key()
}

fn is_postmaster(address: &Address) -> bool {
    address.local().eq_ignore_ascii_case("postmaster")
}

impl From<Search> for Route {
    fn from(search: Search) -> Self {
        Self {
            targets: search.targets.into_values().collect(),
        }
    }
}

/// The account among these addresses.
fn target_of(addresses: &[KnownAddress]) -> Result<Option<Target>, Unroutable> {
    for found in addresses {
        match (&found.account, found.inbox) {
            (Some(account), _) if !account.enabled() => return Err(Unroutable::Disabled),
            (Some(account), Some(inbox)) => {
                return Ok(Some(Target {
                    account: account.clone(),
                    inbox,
                }));
            }
            // Every account has an INBOX; one that has none is broken, and that is our trouble.
            (Some(_), None) => return Err(Error::Corrupt("account without INBOX".into()).into()),
            (None, _) => {}
        }
    }
    Ok(None)
}

/// Destinations of aliases as addresses. One that is none leads nowhere.
fn parsed(destinations: &[String]) -> Vec<Address> {
    let parse = |to: &String| match to.parse::<Address>() {
        Ok(address) => Some(address),
        Err(error) => {
            tracing::warn!(destination = %to, %error, "alias destination is no address");
            None
        }
    };
    destinations.iter().filter_map(parse).collect()
}

#[cfg(test)]
mod tests;
