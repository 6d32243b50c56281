//! Many users at once, all or none. Every bad one is named before anything is changed.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use postrider_protocol::secret::Secret;
use postrider_storage::{
    Error,
    index::{AddAccounts, AuthType, Change, DEFAULT_QUOTA, NewAccount, Outcome},
};

use super::{Admin, AdminError, name::user_address, now};
use crate::auth::password::{VerifyError, check_hash, check_password, hash_password};

/// A user to take in.
#[derive(Debug)]
pub struct ImportUser {
    /// Line of the file it comes from.
    pub line: u64,
    /// Its address, as typed.
    pub email: String,
    /// Its password, or the hash of it.
    pub password: ImportPassword,
    /// Octets; none: no limit. The outer none: the default.
    pub quota: Option<Option<u64>>,
}

/// A password or its hash.
#[derive(Debug)]
pub enum ImportPassword {
    /// To be hashed.
    Plain(Secret<String>),
    /// Hashed already, with or without `{SCHEME}`.
    Hash(String),
}

/// What is wrong with a line.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ImportProblem {
    /// The line.
    pub line: u64,
    /// What is wrong with it.
    pub message: String,
}

/// Users that can be taken in.
#[derive(Debug)]
pub struct PreparedImport {
    users: Vec<(NewAccount, Option<Secret<String>>)>,
}

impl Admin {
    /// Checks all users against each other and against what is there.
    ///
    /// # Errors
    /// Storage. What is wrong with lines is the inner error, all of it by line.
    pub async fn prepare_import(
        &self,
        users: Vec<ImportUser>,
    ) -> Result<Result<PreparedImport, Vec<ImportProblem>>, AdminError> {
        let domains = self.index.domains().await?;
        let domains: HashSet<&str> = domains.iter().map(|it| it.name.as_str()).collect();
        let there = self.index.accounts(None).await?;
        let there: HashSet<&str> = there.iter().map(|it| it.email.as_str()).collect();
        let mut lines: HashMap<String, u64> = HashMap::new();
        let mut prepared = Vec::with_capacity(users.len());
        let mut problems = Vec::new();
        for user in users {
            let line = user.line;
            let mut bad = |message: String| problems.push(ImportProblem { line, message });
            let checked = user_address(&user.email);
            match &checked {
                Err(error) => bad(error.to_string()),
                Ok((_, domain)) if !domains.contains(domain.as_str()) => {
                    bad(AdminError::NoDomain(domain.clone()).to_string());
                }
                Ok((email, _)) if there.contains(email.as_str()) => {
                    bad(AdminError::UserExists(email.clone()).to_string());
                }
                Ok((email, _)) => {
                    if let Some(first) = lines.insert(email.clone(), line) {
                        bad(format!("{email} stands on line {first} already"));
                        lines.insert(email.clone(), first);
                    }
                }
            }
            let (hash, plain) = match user.password {
                ImportPassword::Plain(password) => {
                    if let Err(error) = check_password(&password) {
                        bad(error.to_string());
                    }
                    (None, Some(password))
                }
                ImportPassword::Hash(hash) => {
                    if let Err(error) = check_hash(&hash) {
                        bad(error.to_string());
                    }
                    (Some(hash), None)
                }
            };
            if let Ok((email, _)) = checked {
                let account = NewAccount {
                    email,
                    password: hash,
                    quota: user.quota.unwrap_or(Some(DEFAULT_QUOTA)),
                    auth: AuthType::Local,
                };
                prepared.push((account, plain));
            }
        }
        Ok(match problems.is_empty() {
            true => Ok(PreparedImport { users: prepared }),
            false => Err(problems),
        })
    }

    /// Takes all users in, in one change. Gives how many.
    ///
    /// # Errors
    /// A password that was not hashed before; a user or domain that came or went meanwhile. Then nobody was taken in.
    pub async fn import(&self, import: PreparedImport) -> Result<usize, AdminError> {
        let mut accounts = Vec::with_capacity(import.users.len());
        for (account, plain) in import.users {
            if plain.is_some() {
                return Err(Error::Invalid("a password of the import is not hashed").into());
            }
            accounts.push(account);
        }
        if accounts.is_empty() {
            return Ok(0);
        }
        let change = Change::AddAccounts(AddAccounts {
            accounts,
            now: now(),
        });
        match self.apply(change).await? {
            Outcome::Accounts(accounts) => Ok(accounts.len()),
            _ => Err(Error::Corrupt("accounts were added without their numbers".to_owned()).into()),
        }
    }
}

impl PreparedImport {
    /// How many users.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// How many passwords are to be hashed, a quarter of a second of a core each.
    pub fn passwords(&self) -> usize {
        self.users
            .iter()
            .filter(|(_, plain)| plain.is_some())
            .count()
    }

    /// Hashes the passwords on all cores; `progress` is told of each. Blocks.
    ///
    /// # Errors
    /// A system without random numbers.
    pub fn hash_passwords(&mut self, progress: &(dyn Fn() + Sync)) -> Result<(), VerifyError> {
        let mut plain: Vec<&mut (NewAccount, Option<Secret<String>>)> = self
            .users
            .iter_mut()
            .filter(|(_, plain)| plain.is_some())
            .collect();
        if plain.is_empty() {
            return Ok(());
        }
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let failed = AtomicUsize::new(0);
        let share = plain.len().div_ceil(threads);
        thread::scope(|scope| {
            for users in plain.chunks_mut(share) {
                scope.spawn(|| {
                    for (account, plain) in users {
                        let hash = plain.as_ref().map(hash_password);
                        match hash {
                            Some(Ok(hash)) => {
                                account.password = Some(hash);
                                *plain = None;
                            }
                            _ => {
                                failed.fetch_add(1, Ordering::Relaxed);
                                return;
                            }
                        }
                        progress();
                    }
                });
            }
        });
        match failed.into_inner() {
            0 => Ok(()),
            // The passwords themselves were checked before.
            _ => Err(VerifyError::NoRandomness),
        }
    }
}
