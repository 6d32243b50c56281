//! What every [`BlobStore`] must do, as a suite that each implementation runs in its own tests.
//!
//! A failed check panics and names itself.

#![allow(clippy::missing_panics_doc)]

mod material;
mod ranges;

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future};

use self::material::{Random, SpoolFile, pattern};
use super::{BlobBody, BlobKey, BlobMeta, BlobSource, BlobStore, BlobWritten, CHUNK, Unique};
use crate::{Error, index::Timestamp};

const DATE: i64 = 1_000_000_000_000_001;
const NOW: i64 = 1_700_000_000_000_002;
const DOMAIN: &str = "contract.example";
const BIG: usize = 8 << 20;

/// Runs the whole suite on the store that `open` opens; each call opens the same store again.
pub async fn all<F>(open: F)
where
    F: AsyncFn() -> Arc<dyn BlobStore>,
{
    let store = open().await;
    let store = store.as_ref();
    store.probe().await.expect("a fresh store answers a probe");
    what_is_put_comes_back(store).await;
    odd_names_keep_apart(store).await;
    big_bodies_of_both_sources(store).await;
    ranges::ranges(store).await;
    many_at_once(store).await;
    ranges::random_ranges(store).await;
    wrong_octets_leave_nothing(store).await;
    missing_bodies(store).await;
    deleting_twice(store).await;
    puts_at_once(store).await;
    listing(store).await;
    open_anew(&open).await;
}

/// A source of these octets.
pub fn source(prefix: &[u8], body: BlobBody) -> BlobSource {
    BlobSource {
        prefix: Bytes::copy_from_slice(prefix),
        body,
    }
}

/// A key for a source, in a mailbox of the suite's account.
pub async fn key(mailbox: &str, source: &BlobSource) -> BlobKey {
    let written = source.digest().await.expect("the source can be read");
    key_for("ada", mailbox, &written)
}

/// All octets of a range; chunks are checked on the way.
///
/// # Errors
/// Those of [`BlobStore::get`].
pub async fn read(
    store: &dyn BlobStore,
    key: &BlobKey,
    range: Range<u64>,
) -> Result<Vec<u8>, Error> {
    let mut chunks = store.get(key, range).await?;
    let mut octets = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        assert!(
            !chunk.is_empty() && chunk.len() <= CHUNK,
            "a chunk of {}",
            chunk.len()
        );
        octets.extend_from_slice(&chunk);
    }
    Ok(octets)
}

fn key_for(user: &str, mailbox: &str, written: &BlobWritten) -> BlobKey {
    let unique = Unique::new("mx.contract.example", Timestamp(NOW), written)
        .expect("the system has random octets");
    BlobKey::for_message(DOMAIN, user, mailbox, &unique).expect("the names are good")
}

fn meta(mailbox: &str) -> BlobMeta {
    BlobMeta {
        account: format!("ada@{DOMAIN}"),
        mailbox: mailbox.to_owned(),
        internal_date: DATE,
        sender: "bob@elsewhere.example".to_owned(),
        recipient: format!("ada+tag@{DOMAIN}"),
    }
}

fn memory(octets: impl Into<Bytes>) -> BlobSource {
    source(b"", BlobBody::Memory(octets.into()))
}

async fn put(store: &dyn BlobStore, mailbox: &str, source: BlobSource) -> BlobKey {
    let expected = source.digest().await.expect("the source can be read");
    let key = key_for("ada", mailbox, &expected);
    let written = store.put(&key, source, &meta(mailbox)).await;
    assert_eq!(written, Ok(expected), "what was written is what was hashed");
    key
}

async fn whole(store: &dyn BlobStore, key: &BlobKey, size: usize) -> Vec<u8> {
    read(store, key, 0..size as u64)
        .await
        .expect("the body is there")
}

async fn what_is_put_comes_back(store: &dyn BlobStore) {
    for octets in [
        &b""[..],
        b"x",
        b"Subject: hi\r\n\r\nbody\r\n",
        b"\0\xff\r\n.\r\n\x1a",
    ] {
        let key = put(store, "INBOX", memory(octets.to_vec())).await;
        assert_eq!(whole(store, &key, octets.len()).await, octets);
        assert_eq!(
            store.meta(&key).await.as_ref().map(|it| &it.account),
            Ok(&meta("INBOX").account)
        );
    }
    let key = put(store, "INBOX", memory("x")).await;
    let found = store.meta(&key).await.expect("the body is there");
    let (sender, recipient) = (found.sender.clone(), found.recipient.clone());
    assert!(sender.is_empty() || sender == meta("INBOX").sender);
    assert!(recipient.is_empty() || recipient == meta("INBOX").recipient);
    let expected = BlobMeta {
        sender,
        recipient,
        ..meta("INBOX")
    };
    assert_eq!(
        found, expected,
        "account, mailbox and date survive everywhere"
    );

    // A key with a name that another program gave: nothing to compare the octets with.
    let foreign = format!("{DOMAIN}/ada/Maildir/cur/1.M2P3.host,S=3:2,");
    let key = BlobKey::parse(&foreign).expect("a Maildir name");
    store
        .put(&key, memory("foreign"), &meta("INBOX"))
        .await
        .expect("it is written");
    assert_eq!(whole(store, &key, 7).await, b"foreign");
}

