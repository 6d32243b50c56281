//! Uploads of several parts: whole or not at all, and nothing stays behind.

use std::io::Write;
use std::time::Duration;

use postrider_storage::blob::{
    BlobBody, BlobMeta, BlobSource, BlobStore, S3Settings, S3Store, contract,
};

use crate::server::{Fault, Server};
use crate::{body, octets, read, unavailable};

const SIZE: usize = 12 << 20;

fn store(server: &Server) -> S3Store {
    let settings = S3Settings {
        multipart_from: 5 << 20,
        part: 5 << 20,
        timeout: Duration::from_secs(10),
        ..server.settings()
    };
    S3Store::open(&settings).expect("good settings")
}

/// Waits until no upload is open.
async fn none_is_left(server: &Server) {
    for _ in 0..2000 {
        if server.bucket().unfinished() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} uploads stay unfinished", server.bucket().unfinished());
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_in_between_is_repeated() {
    let server = Server::start();
    let store = store(&server);
    let all = octets(SIZE);
    for (method, fault) in [
        ("POST", Fault::Cut),
        ("PUT", Fault::CutAfter),
        ("PUT", Fault::Refuse(503, "SlowDown")),
    ] {
        server.fault(method, fault);
        let source = body(all.clone());
        let key = contract::key("INBOX", &source).await;
        store
            .put(&key, source, &BlobMeta::default())
            .await
            .expect("it is there");
        assert!(
            read(&store, &key, SIZE).await.as_ref() == Ok(&all),
            "{fault:?}"
        );
        none_is_left(&server).await;
    }
    // It was completed, but the answer was lost: the second time there is no such upload.
    let source = body(all.clone());
    let key = contract::key("INBOX", &source).await;
    let putting = async {
        // The first POST begins the upload, the second completes it.
        server.fault("POST", Fault::Delay(Duration::ZERO));
        server.fault("POST", Fault::CutAfter);
        store.put(&key, source, &BlobMeta::default()).await
    };
    putting.await.expect("it is there");
    assert!(read(&store, &key, SIZE).await.as_ref() == Ok(&all));
    none_is_left(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_or_is_given_up_is_aborted() {
    let server = Server::start();
    let store = store(&server);
    let source = body(octets(SIZE));
    let key = contract::key("INBOX", &source).await;
    server.fault("PUT", Fault::Delay(Duration::ZERO));
    server.fault("PUT", Fault::Refuse(400, "InvalidRequest"));
    let outcome = store.put(&key, source.clone(), &BlobMeta::default()).await;
    assert!(unavailable(&outcome), "{outcome:?}");
    none_is_left(&server).await;
    assert!(server.bucket().objects.is_empty());

    server.seen();
    server.fault("PUT", Fault::Stall);
    let meta = BlobMeta::default();
    let put = store.put(&key, source, &meta);
    let given_up = async {
        while server.bucket().unfinished() == 0 || server.pending() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        outcome = put => panic!("it stalls: {outcome:?}"),
        () = given_up => {}
    }
    none_is_left(&server).await;
    assert!(server.bucket().objects.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_that_changes_or_goes_is_never_a_body() {
    let server = Server::start();
    let store = store(&server);
    for size in [1 << 20, SIZE] {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary folder");
        file.write_all(&octets(size)).expect("room");
        let source = BlobSource {
            prefix: b"Received: x\r\n"[..].into(),
            body: BlobBody::File {
                path: file.path().to_owned(),
                octets: size as u64,
            },
        };
        let key = contract::key("INBOX", &source).await;
        store
            .put(&key, source.clone(), &BlobMeta::default())
            .await
            .expect("it is there");
        store.delete(&key).await.expect("it is there");
        // Cut after it was hashed, while it is sent.
        server.fault("PUT", Fault::RefuseFor(503, "SlowDown", 3));
        let meta = BlobMeta::default();
        let put = store.put(&key, source, &meta);
        let cut = async {
            while server.pending() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            file.as_file().set_len(10).expect("a file");
        };
        let until = tokio::time::Instant::now() + Duration::from_secs(8);
        let (outcome, ()) = tokio::join!(postrider_storage::blob::until(until, put), cut);
        assert!(unavailable(&outcome), "{outcome:?}");
        assert!(server.bucket().objects.is_empty());
    }
    none_is_left(&server).await;
}
