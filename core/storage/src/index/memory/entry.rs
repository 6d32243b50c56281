//! Entries of directories, the aliases that came from there, and leases.

use super::State;
use crate::{
    Error,
    index::{
        AccountId, AddAccounts, AuthType, BindEntry, BindTo, DirectoryEntry, Outcome,
        RenameAccount, SetEntryActive, TakeLease, UnbindEntry, check,
    },
};

impl State {
    /// The entry with its aliases.
    pub(super) fn entry(&self, entry: &DirectoryEntry) -> DirectoryEntry {
        let own = self.brought.iter().filter(|(_, it)| **it == entry.account);
        let mut aliases: Vec<String> = own.map(|((source, _), _)| source.clone()).collect();
        aliases.sort();
        DirectoryEntry {
            aliases,
            ..entry.clone()
        }
    }

    pub(super) fn bind_entry(&mut self, change: BindEntry) -> Result<Outcome, Error> {
        let new = change.entry;
        check::entry(&new)?;
        for source in &new.aliases {
            self.domain_id(check::alias_source(source)?)?;
        }
        let bound = self.entries.values();
        let mut bound = bound.filter(|it| it.source == new.source && it.stable_id == new.stable_id);
        let bound = bound.next().map(|it| it.account);
        let id = match change.to {
            BindTo::Existing(id) => {
                if self.owner(id)?.account.auth != AuthType::Ldap {
                    return Err(Error::Invalid("LDAP does not vouch for the account"));
                }
                let same =
                    |it: &DirectoryEntry| it.source == new.source && it.stable_id == new.stable_id;
                let taken = self.entries.get(&id).is_some_and(|it| !same(it));
                if taken || bound.is_some_and(|it| it != id) {
                    return Err(Error::Exists("directory entry"));
                }
                id
            }
            BindTo::New(account) => {
                if account.auth != AuthType::Ldap {
                    return Err(Error::Invalid("LDAP does not vouch for the account"));
                }
                let add = AddAccounts {
                    accounts: vec![account],
                    now: change.now,
                };
                if bound.is_some() {
                    return Err(Error::Exists("directory entry"));
                }
                match self.add_accounts(add)? {
                    Outcome::Accounts(ids) if ids.len() == 1 => ids[0],
                    other => return Err(Error::Corrupt(format!("adding brought {other:?}"))),
                }
            }
        };
        let disabled = self.entries.get(&id).and_then(|it| it.disabled);
        let entry = DirectoryEntry {
            account: id,
            source: new.source,
            stable_id: new.stable_id,
            display_name: new.display_name,
            department: new.department,
            seen: change.now,
            disabled,
            aliases: Vec::new(),
        };
        self.entries.insert(id, entry);
        let email = self.owner(id)?.account.email.clone();
        let wanted = |source: &String| new.aliases.contains(source);
        let before = self.brought.iter().filter(|(_, it)| **it == id);
        let before: Vec<_> = before.map(|(pair, _)| pair.clone()).collect();
        for pair in before.iter().filter(|(source, _)| !wanted(source)) {
            self.brought.remove(pair);
            self.aliases.remove(pair);
        }
        for source in new.aliases {
            let pair = (source, email.clone());
            if pair.0 != pair.1 && !self.aliases.contains_key(&pair) {
                self.aliases.insert(pair.clone(), true);
                self.brought.insert(pair, id);
            }
        }
        Ok(Outcome::Accounts(vec![id]))
    }

    pub(super) fn unbind_entry(&mut self, change: UnbindEntry) -> Result<Outcome, Error> {
        if self.entries.remove(&change.account).is_none() {
            return Err(Error::NotFound("directory entry"));
        }
        self.drop_brought(change.account);
        Ok(Outcome::Done)
    }

    pub(super) fn rename_account(&mut self, change: RenameAccount) -> Result<Outcome, Error> {
        let (_, domain) = check::address(&change.email)?;
        let domain = self.domain_id(domain)?;
        let old = self.owner(change.account)?.account.email.clone();
        let mut others = self.accounts.values();
        match others.find(|it| it.account.email == change.email) {
            Some(same) if same.account.id == change.account => return Ok(Outcome::Done),
            Some(_) => return Err(Error::Exists("account")),
            None => {}
        }
        let account = &mut self.owner(change.account)?.account;
        account.email = change.email.clone();
        account.domain = domain;
        account.addressed = change.now;
        account.version += 1;
        let moved = self.aliases.keys().filter(|(_, to)| *to == old);
        for pair in moved.cloned().collect::<Vec<_>>() {
            let active = self.aliases.remove(&pair);
            let owner = self.brought.remove(&pair);
            let new = (pair.0, change.email.clone());
            if new.0 == new.1 || self.aliases.contains_key(&new) {
                continue;
            }
            self.aliases.insert(new.clone(), active.unwrap_or(true));
            if let Some(owner) = owner {
                self.brought.insert(new, owner);
            }
        }
        let itself = (change.email.clone(), change.email);
        self.aliases.remove(&itself);
        self.brought.remove(&itself);
        Ok(Outcome::Done)
    }

    pub(super) fn set_entry_active(&mut self, change: SetEntryActive) -> Result<Outcome, Error> {
        let entry = self.entries.get_mut(&change.account);
        let entry = entry.ok_or(Error::NotFound("directory entry"))?;
        entry.disabled = (!change.active).then_some(change.now);
        let account = &mut self.owner(change.account)?.account;
        account.active = change.active;
        account.version += 1;
        Ok(Outcome::Done)
    }

    pub(super) fn take_lease(&mut self, change: TakeLease) -> Result<Outcome, Error> {
        check::lease(&change.name)?;
        check::lease(&change.holder)?;
        let held = self.leases.get(&change.name);
        if held.is_some_and(|(holder, until)| *holder != change.holder && *until > change.now) {
            return Err(Error::Exists("lease"));
        }
        let lease = (change.holder, change.until);
        self.leases.insert(change.name, lease);
        Ok(Outcome::Done)
    }

    /// Removes the aliases that came from an account's entry.
    pub(super) fn drop_brought(&mut self, account: AccountId) {
        let own = self.brought.iter().filter(|(_, it)| **it == account);
        for pair in own.map(|(pair, _)| pair.clone()).collect::<Vec<_>>() {
            self.brought.remove(&pair);
            self.aliases.remove(&pair);
        }
    }

    /// Forgets whose the aliases were that are gone.
    pub(super) fn forget_alias_owners(&mut self) {
        let aliases = &self.aliases;
        self.brought.retain(|pair, _| aliases.contains_key(pair));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{NewEntry, Timestamp};

    #[test]
    fn an_entry_of_no_account_leaves_no_trace() {
        let mut state = State::default();
        let refused = state.bind_entry(BindEntry {
            to: BindTo::Existing(AccountId(1)),
            entry: NewEntry {
                source: "ldap".to_owned(),
                stable_id: "one".to_owned(),
                display_name: None,
                department: None,
                aliases: Vec::new(),
            },
            now: Timestamp(1),
        });
        assert_eq!(refused, Err(Error::NotFound("account")));
        assert!(state.entries.is_empty());
    }
}