async fn odd_names_keep_apart(store: &dyn BlobStore) {
    let long = "\u{d55c}".repeat(166);
    let longer = format!("{long}x");
    let mailboxes = [
        "INBOX",
        "a.b",
        "a/b",
        "a&AC4-b",
        "..",
        "e\u{301}",
        "\u{e9}",
        "%2e%2e",
        " ",
        "cur",
        "tmp",
        "new",
        "a\\b",
        "\u{1f600}/\u{ac00}",
        "~x#?*+:;\"<>|^`{}[]",
        &long,
        &longer,
    ];
    let mut keys = Vec::new();
    for mailbox in mailboxes {
        keys.push((
            mailbox,
            put(store, mailbox, memory(mailbox.to_owned())).await,
        ));
    }
    for (mailbox, key) in &keys {
        assert_eq!(
            whole(store, key, mailbox.len()).await,
            mailbox.as_bytes(),
            "{key}"
        );
    }
    for user in [
        "..", "A", "a", "\u{e9}", "a/b", "a%2fb", "cur", "new", "\0", "-rf", " ",
    ] {
        let source = memory(user.to_owned());
        let written = source.digest().await.expect("in memory");
        let key = key_for(user, "INBOX", &written);
        store
            .put(&key, source, &meta("INBOX"))
            .await
            .expect("every name is good");
        assert_eq!(
            whole(store, &key, user.len()).await,
            user.as_bytes(),
            "{key}"
        );
    }
}

async fn big_bodies_of_both_sources(store: &dyn BlobStore) {
    let octets = pattern(BIG, 1);
    let prefix = b"Delivered-To: ada@contract.example\r\n";
    let with_prefix = [&prefix[..], &octets].concat();

    let key = put(
        store,
        "INBOX",
        source(prefix, BlobBody::Memory(octets.clone().into())),
    )
    .await;
    assert!(
        whole(store, &key, with_prefix.len()).await == with_prefix,
        "memory with prefix"
    );

    let spool = SpoolFile::new(&octets);
    let key = put(store, "INBOX", source(prefix, spool.body(BIG))).await;
    assert!(
        whole(store, &key, with_prefix.len()).await == with_prefix,
        "file with prefix"
    );
    let key = put(store, "INBOX", source(b"", spool.body(BIG))).await;
    assert!(whole(store, &key, BIG).await == octets, "file");
    let left = std::fs::read(&spool.0).expect("the spool file is still there");
    assert!(left == octets, "the spool belongs to who made it");

    // Only the octets that were announced count.
    let key = put(store, "INBOX", source(b"", spool.body(10))).await;
    assert_eq!(whole(store, &key, 10).await, octets[..10]);
    assert!(matches!(
        read(store, &key, 0..11).await,
        Err(Error::Corrupt(_))
    ));
}

async fn many_at_once(store: &dyn BlobStore) {
    let bodies = [0, 1, 5000, CHUNK, 3 * CHUNK + 5].map(|size| pattern(size, 7));
    let mut wanted = Vec::new();
    for body in &bodies {
        let key = put(store, "INBOX", memory(body.clone())).await;
        wanted.push((key, body.len() as u64));
    }
    let gone = put(store, "INBOX", memory(pattern(9, 8))).await;
    store.delete(&gone).await.expect("it is there");
    wanted.insert(2, (gone, 9));
    wanted.push((wanted[0].0.clone(), 1));
    let read = store.get_all(wanted).await.expect("the store is there");
    assert_eq!(read.len(), 7);
    assert_eq!(read[2], Err(Error::NotFound("body")));
    assert!(matches!(read[6], Err(Error::Corrupt(_))), "beyond its end");
    let found: Vec<_> = read.into_iter().flatten().collect();
    assert_eq!(found, bodies, "in the order they were asked for");
    assert_eq!(store.get_all(Vec::new()).await, Ok(Vec::new()));
}

async fn wrong_octets_leave_nothing(store: &dyn BlobStore) {
    let right = memory("right");
    for wrong in ["wrong", "righ", "right!", ""] {
        let key = key("INBOX", &right).await;
        let outcome = store.put(&key, memory(wrong), &meta("INBOX")).await;
        assert!(
            matches!(outcome, Err(Error::Corrupt(_))),
            "{wrong:?}: {outcome:?}"
        );
        assert!(
            matches!(read(store, &key, 0..0).await, Err(Error::NotFound(_))),
            "{wrong:?}"
        );
    }
    // A body under its key survives a wrong one.
    let key = put(store, "INBOX", right).await;
    assert!(
        store
            .put(&key, memory("wrong"), &meta("INBOX"))
            .await
            .is_err()
    );
    assert_eq!(whole(store, &key, 5).await, b"right");

    let spool = SpoolFile::new(b"short");
    let short = source(b"", spool.body(6));
    let outcome = store.put(&key, short.clone(), &meta("INBOX")).await;
    assert!(matches!(outcome, Err(Error::Corrupt(_))), "{outcome:?}");
    assert!(matches!(short.digest().await, Err(Error::Corrupt(_))));
    drop(spool);
    let outcome = store.put(&key, short, &meta("INBOX")).await;
    assert!(
        matches!(outcome, Err(Error::Unavailable(_))),
        "no spool: {outcome:?}"
    );
    assert_eq!(whole(store, &key, 5).await, b"right");
}

