//! Domains, accounts, aliases, subscriptions.

use std::collections::BTreeSet;

use super::{Owner, State};
use crate::{
    Error,
    index::{
        Account, AccountId, AddAccounts, AddAlias, AddDomain, Domain, DomainId, FIRST_MAILBOXES,
        INBOX, MailboxId, Outcome, RemoveAccount, RemoveAlias, RemoveDomain, SetAccountActive,
        SetDomainActive, SetDomainAuth, SetPassword, SetQuota, Subscribe, TouchLogin,
        UsersOfDomain, check,
    },
};

impl State {
    pub(super) fn add_domain(&mut self, change: AddDomain) -> Result<Outcome, Error> {
        check::domain_name(&change.name)?;
        check::column(change.ldap_base_dn.as_deref(), "the base DN is too long")?;
        if self.domains.contains_key(&change.name) {
            return Err(Error::Exists("domain"));
        }
        self.last.domain += 1;
        let id = DomainId(self.last.domain);
        let domain = Domain {
            id,
            name: change.name.clone(),
            transport: "virtual:".to_owned(),
            company: None,
            auth: change.auth,
            ldap_base_dn: change.ldap_base_dn,
            active: true,
            created: change.now,
        };
        self.domains.insert(change.name, domain);
        Ok(Outcome::Domain(id))
    }

    pub(super) fn set_domain_active(&mut self, change: SetDomainActive) -> Result<Outcome, Error> {
        let domain = self.domains.get_mut(&change.name);
        let domain = domain.ok_or(Error::NotFound("domain"))?;
        domain.active = change.active;
        for owner in self.accounts.values_mut() {
            owner.account.version += i64::from(owner.account.domain == domain.id);
        }
        Ok(Outcome::Done)
    }

    pub(super) fn set_domain_auth(&mut self, change: SetDomainAuth) -> Result<Outcome, Error> {
        check::column(change.ldap_base_dn.as_deref(), "the base DN is too long")?;
        let domain = self.domains.get_mut(&change.name);
        let domain = domain.ok_or(Error::NotFound("domain"))?;
        (domain.auth, domain.ldap_base_dn) = (change.auth, change.ldap_base_dn);
        let owners = self.accounts.values_mut();
        for owner in owners.filter(|it| it.account.domain == domain.id) {
            owner.account.version += 1;
            if change.users == UsersOfDomain::Follow {
                owner.account.auth = change.auth;
            }
        }
        Ok(Outcome::Done)
    }

    pub(super) fn remove_domain(&mut self, change: RemoveDomain) -> Result<Outcome, Error> {
        let id = self.domain_id(&change.name)?;
        if self.accounts.values().any(|it| it.account.domain == id) {
            return Err(Error::Exists("account"));
        }
        self.aliases
            .retain(|(source, _), _| check::alias_source(source) != Ok(change.name.as_str()));
        self.forget_alias_owners();
        self.domains.remove(&change.name);
        Ok(Outcome::Done)
    }

    pub(super) fn add_accounts(&mut self, change: AddAccounts) -> Result<Outcome, Error> {
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for new in &change.accounts {
            let (_, domain) = check::address(&new.email)?;
            check::column(new.password.as_deref(), "the password hash is too long")?;
            new.quota.map(check::octets).transpose()?;
            self.domain_id(domain)?;
            let present = self
                .accounts
                .values()
                .any(|it| it.account.email == new.email);
            if present || !taken.insert(new.email.clone()) {
                return Err(Error::Exists("account"));
            }
        }
        let mut ids = Vec::new();
        for new in change.accounts {
            let (_, domain) = check::address(&new.email)?;
            let domain = self.domain_id(domain)?;
            self.last.account += 1;
            let id = AccountId(self.last.account);
            let account = Account {
                id,
                email: new.email,
                domain,
                password: new.password,
                quota: new.quota,
                used: 0,
                auth: new.auth,
                active: true,
                domain_active: true,
                version: 1,
                last_login: None,
                created: change.now,
                addressed: change.now,
                pop3_retention: None,
            };
            let last_uid_validity = self.last.uid_validity;
            self.accounts.insert(
                id,
                Owner {
                    account,
                    last_uid_validity,
                },
            );
            let first = FIRST_MAILBOXES.iter().map(|(name, it)| (*name, Some(*it)));
            for (name, special_use) in std::iter::once((INBOX, None)).chain(first) {
                self.insert_mailbox(id, name, special_use, change.now)?;
                self.subscriptions.insert((id, name.to_owned()));
            }
            ids.push(id);
        }
        Ok(Outcome::Accounts(ids))
    }

