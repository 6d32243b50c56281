//! A part that panics takes nobody with it.

use std::sync::Arc;

use postrider::auth::{Answer, Request, Resolver};
use postrider::engine::Parts;
use postrider::filter::{Filter, FilterError, Message, OnFailure, Verdict};

use super::house::{ADA, BOB, House, PASSWORD, message};

/// Panics at a message that says so.
struct Fragile;

#[async_trait::async_trait]
impl Filter for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    async fn check(&self, message: &Message<'_>) -> Result<Verdict, FilterError> {
        let head = message.spooled.head(4096).await;
        let head = head.map_err(|error| FilterError(error.to_string()))?;
        let says = |word: &[u8]| head.windows(word.len()).any(|it| it == word);
        if says(b"Subject: boom") {
            panic!("a filter's bug");
        }
        match says(b"Subject: not a field") {
            true => Ok(Verdict::Accept {
                header: b"no header field".to_vec(),
            }),
            false => Ok(Verdict::accept()),
        }
    }
}

/// Panics for Bob, knows nobody.
struct Jumpy;

#[async_trait::async_trait]
impl Resolver for Jumpy {
    fn name(&self) -> &'static str {
        "jumpy"
    }

    async fn authenticate(&self, request: Request<'_>) -> Answer {
        assert!(request.user != BOB, "a resolver's bug");
        Answer::Unknown("nobody".into())
    }
}

fn parts(on_failure: OnFailure) -> Parts {
    Parts {
        filters: vec![(Arc::new(Fragile), on_failure)],
        resolvers: vec![Arc::new(Jumpy)],
        ..Parts::default()
    }
}

#[actix_rt::test]
async fn attack_25_a_filter_that_panics_or_talks_rubbish_defers_its_message_and_no_other() {
    let house = House::with(|_| {}, parts(OnFailure::Defer)).await;
    let mut watcher = house.imap(ADA).await;
    watcher.imap("SELECT INBOX").await;
    let mut smtp = house.smtp().await;
    for _ in 0..10 {
        let reply = smtp.send(ADA, &message("boom")).await;
        assert!(reply.starts_with("451 "), "{reply}");
        // The same connection, and others.
        assert!(smtp.send(ADA, &message("well")).await.starts_with("250"));
        assert!(house.deliver(BOB, "well").await.starts_with("250"));
    }
    let reply = smtp.send(ADA, &message("not a field")).await;
    assert!(reply.starts_with("451 "), "{reply}");
    assert!(watcher.imap("NOOP").await.is_ok());
    assert_eq!(house.subjects(ADA).await, vec!["well"; 10]);
    house.stop().await;
}

#[actix_rt::test]
async fn a_filter_may_be_set_to_let_pass_when_it_fails() {
    let house = House::with(|_| {}, parts(OnFailure::Accept)).await;
    assert!(house.deliver(ADA, "boom").await.starts_with("250"));
    assert_eq!(house.subjects(ADA).await, ["boom"]);
    house.stop().await;
}

#[actix_rt::test]
async fn a_resolver_that_panics_is_one_that_cannot_tell() {
    let house = House::with(|_| {}, parts(OnFailure::Defer)).await;
    for _ in 0..10 {
        // The local one follows and knows Bob.
        assert!(house.imap(BOB).await.imap("NOOP").await.is_ok());
        assert!(house.imap(ADA).await.imap("NOOP").await.is_ok());
    }
    // A wrong password cannot be told from one that the broken resolver would have known.
    let mut imap = house.connect(postrider::config::Service::Imap).await;
    let wrong = imap.imap(&format!("LOGIN {BOB} not-{PASSWORD}")).await;
    assert!(wrong.tagged.starts_with("NO ["), "{wrong:?}");
    house.stop().await;
}
