//! A real store, where `tests/run` has started one: `S3_TEST_ENDPOINT` and what belongs to it say where.

use std::time::Duration;

use postrider_storage::Error;
use postrider_storage::blob::{BlobStore, S3Settings, S3Store, contract};

use crate::house::{ADA, Running, message};
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
    assert!(
        store.list("").await.is_err(),
        "the rights are as few as they should be"
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