async fn missing_bodies(store: &dyn BlobStore) {
    for mailbox in ["INBOX", "Never/Made"] {
        let key = key(mailbox, &memory("missing")).await;
        assert!(matches!(
            read(store, &key, 0..7).await,
            Err(Error::NotFound(_))
        ));
        assert!(matches!(
            read(store, &key, 0..0).await,
            Err(Error::NotFound(_))
        ));
        assert!(matches!(store.meta(&key).await, Err(Error::NotFound(_))));
        assert_eq!(store.delete(&key).await, Ok(()));
    }
}

async fn deleting_twice(store: &dyn BlobStore) {
    let (gone, stays) = (
        put(store, "INBOX", memory("gone")).await,
        put(store, "INBOX", memory("stays")).await,
    );
    assert_eq!(store.delete(&gone).await, Ok(()));
    assert!(matches!(
        read(store, &gone, 0..4).await,
        Err(Error::NotFound(_))
    ));
    assert_eq!(store.delete(&gone).await, Ok(()));
    assert_eq!(whole(store, &stays, 5).await, b"stays");
    // The same put again, as after an unknown outcome.
    store
        .put(&gone, memory("gone"), &meta("INBOX"))
        .await
        .expect("a put after a delete");
    assert_eq!(whole(store, &gone, 4).await, b"gone");
}

async fn puts_at_once(store: &dyn BlobStore) {
    let octets = pattern(100_000, 4);
    let same = memory(octets.clone());
    let key = key("At/Once", &same).await;
    let about = meta("At/Once");
    let puts = (0..16).map(|_| store.put(&key, same.clone(), &about));
    for outcome in future::join_all(puts).await {
        assert_eq!(
            outcome.map(|it| it.size),
            Ok(100_000),
            "the same octets under the same key"
        );
    }
    assert!(whole(store, &key, octets.len()).await == octets);

    let puts = (0..32u8).map(|number| put(store, "At/Once/Too", memory(vec![number; 3])));
    for (number, key) in future::join_all(puts).await.iter().enumerate() {
        assert_eq!(whole(store, key, 3).await, [number as u8; 3]);
    }
}

async fn listing(store: &dyn BlobStore) {
    let written = memory("listed").digest().await.expect("in memory");
    let mut expected = Vec::new();
    for (user, mailbox) in [
        ("lister", "INBOX"),
        ("lister", "Sub"),
        ("lister", "Sub/Sub"),
        ("lister2", "INBOX"),
    ] {
        for _ in 0..150 {
            let key = key_for(user, mailbox, &written);
            store
                .put(&key, memory("listed"), &meta(mailbox))
                .await
                .expect("it is written");
            expected.push((key, 6));
        }
    }
    let deleted = expected.pop().expect("600 of them");
    store.delete(&deleted.0).await.expect("it is deleted");
    let list = async |prefix: String| {
        let found: Vec<_> = store
            .list(&prefix)
            .await
            .expect("a listing")
            .try_collect()
            .await
            .expect("all of it");
        let mut found: Vec<(BlobKey, u64)> = found;
        found.sort();
        found
    };
    let mut begins = vec![
        format!("{DOMAIN}/lister"),
        format!("{DOMAIN}/lister/"),
        format!("{DOMAIN}/lister/Maildir/.Sub"),
        format!("{DOMAIN}/lister/Maildir/.Sub/"),
        format!("{DOMAIN}/nobody"),
        expected[0].0.as_str().to_owned(),
    ];
    begins.push(BlobKey::prefix(DOMAIN, "lister").expect("a good name"));
    for prefix in begins {
        let mut wanted: Vec<_> = expected
            .iter()
            .filter(|(key, _)| key.as_str().starts_with(&prefix))
            .cloned()
            .collect();
        wanted.sort();
        assert!(list(prefix.clone()).await == wanted, "{prefix}");
    }
    let everything = list(String::new()).await;
    assert!(
        expected
            .iter()
            .all(|it| everything.binary_search(it).is_ok())
    );
    // Given up early.
    let mut some = store.list("").await.expect("a listing");
    assert!(matches!(some.next().await, Some(Ok(_))));
}

async fn open_anew<F>(open: &F)
where
    F: AsyncFn() -> Arc<dyn BlobStore>,
{
    let key = put(open().await.as_ref(), "Lasting", memory("lasting")).await;
    let store = open().await;
    assert_eq!(whole(store.as_ref(), &key, 7).await, b"lasting");
    assert_eq!(store.delete(&key).await, Ok(()));
    let store = open().await;
    assert!(matches!(
        read(store.as_ref(), &key, 0..7).await,
        Err(Error::NotFound(_))
    ));
    store
        .probe()
        .await
        .expect("the store still answers a probe");
}
