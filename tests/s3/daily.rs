//! The store while all is well: the suite of all stores, and what rights daily work needs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future;
use postrider_storage::Error;
use postrider_storage::blob::{BlobMeta, BlobStore, S3Settings, S3Store, contract};

use crate::server::{BUCKET, Server};
use crate::{body, octets, pass_the_contract, put, read};

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_contract() {
    let server = Server::start();
    server.bucket().page = 97;
    pass_the_contract(server.settings()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_contract_in_parts_and_reading_back() {
    let server = Server::start();
    pass_the_contract(S3Settings {
        multipart_from: 1 << 20,
        part: 5 << 20,
        read_back: true,
        late: true,
        ..server.settings()
    })
    .await;
    assert_eq!(server.bucket().unfinished(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_47_daily_work_reads_writes_and_deletes_and_nothing_else() {
    let server = Server::start();
    server.bucket().may_list = false;
    let store = S3Store::open(&S3Settings {
        multipart_from: 5 << 20,
        part: 5 << 20,
        ..server.settings()
    })
    .expect("good settings");
    store.greet(Duration::from_secs(10)).await.expect("it may");
    store.probe().await.expect("it may");
    let (small, large) = (octets(1000), octets(11 << 20));
    let (one, written) = put(&store, &small).await;
    written.expect("it may");
    let (other, written) = put(&store, &large).await;
    written.expect("it may, in parts");
    assert_eq!(read(&store, &one, 1000).await, Ok(small.clone()));
    assert!(read(&store, &other, 11 << 20).await == Ok(large));
    let part = contract::read(&store, &one, 5..9).await;
    assert_eq!(part, Ok(small[5..9].to_vec()));
    let all = store.get_all(vec![(one.clone(), 1000)]).await;
    assert_eq!(all.expect("it may")[0], Ok(small.into()));
    assert_eq!(store.delete(&one).await, Ok(()));
    assert_eq!(store.delete(&one).await, Ok(()));
    // Who may not list is told "denied" of what is missing: not to be taken for a store that is away.
    assert!(matches!(
        read(&store, &one, 1000).await,
        Err(Error::NotFound(_))
    ));

    let seen = server.seen();
    for line in &seen {
        let (method, rest) = line.split_once(' ').expect("a method");
        let (path, query) = rest.split_once('?').expect("a query, or none");
        assert!(path.len() > BUCKET.len() + 2, "not of an object: {line}");
        let good = match method {
            "GET" => query.is_empty(),
            "PUT" | "DELETE" => {
                query.is_empty() || query.contains("uploadId=") && !query.contains("versionId")
            }
            // Parts of PutObject.
            "POST" => query == "uploads=" || query.starts_with("uploadId="),
            _ => false,
        };
        assert!(good, "daily work asked for {line}");
    }
    assert!(seen.len() > 15, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_health_seldom_writes() {
    let server = Server::start();
    server.bucket().may_list = false;
    let store = S3Store::open(&server.settings()).expect("good settings");
    for _ in 0..5 {
        store.probe().await.expect("all is well");
    }
    let seen = server.seen();
    let puts = seen.iter().filter(|it| it.starts_with("PUT")).count();
    assert_eq!((puts, seen.len()), (1, 6), "{seen:?}");
    // Where versions are kept, each write would stay; a bucket that was emptied is noticed all the same.
    server.bucket().objects.clear();
    assert!(store.probe().await.is_err());

    // A store that was away when we came: what is missing is told from what is denied without anybody having asked for health.
    let late = S3Store::open(&server.settings()).expect("good settings");
    let (key, written) = put(&late, b"gone").await;
    written.expect("it is there");
    late.delete(&key).await.expect("it is there");
    assert!(matches!(
        read(&late, &key, 4).await,
        Err(Error::NotFound(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_37_keys_reach_the_bucket_as_they_are() {
    let server = Server::start();
    let store = S3Store::open(&server.settings()).expect("good settings");
    for mailbox in [
        "INBOX",
        "..",
        "%2e%2e",
        "a b+c",
        "\u{d55c}\u{ae00}/x",
        "~x#?*+:;\"<>|^`{}[]",
    ] {
        let source = body(mailbox.to_owned());
        let key = contract::key(mailbox, &source).await;
        let meta = BlobMeta {
            account: "\u{e9}@\u{d55c}.example".to_owned(),
            mailbox: mailbox.to_owned(),
            sender: "a b\r\nx-amz-acl: public-read".to_owned(),
            ..BlobMeta::default()
        };
        store.put(&key, source, &meta).await.expect("a good key");
        assert!(server.bucket().objects.contains_key(key.as_str()), "{key}");
        assert_eq!(store.meta(&key).await, Ok(meta));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_few_and_live_on_the_runtime_that_opened() {
    let server = Server::start();
    let store = S3Store::open(&server.settings()).expect("good settings");
    for _ in 0..20 {
        put(&store, b"one after the other")
            .await
            .1
            .expect("it is there");
    }
    let connections = server.connections();
    assert!(connections <= 2, "{connections} for one after the other");
    // Runtimes come and go, futures are dropped; the connections stay.
    for _ in 0..5 {
        let store = store.clone();
        let other = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let (key, written) = put(&store, b"from another runtime").await;
                written.expect("it is there");
                let first = read(&store, &key, 20);
                drop(tokio::time::timeout(Duration::from_micros(50), first).await);
                assert_eq!(
                    read(&store, &key, 20).await.as_deref(),
                    Ok(&b"from another runtime"[..])
                );
            });
        });
        other.join().expect("no panic");
    }
    let more = server.connections() - connections;
    assert!(more <= 6, "{more} more");
    let puts = future::join_all((0..100).map(|_| put(&store, b"at once"))).await;
    assert!(puts.iter().all(|(_, outcome)| outcome.is_ok()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_believed_and_no_other() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a key");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .expect("good versions")
    .with_no_client_auth()
    .with_single_cert(
        vec![made.cert.der().clone()],
        rustls::pki_types::PrivateKeyDer::Pkcs8(key.into()),
    )
    .expect("a good certificate");
    let server = Server::start_tls(Arc::new(config));
    let settings = |ca: Option<String>| S3Settings {
        ca: ca.map(String::into_bytes),
        ..server.settings()
    };
    let store = S3Store::open(&settings(Some(certificate))).expect("good settings");
    store
        .greet(Duration::from_secs(10))
        .await
        .expect("its own authority");
    let (key, written) = put(&store, b"over TLS").await;
    written.expect("it is there");
    assert_eq!(read(&store, &key, 8).await.as_deref(), Ok(&b"over TLS"[..]));

    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a key");
    for ca in [None, Some(other.cert.pem())] {
        let store = S3Store::open(&settings(ca)).expect("good settings");
        let begun = Instant::now();
        let refusal = store
            .greet(Duration::from_secs(1))
            .await
            .expect_err("a stranger");
        assert!(refusal.lasting, "{refusal:?}");
        assert!(
            refusal.error.to_string().contains("certificate"),
            "{refusal:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_says_no_for_good_is_told_from_one_that_is_away() {
    let server = Server::start();
    let with = |change: fn(&mut S3Settings)| {
        let mut settings = server.settings();
        change(&mut settings);
        S3Store::open(&settings).expect("good settings")
    };
    let patience = Duration::from_secs(2);
    for (store, said) in [
        (
            with(|it| it.secret_key = "wrong".to_owned()),
            "SignatureDoesNotMatch",
        ),
        (
            with(|it| it.access_key = "wrong".to_owned()),
            "InvalidAccessKeyId",
        ),
        (
            with(|it| it.region = "elsewhere".to_owned()),
            "AuthorizationHeaderMalformed",
        ),
        (with(|it| it.bucket = "nobucket".to_owned()), "NoSuchBucket"),
    ] {
        let refusal = store.greet(patience).await.expect_err("it is wrong");
        assert!(
            refusal.lasting && refusal.error.to_string().contains(said),
            "{refusal:?}"
        );
    }
    let away = with(|it| it.endpoint = "http://127.0.0.1:1".to_owned());
    let refusal = away.greet(patience).await.expect_err("nobody there");
    assert!(!refusal.lasting, "{refusal:?}");
}
