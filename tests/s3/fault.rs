//! The store in trouble: what may pass is repeated while somebody waits, and what is said is true.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use postrider_storage::Error;
use postrider_storage::blob::{self, BlobMeta, BlobStore, S3Settings, S3Store, contract};

use crate::server::{Fault, Server};
use crate::{body, impatient, octets, put, read, unavailable};

/// Generous: a debug build on a busy machine.
const SLOW: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn attack_44_what_may_pass_is_repeated() {
    let server = Server::start();
    let store = impatient(server.settings());
    let trouble = [
        Fault::Refuse(500, "InternalError"),
        Fault::Refuse(503, "SlowDown"),
        Fault::Refuse(502, ""),
        Fault::Refuse(400, "RequestTimeout"),
        Fault::Cut,
        Fault::CutAfter,
        Fault::DelayAfter(Duration::from_millis(1500)),
        Fault::Stall,
    ];
    for fault in trouble {
        server.fault("PUT", fault);
        let (key, written) = put(&store, b"a body").await;
        assert!(written.is_ok(), "{fault:?}: {written:?}");
        server.fault("GET", fault);
        let found = read(&store, &key, 6).await;
        assert_eq!(found.as_deref(), Ok(&b"a body"[..]), "{fault:?}");
        server.fault("DELETE", fault);
        assert_eq!(store.delete(&key).await, Ok(()), "{fault:?}");
        assert!(matches!(
            read(&store, &key, 6).await,
            Err(Error::NotFound(_))
        ));
        assert_eq!(server.pending(), 0);
    }
    assert!(server.bucket().objects.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_44_a_store_that_asks_for_a_pause_gets_it() {
    let server = Server::start();
    let store = impatient(server.settings());
    server.fault("PUT", Fault::RefuseFor(503, "SlowDown", 2));
    let begun = Instant::now();
    put(&store, b"later").await.1.expect("it is there");
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_may_take_longer_than_a_small_one() {
    let server = Server::start();
    let store = impatient(server.settings());
    let late = Fault::DelayAfter(Duration::from_millis(2000));
    server.fault("PUT", late);
    put(&store, &octets(2 << 20)).await.1.expect("it is there");
    assert_eq!(server.seen().len(), 1, "it was waited for");
    server.fault("PUT", late);
    put(&store, b"small").await.1.expect("it is there");
    assert_eq!(server.seen().len(), 2, "it was not waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_44_repetitions_end_at_the_deadline() {
    let server = Server::start();
    let store = impatient(server.settings());
    let (key, written) = put(&store, b"before").await;
    written.expect("it is there");
    for fault in [Fault::Refuse(503, "SlowDown"), Fault::Cut, Fault::Stall] {
        server.always(Some(fault));
        let begun = Instant::now();
        let until = || tokio::time::Instant::now() + Duration::from_secs(2);
        let source = body("never");
        let other = contract::key("INBOX", &source).await;
        let outcome = blob::until(until(), store.put(&other, source, &BlobMeta::default())).await;
        assert!(unavailable(&outcome), "{fault:?}: {outcome:?}");
        let outcome = blob::until(until(), read(&store, &key, 6)).await;
        assert!(unavailable(&outcome), "{fault:?}: {outcome:?}");
        let outcome = blob::until(until(), store.delete(&key)).await;
        assert!(unavailable(&outcome), "{fault:?}: {outcome:?}");
        assert!(begun.elapsed() < SLOW, "{fault:?}: {:?}", begun.elapsed());
    }
    server.always(None);
    assert_eq!(read(&store, &key, 6).await.as_deref(), Ok(&b"before"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_44_a_read_that_breaks_goes_on_where_it_was() {
    let server = Server::start();
    let store = impatient(server.settings());
    let all = octets(1_000_000);
    let (key, written) = put(&store, &all).await;
    written.expect("it is there");
    server.seen();
    for cut in [0, 1, 65_536, 999_999] {
        server.fault("GET", Fault::CutIn(cut));
        server.fault("GET", Fault::CutIn(100));
        assert!(
            read(&store, &key, all.len()).await.as_ref() == Ok(&all),
            "{cut}"
        );
        assert_eq!(server.pending(), 0, "{cut}");
    }
    server.fault("GET", Fault::CutIn(1000));
    let found = contract::read(&store, &key, 500_000..600_000).await;
    assert!(found.as_deref() == Ok(&all[500_000..600_000]));
    // Silence in the middle counts as a break.
    server.fault("GET", Fault::StallIn(1000));
    assert!(read(&store, &key, all.len()).await.as_ref() == Ok(&all));
    // A proxy that knows no ranges.
    server.fault("GET", Fault::WholeInstead);
    let found = contract::read(&store, &key, 500_000..600_000).await;
    assert!(found.as_deref() == Ok(&all[500_000..600_000]));
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_44_a_put_that_was_lost_is_noticed_when_read_back() {
    let server = Server::start();
    let settings = S3Settings {
        read_back: true,
        ..server.settings()
    };
    let careful = impatient(settings);
    server.fault("PUT", Fault::Lose);
    let (key, written) = put(&careful, b"lost at first").await;
    written.expect("it was put again");
    assert_eq!(
        read(&careful, &key, 13).await.as_deref(),
        Ok(&b"lost at first"[..])
    );
    // Lost again and again: no yes without the body.
    for _ in 0..3 {
        server.fault("PUT", Fault::Lose);
    }
    let (key, written) = put(&careful, b"always lost").await;
    assert!(unavailable(&written), "{written:?}");
    assert!(!server.bucket().objects.contains_key(key.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_44_octets_that_changed_on_the_way_are_noticed() {
    let server = Server::start();
    let store = impatient(server.settings());
    server.fault("PUT", Fault::Spoil);
    let (key, written) = put(&store, b"spoilt at first").await;
    // The signed checksum does not fit: refused by the store, or found by its ETag.
    written.expect("it was put again");
    assert_eq!(
        read(&store, &key, 15).await.as_deref(),
        Ok(&b"spoilt at first"[..])
    );
    for _ in 0..3 {
        server.fault("PUT", Fault::Spoil);
    }
    let (key, written) = put(&store, b"always spoilt").await;
    assert!(unavailable(&written), "{written:?}");
    assert!(
        !server.bucket().objects.contains_key(key.as_str()),
        "nothing is visible"
    );

    // What rots in the store is not handed out as mail.
    let (key, written) = put(&store, b"it rots").await;
    written.expect("it is there");
    let rotten = |object: &mut crate::server::Object| object.octets = b"it rot!".to_vec().into();
    server
        .bucket()
        .objects
        .get_mut(key.as_str())
        .map(rotten)
        .expect("it is there");
    assert!(matches!(
        read(&store, &key, 7).await,
        Err(Error::Corrupt(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_44_what_is_not_there_yet_is_waited_for_where_the_store_is_late() {
    let server = Server::start();
    let late = impatient(S3Settings {
        late: true,
        ..server.settings()
    });
    let (key, written) = put(&late, b"shown later").await;
    written.expect("it is there");
    for _ in 0..3 {
        server.fault("GET", Fault::Refuse(404, "NoSuchKey"));
    }
    assert_eq!(
        read(&late, &key, 11).await.as_deref(),
        Ok(&b"shown later"[..])
    );
    let prompt = impatient(server.settings());
    server.fault("GET", Fault::Refuse(404, "NoSuchKey"));
    assert!(matches!(
        read(&prompt, &key, 11).await,
        Err(Error::NotFound(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_denies_is_away_and_has_lost_nothing() {
    let server = Server::start();
    let store = impatient(server.settings());
    store.probe().await.expect("all is well");
    let (key, written) = put(&store, b"mine").await;
    written.expect("it is there");
    for fault in [
        Fault::Refuse(403, "AccessDenied"),
        Fault::Refuse(403, "InvalidAccessKeyId"),
        Fault::Refuse(403, "RequestTimeTooSkewed"),
        Fault::Refuse(404, "NoSuchBucket"),
        // A proxy that knows nothing of it.
        Fault::Refuse(404, ""),
        Fault::Refuse(301, "PermanentRedirect"),
    ] {
        server.always(Some(fault));
        let outcome = read(&store, &key, 4).await;
        assert!(unavailable(&outcome), "{fault:?}: {outcome:?}");
        let outcome = contract::read(&store, &key, 0..0).await;
        assert!(unavailable(&outcome), "{fault:?}: {outcome:?}");
        let outcome = store.delete(&key).await;
        assert!(unavailable(&outcome), "{fault:?}: {outcome:?}");
        assert!(unavailable(&put(&store, b"more").await.1), "{fault:?}");
        assert!(unavailable(&store.probe().await), "{fault:?}");
    }
    server.always(None);
    assert_eq!(read(&store, &key, 4).await.as_deref(), Ok(&b"mine"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_44_a_listing_that_breaks_is_no_end() {
    let server = Server::start();
    server.bucket().page = 10;
    let store = S3Store::open(&server.settings()).expect("good settings");
    for number in 0..25u8 {
        put(&store, &[number]).await.1.expect("it is there");
    }
    server.fault("GET", Fault::Cut);
    let list = async || -> Result<usize, Error> {
        let listed: Vec<_> = store.list("").await?.try_collect().await?;
        Ok(listed.len())
    };
    assert_eq!(list().await, Ok(25));
    server.fault("GET", Fault::CutIn(500));
    assert_eq!(list().await, Ok(25));
    // The second page cannot be had: what came of the first is not all.
    let mut listed = store.list("").await.expect("the first page");
    server.always(Some(Fault::Refuse(403, "AccessDenied")));
    let mut found = 0;
    let error = loop {
        match listed.try_next().await {
            Ok(Some(_)) => found += 1,
            Ok(None) => panic!("{found} were taken for all"),
            Err(error) => break error,
        }
    };
    assert!(found <= 10 && matches!(error, Error::Denied(_)), "{error}");
}