    pub(super) fn set_password(&mut self, change: SetPassword) -> Result<Outcome, Error> {
        check::column(change.password.as_deref(), "the password hash is too long")?;
        let account = &mut self.owner(change.account)?.account;
        if change.only_if.is_none() || change.only_if == account.password {
            account.password = change.password;
            account.version += 1;
        }
        Ok(Outcome::Done)
    }

    pub(super) fn set_quota(&mut self, change: SetQuota) -> Result<Outcome, Error> {
        change.quota.map(check::octets).transpose()?;
        self.owner(change.account)?.account.quota = change.quota;
        Ok(Outcome::Done)
    }

    pub(super) fn set_account_active(
        &mut self,
        change: SetAccountActive,
    ) -> Result<Outcome, Error> {
        let account = &mut self.owner(change.account)?.account;
        account.active = change.active;
        account.version += 1;
        Ok(Outcome::Done)
    }

    pub(super) fn remove_account(&mut self, change: RemoveAccount) -> Result<Outcome, Error> {
        let last = self.owner(change.account)?.last_uid_validity;
        let own = self.mailboxes.values().map(|it| &it.mailbox);
        let own: Vec<MailboxId> = own
            .filter(|it| it.account == change.account)
            .map(|it| it.id)
            .collect();
        for id in own {
            self.take_all(id, change.now);
            self.mailboxes.remove(&id);
        }
        self.subscriptions.retain(|(it, _)| *it != change.account);
        self.drop_brought(change.account);
        self.entries.remove(&change.account);
        self.gone.retain(|_, it| it.account != change.account);
        self.leases.remove(&check::maildrop(change.account));
        self.accounts.remove(&change.account);
        self.last.uid_validity = self.last.uid_validity.max(last);
        Ok(Outcome::Done)
    }

    pub(super) fn touch_login(&mut self, change: TouchLogin) -> Result<Outcome, Error> {
        let noted = &mut self.owner(change.account)?.account.last_login;
        if noted.is_none_or(|last| change.now.0.saturating_sub(last.0) >= 60_000_000) {
            *noted = Some(change.now);
        }
        Ok(Outcome::Done)
    }

    pub(super) fn add_alias(&mut self, change: AddAlias) -> Result<Outcome, Error> {
        let alias = change.alias;
        let domain = check::alias_source(&alias.source)?;
        check::alias_destination(&alias.destination)?;
        self.domain_id(domain)?;
        let pair = (alias.source, alias.destination);
        if self.aliases.contains_key(&pair) {
            return Err(Error::Exists("alias"));
        }
        self.aliases.insert(pair, alias.active);
        Ok(Outcome::Done)
    }

    pub(super) fn remove_alias(&mut self, change: RemoveAlias) -> Result<Outcome, Error> {
        let before = self.aliases.len();
        self.aliases.retain(|(source, destination), _| {
            *source != change.source
                || change
                    .destination
                    .as_ref()
                    .is_some_and(|it| it != destination)
        });
        if self.aliases.len() == before {
            return Err(Error::NotFound("alias"));
        }
        self.forget_alias_owners();
        Ok(Outcome::Done)
    }

    pub(super) fn subscribe(&mut self, change: Subscribe) -> Result<Outcome, Error> {
        check::subscription(&change.name)?;
        self.owner(change.account)?;
        let own = self
            .subscriptions
            .iter()
            .filter(|(it, _)| *it == change.account);
        let count = own.count() as u64;
        let entry = (change.account, change.name);
        if !change.subscribed {
            self.subscriptions.remove(&entry);
        } else if !self.subscriptions.contains(&entry) {
            check::room_for_subscription(count)?;
            self.subscriptions.insert(entry);
        }
        Ok(Outcome::Done)
    }
}
