//! The examples do what they say.

use std::time::Duration;

use postrider::auth::Resolver;
use postrider::auth::contract::{self, Fixture, USERS};
use postrider::config::Service;
use postrider::engine::Running;

use super::client::Client;
use super::house::{ADA, PASSWORD, config, message};

#[allow(dead_code)] // main
#[path = "../../../../examples/own_filter.rs"]
mod own_filter;
#[allow(dead_code)] // main
#[path = "../../../../examples/own_resolver.rs"]
mod own_resolver;
#[allow(dead_code)] // main
#[path = "../../../../examples/whole_server.rs"]
mod whole_server;

const STOP: Duration = Duration::from_secs(20);

async fn connect(server: &Running, service: Service) -> Client {
    let mut client = Client::connect(server.ports()[service.name()]).await;
    client.line().await;
    client
}

async fn send(server: &Running, text: &str) -> String {
    let mut smtp = connect(server, Service::Smtp).await;
    smtp.smtp("EHLO client.example").await;
    smtp.send(ADA, text).await
}

async fn log_in(server: &Running, password: &str) -> (Client, bool) {
    let mut imap = connect(server, Service::Imap).await;
    let answer = imap.imap(&format!("LOGIN {ADA} {password:?}")).await;
    (imap, answer.is_ok())
}

#[actix_rt::test]
async fn the_whole_server_takes_mail_and_shows_it_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = whole_server::start(config(folder.path())).await.unwrap();
    assert!(send(&server, &message("kept")).await.starts_with("250"));
    server.drain(STOP).await;

    let server = whole_server::start(config(folder.path())).await.unwrap();
    let (mut imap, let_in) = log_in(&server, "correct horse").await;
    assert!(let_in);
    imap.imap("SELECT INBOX").await;
    let fetched = imap.imap("FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]").await;
    assert!(
        fetched.untagged.contains(&"Subject: kept".to_owned()),
        "{fetched:?}"
    );
    server.drain(STOP).await;
}

#[actix_rt::test]
async fn the_own_resolver_lets_in_and_the_local_one_follows() {
    let folder = tempfile::tempdir().unwrap();
    let passwords = own_resolver::AppPasswords::new([
        (ADA, "phone-1f7c"),
        (ADA, "laptop-88"),
        ("nobody@example.test", "anything"),
    ]);
    let server = own_resolver::start(config(folder.path()), passwords)
        .await
        .unwrap();
    let admin = server.admin();
    let local = postrider_storage::index::AuthType::Local;
    admin.add_domain("example.test", local, None).await.unwrap();
    let hash = super::house::hash(PASSWORD);
    admin.add_user(ADA, hash, None).await.unwrap();

    for right in ["phone-1f7c", "laptop-88", PASSWORD] {
        assert!(log_in(&server, right).await.1, "{right}");
    }
    assert!(!log_in(&server, "phone-1f7d").await.1);
    // It vouches for somebody whom the index does not know.
    let mut imap = connect(&server, Service::Imap).await;
    let answer = imap.imap("LOGIN nobody@example.test anything").await;
    assert!(answer.tagged.starts_with("NO [AUTHENTICATIONFAILED]"));
    server.drain(STOP).await;
}

/// Users of the contract's suite.
struct Users(own_resolver::AppPasswords);

#[async_trait::async_trait]
impl Fixture for Users {
    fn resolver(&self) -> &dyn Resolver {
        &self.0
    }

    async fn set_reachable(&self, _: bool) -> Option<()> {
        None
    }
}

#[actix_rt::test]
async fn the_own_resolver_passes_the_contract() {
    contract::all(async || Users(own_resolver::AppPasswords::new(USERS))).await;
}

#[actix_rt::test]
async fn the_own_filter_refuses_and_marks() {
    let folder = tempfile::tempdir().unwrap();
    let filter = own_filter::Unwanted("pills");
    let server = own_filter::start(config(folder.path()), filter)
        .await
        .unwrap();
    let admin = server.admin();
    let local = postrider_storage::index::AuthType::Local;
    admin.add_domain("example.test", local, None).await.unwrap();
    let hash = super::house::hash(PASSWORD);
    admin.add_user(ADA, hash, None).await.unwrap();

    // The word lies across chunks of the spool too.
    let seam = 64 * 1024 - 3;
    let mut long = message("long");
    while long.len() + 72 <= seam {
        long.push_str(&("x".repeat(70) + "\r\n"));
    }
    long.push_str(&"x".repeat(seam - long.len()));
    long.push_str("pills\r\n");
    for bad in [message("cheap pills"), long] {
        let reply = send(&server, &bad).await;
        assert!(reply.starts_with("550 5.7.1"), "{reply}");
    }
    assert!(send(&server, &message("hello")).await.starts_with("250"));
    let (mut imap, _) = log_in(&server, PASSWORD).await;
    imap.imap("SELECT INBOX").await;
    let fetched = imap
        .imap("FETCH 1:* BODY[HEADER.FIELDS (X-LOOKED-AT)]")
        .await;
    let marks = fetched.untagged.iter();
    let marks: Vec<_> = marks.filter(|it| it.starts_with("X-Looked-At: ")).collect();
    assert_eq!(marks.len(), 1, "{fetched:?}");
    server.drain(STOP).await;
}
