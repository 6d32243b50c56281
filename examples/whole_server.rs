//! A whole mail server in another program: SMTP, submission, LMTP, IMAP and POP3, SQLite and Maildir, one domain, one account.
//!
//! ```sh
//! cargo run -p postrider --example whole_server -- ./postrider-data
//! ```
//!
//! Then log in as `ada@example.test` with `correct horse`, for example
//! `curl -k --user 'ada@example.test:correct horse' imaps://127.0.0.1:2993/INBOX`. Ctrl-C stops it.

use std::{error::Error, path::PathBuf, time::Duration};

use postrider::auth::password::hash_password;
use postrider::config::{Config, Secret};
use postrider::engine::{Engine, Parts, Running};
use postrider::storage::index::AuthType;

#[actix_rt::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let config = Config::embedded(&folder.unwrap_or_else(|| "postrider-data".into()));
    let server = start(config).await?;
    println!("listening: {:?}", server.ports());
    tokio::select! {
        stop = tokio::signal::ctrl_c() => stop?,
        why = server.failed() => eprintln!("going down: {why}"),
    }
    server.drain(Duration::from_secs(30)).await;
    Ok(())
}

/// Starts everything that the configuration names; at the first start it makes a domain with an account.
pub async fn start(config: Config) -> Result<Running, Box<dyn Error>> {
    let server = Engine::start(config, Parts::default()).await?;
    let admin = server.admin();
    if admin.domains().await?.is_empty() {
        let password = hash_password(&Secret::new("correct horse".to_owned()))?;
        admin
            .add_domain("example.test", AuthType::Local, None)
            .await?;
        admin.add_user("ada@example.test", password, None).await?;
    }
    Ok(server)
}
