//! A real store, where `tests/run` has started one: `S3_TEST_ENDPOINT` and what belongs to it say where.

use std::time::Duration;

use postrider_storage::Error;
use postrider_storage::blob::{BlobStore, S3Settings, S3Store, contract};

use crate::house::{ADA, Running, message};
use crate::server::encode;
use crate::signed::ask;
use crate::{octets, pass_the_contract, put, read};

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; tests/run sets it"))
}

/// How to reach the bucket; `whose` keys: "" for its owner's, "LIMITED_" for those of somebody with fewer rights.
fn settings(whose: &str) -> S3Settings {
    let key = |name: &str| variable(&format!("S3_TEST_{whose}{name}"));
    let ca = std::fs::read(variable("S3_TEST_CA")).expect("a file");
    S3Settings {
        ca: Some(ca),
        multipart_from: 6 << 20,
        part: 5 << 20,
        timeout: Duration::from_secs(60),
        ..S3Settings::new(
            &variable("S3_TEST_ENDPOINT"),
            &variable("S3_TEST_BUCKET"),
            &key("ACCESS_KEY"),
            &key("SECRET_KEY"),
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real store, which tests/run starts"]
async fn real_store_passes_the_contract() {
    pass_the_contract(settings("")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real store, which tests/run starts"]
async fn attack_47_real_store_needs_to_grant_no_more_than_get_put_and_delete() {
    let store = S3Store::open(&settings("LIMITED_")).expect("good settings");
    store.greet(Duration::from_secs(60)).await.expect("it may");
    store.probe().await.expect("it may");
    let listed = store.list("").await.map(drop);
    let denied = |why: &String| why.contains("s3:ListBucket");
    assert!(
        matches!(&listed, Err(Error::Denied(why)) if denied(why)),
        "the rights are as few as they should be, and fsck can say so: {listed:?}"
    );
    for size in [1000, 11 << 20] {
        let all = octets(size);
        let (key, written) = put(&store, &all).await;
        written.expect("it may");
        assert!(read(&store, &key, size).await.as_ref() == Ok(&all));
        let part = contract::read(&store, &key, 10..20).await;
        assert_eq!(part.as_deref(), Ok(&all[10..20]));
        assert_eq!(store.delete(&key).await, Ok(()));
        assert!(matches!(
            read(&store, &key, size).await,
            Err(Error::NotFound(_))
        ));
        assert_eq!(store.delete(&key).await, Ok(()));
    }
}

/// The version ids of an object and its marks of deletion, by the owner's listing.
async fn versions(owner: &S3Settings, key: &str) -> Vec<String> {
    let query = format!("prefix={}&versions=", encode(key, false));
    let (status, body) = ask(owner, "GET", "", &query, "").await;
    assert_eq!(status, 200, "{body}");
    let ids = body.split("<VersionId>").skip(1);
    ids.filter_map(|it| Some(it.split_once('<')?.0.to_owned()))
        .collect()
}

/// The keys that a server has, in the hands of somebody who wants to destroy: nothing they may do takes a body away for good.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real store, which tests/run starts"]
async fn attack_47_a_stolen_key_cannot_delete_versions() {
    let (owner, stolen) = (settings(""), settings("LIMITED_"));
    let store = S3Store::open(&stolen).expect("good settings");
    let all = octets(2000);
    let (key, written) = put(&store, &all).await;
    written.expect("it may");
    let first = versions(&owner, key.as_str()).await;
    assert_eq!(first.len(), 1, "the bucket keeps versions: {first:?}");

    // What it may: hide the body, and put another in its place.
    let (status, body) = ask(&stolen, "DELETE", key.as_str(), "", "").await;
    assert_eq!(status, 204, "{body}");
    let (status, body) = ask(&stolen, "PUT", key.as_str(), "", "spoiled").await;
    assert_eq!(status, 200, "{body}");
    let before = versions(&owner, key.as_str()).await;
    assert_eq!(
        before.len(),
        3,
        "the body, the mark of its deletion, what was put over it: {before:?}"
    );
    assert!(before.contains(&first[0]), "{before:?}");

    // What it may not: every way to have fewer versions.
    for id in &before {
        let query = format!("versionId={}", encode(id, false));
        let (status, body) = ask(&stolen, "DELETE", key.as_str(), &query, "").await;
        assert_eq!(status, 403, "version {id}: {body}");
    }
    let suspended = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Suspended</Status></VersioningConfiguration>";
    let expire = "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ID>all</ID><Prefix></Prefix><Status>Enabled</Status>\
        <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>";
    for (method, query, body) in [
        ("PUT", "versioning=", suspended),
        ("PUT", "lifecycle=", expire),
        (
            "PUT",
            "policy=",
            "{\"Version\": \"2012-10-17\", \"Statement\": []}",
        ),
        ("DELETE", "policy=", ""),
        ("DELETE", "", ""),
        ("GET", "versions=", ""),
    ] {
        let (status, said) = ask(&stolen, method, "", query, body).await;
        assert_eq!(status, 403, "{method} {query}: {said}");
    }
    assert_eq!(versions(&owner, key.as_str()).await, before);

    // And the owner has the body as it was.
    let query = format!("versionId={}", encode(&first[0], false));
    let (status, body) = ask(&owner, "GET", key.as_str(), &query, "").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body, String::from_utf8_lossy(&all));
}

#[test]
#[ignore = "needs a real store, which tests/run starts"]
fn real_store_serves_the_whole_server() {
    let of = settings("LIMITED_");
    let lines = format!(
        "[store]\nkind = \"s3\"\nendpoint = \"{}\"\nbucket = \"{}\"\npath_style = true\naccess_key = \"{}\"\nsecret_key = \"{}\"\nca_file = \"{}\"\n",
        of.endpoint,
        of.bucket,
        of.access_key,
        of.secret_key,
        variable("S3_TEST_CA"),
    );
    let running = Running::start(&lines);
    let mut smtp = running.smtp();
    for size in [100, 5_000_000, 20_000_000] {
        let reply = smtp.send(ADA, &message("to a real store", size));
        assert!(reply.starts_with("250"), "{reply}\n{}", running.house.log());
    }
    let mut imap = running.imap();
    imap.ok("SELECT INBOX");
    assert!(imap.ok("UID FETCH 1:* (BODY.PEEK[])") > 25_000_000);
    imap.ok("UID FETCH 3 (BODY.PEEK[]<19000000.1000>)");
    assert!(running.health("/health/ready").contains("200"));
}
