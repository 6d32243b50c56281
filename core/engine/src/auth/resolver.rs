//! Resolvers: who vouches for a user, and the chain in which they are asked.
//!
//! A program that embeds the engine puts resolvers of its own before the local one; they pass [`contract`](super::contract).
//!
//! **Bounds.** [`PLACES`] requests a resolver at a time, unless it says otherwise. One before the last gets half of the time that is left, at most [`PATIENCE`].
//! **On failure.** A resolver that panics, or does not answer in time, has answered [`Answer::Unavailable`].

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use postrider_protocol::secret::Secret;
use postrider_storage::index::Account;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::net::peer::Peer;

/// Requests that a resolver works on at a time; further ones wait.
pub(crate) const PLACES: usize = 256;

/// How long a resolver before the last may take, so that one that hangs is felt and does not stop the logins behind it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What a resolver is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The user: NFC, lower case, the domain in A-labels. May be anything, an address or not.
    pub user: &'a str,
    /// Its row in the index, switched on or not; none if there is none.
    pub account: Option<&'a Account>,
    /// The password, never empty.
    pub password: &'a Secret<String>,
    /// Who asks.
    pub peer: &'a Peer,
    /// Over which protocol.
    pub protocol: &'static str,
    /// An answer after this is none.
    pub deadline: Instant,
    /// Whether somebody who was asked before could not tell: then the client hears "later" unless this one knows better.
    pub in_doubt: bool,
}

/// Why a resolver says what it says: for the log, never for the client. Without password.
pub type Why = Cow<'static, str>;

/// What a resolver says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It is the user.
    Granted,
    /// It is the user, whose account has this address: the login was by another name.
    GrantedAs(String),
    /// It knows the user, and this is not the password, or the user may not log in.
    Denied(Why),
    /// It does not know the user.
    Unknown(Why),
    /// It cannot tell now.
    Unavailable(Why),
    /// It knows the user, and cannot tell before somebody repairs what it keeps of the password. For the client this is a wrong
    /// password like any other: "later" would be untrue, and would tell who exists.
    Damaged(Why),
}

impl Answer {
    /// One word for the log.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Granted | Self::GrantedAs(_) => "granted",
            Self::Denied(_) => "denied",
            Self::Unknown(_) => "unknown",
            Self::Unavailable(_) => "unavailable",
            Self::Damaged(_) => "damaged",
        }
    }

    pub(super) fn why(&self) -> &str {
        match self {
            Self::Granted => "",
            Self::GrantedAs(email) => email,
            Self::Denied(why)
            | Self::Unknown(why)
            | Self::Unavailable(why)
            | Self::Damaged(why) => why,
        }
    }
}

/// Whether successes of a resolver may be remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caching {
    /// For the configured minutes; a change of the account's row ends it at once, a change known to the resolver alone does not.
    Allowed,
    /// The resolver is asked at every login.
    Forbidden,
}

/// Vouches for users.
#[async_trait::async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// Its name in the log: one word.
    fn name(&self) -> &'static str;

    /// Whether its successes may be remembered. Not unless it says so.
    fn caching(&self) -> Caching {
        Caching::Forbidden
    }

    /// Requests that it works on at a time; further ones wait. A resolver that bounds its work itself may say more than there can be.
    fn places(&self) -> usize {
        PLACES
    }

    /// Whether the password is the user's. Asked many times at once; dropped when it takes too long.
    ///
    /// A yes opens the account whose address is [`Request::user`] (or that [`Answer::GrantedAs`] names), if the index has it, also when the resolver itself has just added it.
    async fn authenticate(&self, request: Request<'_>) -> Answer;
}

/// Resolvers in the order in which they are asked.
pub(super) struct Chain(Vec<Link>);

struct Link {
    resolver: Arc<dyn Resolver>,
    places: Semaphore,
}

/// What a chain said.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Everybody who was asked.
    pub(super) said: Vec<(&'static str, Answer)>,
    /// Who said yes.
    pub(super) granted: Option<Granted>,
    /// The address of the account, where it is not what the user typed.
    pub(super) account: Option<String>,
}

/// Who said yes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Granted {
    pub(super) by: &'static str,
    /// Whether that may be remembered.
    pub(super) caching: Caching,
    /// Whether it was the last of the chain, the local one.
    pub(super) is_last: bool,
}

impl Heard {
    /// Whether somebody could not tell now, and may be able to later.
    pub(super) fn in_doubt(&self) -> bool {
        self.said
            .iter()
            .any(|(_, answer)| matches!(answer, Answer::Unavailable(_)))
    }

    /// Who keeps something of a password that nobody can verify, and why not.
    pub(super) fn damaged(&self) -> Option<(&'static str, &str)> {
        let mut said = self.said.iter();
        let (by, answer) = said.find(|(_, answer)| matches!(answer, Answer::Damaged(_)))?;
        Some((by, answer.why()))
    }

    /// Whether somebody compared the password and found it wrong, or did the work of it for nothing.
    pub(super) fn guessed(&self) -> bool {
        self.said
            .iter()
            .any(|(_, answer)| matches!(answer, Answer::Denied(_) | Answer::Damaged(_)))
    }
}

impl Chain {
    /// `first` in order, then `last`.
    pub(super) fn new(first: Vec<Arc<dyn Resolver>>, last: Arc<dyn Resolver>) -> Self {
        let link = |resolver: Arc<dyn Resolver>| Link {
            places: Semaphore::new(resolver.places()),
            resolver,
        };
        Self(first.into_iter().chain([last]).map(link).collect())
    }

    /// Asks until one says yes.
    pub(super) async fn ask(&self, request: Request<'_>) -> Heard {
        let mut heard = Heard::default();
        for (behind, link) in (0..self.0.len()).rev().zip(&self.0) {
            let now = Instant::now();
            let left = request.deadline.saturating_duration_since(now);
            let deadline = match behind {
                0 => request.deadline,
                _ => now + PATIENCE.min(left / 2),
            };
            let answer = link
                .ask(Request {
                    deadline,
                    in_doubt: heard.in_doubt(),
                    ..request
                })
                .await;
            let name = link.resolver.name();
            if let Answer::GrantedAs(email) = &answer {
                heard.account = Some(email.clone());
            }
            if matches!(answer, Answer::Granted | Answer::GrantedAs(_)) {
                heard.granted = Some(Granted {
                    by: name,
                    caching: link.resolver.caching(),
                    is_last: behind == 0,
                });
            }
            heard.said.push((name, answer));
            if heard.granted.is_some() {
                break;
            }
        }
        heard
    }
}

impl Link {
    async fn ask(&self, request: Request<'_>) -> Answer {
        let asked = async {
            // Nobody closes the semaphore.
            let _place = self.places.acquire().await;
            self.resolver.authenticate(request).await
        };
        match timeout_at(request.deadline, AssertUnwindSafe(asked).catch_unwind()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Answer::Unavailable("panicked".into()),
            Err(_) => Answer::Unavailable("no answer in time".into()),
        }
    }
}

#[cfg(test)]
mod tests;
