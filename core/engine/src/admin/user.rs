//! Users: add, list, show, password, quota, switch on and off, remove.

use postrider_storage::{
    Error,
    index::{
        Account, AddAccounts, AuthType, Change, DirectoryEntry, Mailbox, NewAccount, RemoveAccount,
        Retention, SetAccountActive, SetPassword, SetQuota, SetRetention, UnbindEntry,
    },
};

use super::{
    Admin, AdminError,
    name::{domain_name, user_address},
    now,
};
use crate::auth::password::check_hash;

/// An account and its mailboxes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserReport {
    /// The account.
    pub account: Account,
    /// Its mailboxes, INBOX first.
    pub mailboxes: Vec<Mailbox>,
    /// Sources of the aliases that lead to it.
    pub aliases: Vec<String>,
    /// The entry of the directory that it is bound to.
    pub entry: Option<DirectoryEntry>,
}

impl Admin {
    /// Whether a user of this address can be added: asked before somebody is made to type a password. Gives the address in look-up form.
    ///
    /// # Errors
    /// An address that is none, a domain that is not there, a user that is.
    pub async fn check_new_user(&self, email: &str) -> Result<String, AdminError> {
        let (email, domain) = user_address(email)?;
        self.existing_domain(domain).await?;
        match self.index.account(&email).await? {
            Some(_) => Err(AdminError::UserExists(email)),
            None => Ok(email),
        }
    }

    /// Adds a user with the hash of its password; `quota` none: no limit.
    ///
    /// # Errors
    /// As [`Admin::check_new_user`], and a hash that cannot be verified.
    pub async fn add_user(
        &self,
        email: &str,
        hash: String,
        quota: Option<u64>,
    ) -> Result<Account, AdminError> {
        let email = self.check_new_user(email).await?;
        check_hash(&hash)?;
        let account = NewAccount {
            email: email.clone(),
            password: Some(hash),
            quota,
            auth: AuthType::Local,
        };
        let change = Change::AddAccounts(AddAccounts {
            accounts: vec![account],
            now: now(),
        });
        match self.apply(change).await {
            Ok(_) => self.existing_user(email).await,
            // It came between the check and here.
            Err(Error::Exists(_)) => Err(AdminError::UserExists(email)),
            Err(other) => Err(other.into()),
        }
    }

    /// All users by address, of one domain if named.
    ///
    /// # Errors
    /// A domain that is not there.
    pub async fn users(&self, domain: Option<&str>) -> Result<Vec<Account>, AdminError> {
        let Some(domain) = domain else {
            return Ok(self.index.accounts(None).await?);
        };
        let domain = self.existing_domain(domain_name(domain)?).await?;
        Ok(self.index.accounts(Some(&domain.name)).await?)
    }

    /// A user with its mailboxes and aliases.
    ///
    /// # Errors
    /// A user that is not there.
    pub async fn user(&self, email: &str) -> Result<UserReport, AdminError> {
        let account = self.find_user(email).await?;
        let mailboxes = self.index.mailboxes(account.id).await?;
        let entry = self.index.directory_entry_of(account.id).await?;
        let aliases = self.index.aliases(None).await?;
        let leads_here = |destination: &str| destination.eq_ignore_ascii_case(&account.email);
        Ok(UserReport {
            mailboxes,
            entry,
            aliases: aliases
                .into_iter()
                .filter(|it| leads_here(&it.destination))
                .map(|it| it.source)
                .collect(),
            account,
        })
    }

    /// Switches a user on or off. What was open under its name is closed.
    ///
    /// # Errors
    /// A user that is not there.
    pub async fn set_user_active(&self, email: &str, active: bool) -> Result<Account, AdminError> {
        let account = self.find_user(email).await?;
        let change = Change::SetAccountActive(SetAccountActive {
            account: account.id,
            active,
            now: now(),
        });
        self.change_user(account, change).await
    }

    /// Unbinds a user from its entry in the directory; the next synchronisation or login binds it to the one that has its address then.
    ///
    /// # Errors
    /// A user that is not there, or not bound.
    pub async fn unbind_user(&self, email: &str) -> Result<Account, AdminError> {
        let account = self.find_user(email).await?;
        let change = Change::UnbindEntry(UnbindEntry {
            account: account.id,
        });
        match self.apply(change).await {
            Ok(_) => Ok(account),
            Err(Error::NotFound(_)) => Err(AdminError::NotBound(account.email)),
            Err(other) => Err(other.into()),
        }
    }

    /// Sets the hash of a user's password.
    ///
    /// # Errors
    /// A user that is not there or that LDAP vouches for, a hash that cannot be verified.
    pub async fn set_password(&self, email: &str, hash: String) -> Result<Account, AdminError> {
        let account = self.find_user(email).await?;
        if account.auth == AuthType::Ldap {
            return Err(AdminError::PasswordOfLdap(account.email));
        }
        check_hash(&hash)?;
        let change = Change::SetPassword(SetPassword {
            account: account.id,
            password: Some(hash),
            only_if: None,
            now: now(),
        });
        self.change_user(account, change).await
    }

    /// Sets a user's quota; none: no limit.
    ///
    /// # Errors
    /// A user that is not there.
    pub async fn set_quota(&self, email: &str, quota: Option<u64>) -> Result<Account, AdminError> {
        let account = self.find_user(email).await?;
        let change = Change::SetQuota(SetQuota {
            account: account.id,
            quota,
            now: now(),
        });
        self.change_user(account, change).await
    }

    /// Sets how long a user's mail stays after POP3 retrieved it; none: as the configuration says.
    ///
    /// # Errors
    /// A user that is not there.
    pub async fn set_retention(
        &self,
        email: &str,
        retention: Option<Retention>,
    ) -> Result<Account, AdminError> {
        let account = self.find_user(email).await?;
        let change = Change::SetRetention(SetRetention {
            account: account.id,
            retention,
            now: now(),
        });
        self.change_user(account, change).await
    }

    /// Removes a user and its mail. Gives the account as it was.
    ///
    /// # Errors
    /// A user that is not there.
    pub async fn remove_user(&self, email: &str) -> Result<Account, AdminError> {
        let account = self.find_user(email).await?;
        let change = Change::RemoveAccount(RemoveAccount {
            account: account.id,
            now: now(),
        });
        match self.apply(change).await {
            Ok(_) => Ok(account),
            Err(Error::NotFound(_)) => Err(AdminError::NoUser(account.email)),
            Err(other) => Err(other.into()),
        }
    }

    /// The user of this address, as typed.
    ///
    /// # Errors
    /// A user that is not there.
    pub async fn find_user(&self, email: &str) -> Result<Account, AdminError> {
        let (email, domain) = user_address(email)?;
        match self.index.account(&email).await? {
            Some(account) => Ok(account),
            None => {
                // Which of the two is missing makes a difference to who mistyped one.
                self.existing_domain(domain).await?;
                Err(AdminError::NoUser(email))
            }
        }
    }

    async fn change_user(&self, account: Account, change: Change) -> Result<Account, AdminError> {
        match self.apply(change).await {
            Ok(_) => self.existing_user(account.email).await,
            Err(Error::NotFound(_)) => Err(AdminError::NoUser(account.email)),
            Err(other) => Err(other.into()),
        }
    }

    async fn existing_user(&self, email: String) -> Result<Account, AdminError> {
        let account = self.index.account(&email).await?;
        account.ok_or(AdminError::NoUser(email))
    }
}
