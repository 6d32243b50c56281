//! The local resolver: the hash in `virtual_users.password`, and what it needs of index and hashers.
//!
//! **Invariants.** Whatever the row holds, every answer but yes costs the work of one verification, so that time does not tell who exists
//! (only a hash that costs more than ours takes longer, until its first login). But while a directory that was asked before cannot tell, who
//! has no hash here hears "later" in any case, and costs nothing: else all who try again would take the hashers from everybody else. A user name is a value in SQL, never a part of it.

use std::sync::Arc;

use postrider_protocol::secret::Secret;
use postrider_storage::Error;
use postrider_storage::index::{Account, AuthType, Change, Index, Outcome};

use super::hasher::{Hasher, HasherError};
use super::password::{VerifyError, is_weak};
use super::resolver::{Answer, Caching, Request, Resolver};

/// What a login needs of the index.
#[async_trait::async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// The account with this address.
    ///
    /// # Errors
    /// Those of [`Index::account`].
    async fn account(&self, email: &str) -> Result<Option<Account>, Error>;
    /// Changes it.
    ///
    /// # Errors
    /// Those of [`Index::apply`].
    async fn change(&self, change: Change) -> Result<Outcome, Error>;
}

/// An index whose connections may be used from here.
#[async_trait::async_trait]
impl Accounts for Arc<dyn Index> {
    async fn account(&self, email: &str) -> Result<Option<Account>, Error> {
        (**self).account(email).await
    }

    async fn change(&self, change: Change) -> Result<Outcome, Error> {
        let answer = self.apply(vec![change]).await.pop();
        answer.unwrap_or_else(|| Err(Error::Corrupt("no answer to a change".to_owned())))
    }
}

/// Hashes and compares passwords.
#[async_trait::async_trait]
pub trait Passwords: Send + Sync + 'static {
    /// Whether this is the password of the hash. Every answer but yes takes as long as [`verify_nobody`](Self::verify_nobody).
    ///
    /// # Errors
    /// See [`HasherError`].
    async fn verify(&self, hash: &str, password: &Secret<String>) -> Result<bool, HasherError>;
    /// Takes as long as a wrong password, for a user without hash.
    ///
    /// # Errors
    /// [`HasherError::Overloaded`], [`HasherError::Failed`].
    async fn verify_nobody(&self) -> Result<(), HasherError>;
    /// Makes a hash.
    ///
    /// # Errors
    /// See [`HasherError`].
    async fn hash(&self, password: &Secret<String>) -> Result<String, HasherError>;
    /// Whether a hash that verifies should be replaced by one of [`hash`](Self::hash).
    fn is_weak(&self, hash: &str) -> bool;
}

#[async_trait::async_trait]
impl Passwords for Hasher {
    async fn verify(&self, hash: &str, password: &Secret<String>) -> Result<bool, HasherError> {
        Hasher::verify(self, hash.to_owned(), password.clone()).await
    }

    async fn verify_nobody(&self) -> Result<(), HasherError> {
        Hasher::verify_nobody(self).await.map(drop)
    }

    async fn hash(&self, password: &Secret<String>) -> Result<String, HasherError> {
        Hasher::hash(self, password.clone()).await
    }

    fn is_weak(&self, hash: &str) -> bool {
        is_weak(hash)
    }
}

/// Vouches for accounts whose hash is in the index.
pub struct LocalResolver {
    passwords: Arc<dyn Passwords>,
}

impl LocalResolver {
    /// Its name in the log.
    pub const NAME: &'static str = "local";

    /// Compares with these hashers.
    pub fn new(passwords: Arc<dyn Passwords>) -> Self {
        Self { passwords }
    }

    /// The work of a comparison, then no.
    async fn nobody(&self, answer: Answer) -> Answer {
        match self.passwords.verify_nobody().await {
            Ok(()) => answer,
            Err(error) => Answer::Unavailable(error.to_string().into()),
        }
    }
}

#[async_trait::async_trait]
impl Resolver for LocalResolver {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    /// Its hashes stand in the row whose version is part of what is remembered.
    fn caching(&self) -> Caching {
        Caching::Allowed
    }

    async fn authenticate(&self, request: Request<'_>) -> Answer {
        let password = request.password;
        let refusal = match request.account {
            None => Answer::Unknown("no such account".into()),
            Some(account) if !account.active => Answer::Denied("account is switched off".into()),
            Some(account) if !account.domain_active => {
                Answer::Denied("domain is switched off".into())
            }
            Some(account) if account.auth == AuthType::Ldap => {
                Answer::Unknown("LDAP vouches for the account".into())
            }
            Some(account) => match &account.password {
                None => Answer::Unknown("account has no password".into()),
                Some(hash) => return self.compare(hash, password).await,
            },
        };
        match refusal {
            Answer::Unknown(_) if request.in_doubt => refusal,
            _ => self.nobody(refusal).await,
        }
    }
}

impl LocalResolver {
    async fn compare(&self, hash: &str, password: &Secret<String>) -> Answer {
        match self.passwords.verify(hash, password).await {
            Ok(true) => Answer::Granted,
            Ok(false) => Answer::Denied("wrong password".into()),
            Err(HasherError::Unverifiable(VerifyError::Password(why))) => {
                Answer::Denied(why.to_string().into())
            }
            Err(HasherError::Unverifiable(error)) => Answer::Damaged(error.to_string().into()),
            Err(error) => Answer::Unavailable(error.to_string().into()),
        }
    }
}

#[cfg(test)]
mod tests;
