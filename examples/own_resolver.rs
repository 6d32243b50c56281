//! An own resolver: passwords for single applications, beside the one password that the account has.
//!
//! Resolvers are asked in their order, the local one last. One that does not know a user says [`Answer::Unknown`]; one that
//! cannot tell says [`Answer::Unavailable`], never "no". Whatever it says, the account's row decides: who is not in the index,
//! or switched off there, is not let in. A resolver of yours should pass `postrider::auth::contract`, as this one does.
//!
//! ```sh
//! cargo run -p postrider --example own_resolver -- ./postrider-data
//! ```
//!
//! After `whole_server` has made the account there, `phone-1f7c` lets `ada@example.test` in as well as her own password.

use std::{collections::HashMap, error::Error, path::PathBuf, sync::Arc, time::Duration};

use postrider::auth::{Answer, Caching, Request, Resolver};
use postrider::config::{Config, Secret};
use postrider::engine::{Engine, Parts, Running};

/// The passwords that users made for their applications.
pub struct AppPasswords(HashMap<String, Vec<Secret<String>>>);

impl AppPasswords {
    /// Knows these: a user (lower case) and one password each.
    pub fn new<'a>(passwords: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut all: HashMap<String, Vec<Secret<String>>> = HashMap::new();
        for (user, password) in passwords {
            let of_user = all.entry(user.to_owned()).or_default();
            of_user.push(Secret::new(password.to_owned()));
        }
        Self(all)
    }
}

#[async_trait::async_trait]
impl Resolver for AppPasswords {
    fn name(&self) -> &'static str {
        "app_passwords"
    }

    /// A password taken back must not live on in a cache, so it is asked each time.
    fn caching(&self) -> Caching {
        Caching::Forbidden
    }

    async fn authenticate(&self, request: Request<'_>) -> Answer {
        let Some(passwords) = self.0.get(request.user) else {
            return Answer::Unknown("has no application passwords".into());
        };
        // Secrets compare in constant time.
        match passwords.iter().any(|it| it == request.password) {
            true => Answer::Granted,
            false => Answer::Denied("none of the application passwords".into()),
        }
    }
}

#[actix_rt::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let config = Config::embedded(&folder.unwrap_or_else(|| "postrider-data".into()));
    let server = start(
        config,
        AppPasswords::new([("ada@example.test", "phone-1f7c")]),
    )
    .await?;
    println!("listening: {:?}", server.ports());
    tokio::signal::ctrl_c().await?;
    server.drain(Duration::from_secs(30)).await;
    Ok(())
}

/// A server that asks this resolver before the local passwords.
pub async fn start(config: Config, resolver: AppPasswords) -> Result<Running, Box<dyn Error>> {
    let parts = Parts {
        resolvers: vec![Arc::new(resolver)],
        ..Parts::default()
    };
    Ok(Engine::start(config, parts).await?)
}
