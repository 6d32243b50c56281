//! A resolver in memory: users and passwords as they are. For tests, and the first to pass the contract.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use postrider_protocol::secret::Secret;

use super::resolver::{Answer, Request, Resolver};

/// Users and their passwords.
#[derive(Debug, Default)]
pub struct MemoryResolver {
    users: HashMap<String, Secret<String>>,
    broken: Mutex<Option<&'static str>>,
}

impl MemoryResolver {
    /// Knows these users (lower case) by these passwords.
    pub fn new<'a>(users: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let own =
            |(user, password): (&str, &str)| (user.to_owned(), Secret::new(password.to_owned()));
        Self {
            users: users.into_iter().map(own).collect(),
            broken: Mutex::default(),
        }
    }

    /// From now on it cannot tell, for this reason; `None` mends it.
    pub fn set_broken(&self, why: Option<&'static str>) {
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

#[async_trait::async_trait]
impl Resolver for MemoryResolver {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn authenticate(&self, request: Request<'_>) -> Answer {
        let broken = *self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = broken {
            return Answer::Unavailable(why.into());
        }
        match self.users.get(request.user) {
            None => Answer::Unknown("no such user".into()),
            Some(password) if password.expose().is_empty() => {
                Answer::Denied("user has no password".into())
            }
            Some(password) if password == request.password => Answer::Granted,
            Some(_) => Answer::Denied("wrong password".into()),
        }
    }
}
