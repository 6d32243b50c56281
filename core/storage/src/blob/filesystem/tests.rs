//! What only a file system can suffer: removed folders, links, strangers; crashes and full disks in [`crash`].

#![allow(clippy::unwrap_used)]

mod crash;

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

use futures_util::TryStreamExt;

use super::*;
use crate::blob::{BlobBody, contract};

async fn store() -> (tempfile::TempDir, FilesystemStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = FilesystemStore::open(dir.path().join("mail"))
        .await
        .unwrap();
    (dir, store)
}

fn memory(octets: &[u8]) -> BlobSource {
    contract::source(b"", BlobBody::Memory(Bytes::copy_from_slice(octets)))
}

async fn try_put(
    store: &FilesystemStore,
    mailbox: &str,
    octets: &[u8],
) -> (BlobKey, Result<BlobWritten, Error>) {
    let source = memory(octets);
    let key = contract::key(mailbox, &source).await;
    let outcome = store.put(&key, source, &BlobMeta::default()).await;
    (key, outcome)
}

async fn put(store: &FilesystemStore, mailbox: &str, octets: &[u8]) -> BlobKey {
    let (key, outcome) = try_put(store, mailbox, octets).await;
    outcome.unwrap();
    key
}

async fn all(store: &FilesystemStore) -> Vec<(BlobKey, u64)> {
    store.list("").await.unwrap().try_collect().await.unwrap()
}

#[tokio::test]
async fn passes_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract::all(async || {
        Arc::new(FilesystemStore::open(dir.path().join("a/b")).await.unwrap()) as Arc<dyn BlobStore>
    })
    .await;
}

#[tokio::test]
async fn lies_as_maildir_for_its_owner_alone() {
    let (_dir, store) = store().await;
    let key = put(&store, "Projects/2026", b"hello").await;
    let maildir = store.inner.root.join("contract.example/ada/Maildir");
    let path = store.inner.root.join(key.as_str());
    assert!(path.starts_with(maildir.join(".Projects.2026/cur")));
    assert_eq!(fs::read(&path).unwrap(), b"hello");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    for folder in [
        "",
        ".Projects.2026",
        ".Projects.2026/cur",
        ".Projects.2026/new",
        ".Projects.2026/tmp",
    ] {
        assert_eq!(mode(&maildir.join(folder)), 0o700, "{folder}");
    }
    assert_eq!(mode(&store.inner.root), 0o700);
    assert_eq!(
        fs::read_dir(maildir.join(".Projects.2026/tmp"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn the_internal_date_is_the_time_of_the_file() {
    let (_dir, store) = store().await;
    let source = memory(b"old");
    for date in [1_000_000_000_000_007, -86_400_000_000] {
        let key = contract::key("INBOX", &source).await;
        let meta = BlobMeta {
            internal_date: date,
            ..BlobMeta::default()
        };
        store.put(&key, source.clone(), &meta).await.unwrap();
        let seconds = fs::metadata(store.inner.root.join(key.as_str()))
            .unwrap()
            .mtime();
        assert_eq!(seconds, date.div_euclid(1_000_000));
    }
}

#[tokio::test]
async fn attributes_are_kept_where_there_are_any() {
    let (dir, store) = store().await;
    if xattr::set(dir.path(), "user.postrider.test", b"x").is_err() {
        return; // The contract has checked what comes from the key.
    }
    let source = memory(b"noted");
    let key = contract::key("INBOX", &source).await;
    let meta = BlobMeta {
        account: "ada@contract.example".to_owned(),
        mailbox: "An/Other".to_owned(),
        internal_date: -5,
        sender: "\u{e9}@example.com".to_owned(),
        recipient: "ada@contract.example".to_owned(),
    };
    store.put(&key, source, &meta).await.unwrap();
    assert_eq!(store.meta(&key).await.unwrap(), meta);
    // More than any file system takes: the mail counts, not its notes.
    let source = memory(b"noted");
    let key = contract::key("INBOX", &source).await;
    let meta = BlobMeta {
        sender: "x".repeat(1 << 20),
        ..meta
    };
    store.put(&key, source, &meta).await.unwrap();
    assert_eq!(store.meta(&key).await.unwrap().sender, "");
}

#[tokio::test]
async fn attributes_of_earlier_versions_are_read() {
    let (dir, store) = store().await;
    if xattr::set(dir.path(), "user.postrider.test", b"x").is_err() {
        return;
    }
    let key = put(&store, "INBOX", b"old").await;
    let path = store.inner.root.join(key.as_str());
    for (name, value) in [
        ("account", "ada@elsewhere.example"),
        ("mailbox", "An/Other"),
        ("date", "17"),
        ("sender", "bob@example.com"),
        ("recipient", "ada+x@contract.example"),
    ] {
        xattr::set(&path, format!("user.postrider.{name}"), value.as_bytes()).unwrap();
    }
    let expected = BlobMeta {
        account: "ada@elsewhere.example".to_owned(),
        mailbox: "An/Other".to_owned(),
        internal_date: 17,
        sender: "bob@example.com".to_owned(),
        recipient: "ada+x@contract.example".to_owned(),
    };
    assert_eq!(store.meta(&key).await.unwrap(), expected);
}

#[tokio::test]
async fn a_removed_folder_comes_back() {
    let (_dir, store) = store().await;
    put(&store, "INBOX", b"one").await;
    let domain = store.inner.root.join("contract.example");
    for gone in ["", "ada", "ada/Maildir/cur", "ada/Maildir/tmp"] {
        fs::remove_dir_all(domain.join(gone)).unwrap();
        let key = put(&store, "INBOX", b"again").await;
        assert_eq!(contract::read(&store, &key, 0..5).await.unwrap(), b"again");
    }
    // Removed while deliveries run: each ends as done or as unavailable, never as half a body.
    let remover = tokio::task::spawn_blocking(move || {
        for _ in 0..50 {
            let _ = fs::remove_dir_all(&domain);
            std::thread::yield_now();
        }
    });
    for _ in 0..50 {
        match try_put(&store, "INBOX", b"racing").await.1 {
            Ok(_) | Err(Error::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    remover.await.unwrap();
    put(&store, "INBOX", b"calm").await;
    assert!(
        all(&store)
            .await
            .iter()
            .all(|(key, size)| key.unique().unwrap().size() == *size)
    );
}

#[tokio::test]
async fn what_is_in_the_way_makes_it_unavailable() {
    let (_dir, store) = store().await;
    fs::write(store.inner.root.join("contract.example"), b"a file").unwrap();
    let (key, outcome) = try_put(&store, "INBOX", b"x").await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    let read = contract::read(&store, &key, 0..1).await;
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    assert!(store.delete(&key).await.is_err());

    let file = store.inner.root.join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(
        FilesystemStore::open(file.join("below")).await,
        Err(Error::Unavailable(_))
    ));
    assert!(matches!(
        FilesystemStore::open("/proc/nothing/here").await,
        Err(Error::Unavailable(_))
    ));
}

#[tokio::test]
async fn a_root_that_went_is_not_lost_mail() {
    let (dir, store) = store().await;
    let key = put(&store, "INBOX", b"x").await;
    store.probe().await.unwrap();
    fs::rename(dir.path().join("mail"), dir.path().join("away")).unwrap();
    assert!(matches!(
        contract::read(&store, &key, 0..1).await,
        Err(Error::Unavailable(_))
    ));
    assert!(matches!(
        store.delete(&key).await,
        Err(Error::Unavailable(_))
    ));
    assert!(matches!(store.probe().await, Err(Error::Unavailable(_))));
    assert!(matches!(
        try_put(&store, "INBOX", b"y").await.1,
        Err(Error::Unavailable(_))
    ));
    assert!(
        !dir.path().join("mail").exists(),
        "the root is not made again"
    );
    fs::rename(dir.path().join("away"), dir.path().join("mail")).unwrap();
    assert_eq!(contract::read(&store, &key, 0..1).await.unwrap(), b"x");
}

#[tokio::test]
async fn a_read_only_root_is_unavailable() {
    let (_dir, store) = store().await;
    let read_only = fs::Permissions::from_mode(0o500);
    fs::set_permissions(&store.inner.root, read_only).unwrap();
    if fs::write(store.inner.root.join("x"), b"").is_ok() {
        return; // The superuser writes everywhere.
    }
    assert!(matches!(
        try_put(&store, "INBOX", b"x").await.1,
        Err(Error::Unavailable(_))
    ));
    assert!(matches!(store.probe().await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn attack_37_links_lead_nowhere() {
    let (dir, store) = store().await;
    let secret = dir.path().join("secret");
    fs::create_dir_all(secret.join("cur")).unwrap();
    fs::write(secret.join("cur/x"), b"secret").unwrap();
    put(&store, "INBOX", b"x").await;
    let maildir = store.inner.root.join("contract.example/ada/Maildir");
    symlink(secret.join("cur/x"), maildir.join("cur/x")).unwrap();
    symlink(&secret, maildir.join(".Link")).unwrap();
    for key in ["cur/x", ".Link/cur/x"] {
        let key = BlobKey::parse(&format!("contract.example/ada/Maildir/{key}")).unwrap();
        let read = contract::read(&store, &key, 0..6).await;
        assert!(
            matches!(read, Err(Error::Unavailable(_))),
            "{key}: {read:?}"
        );
    }
    assert!(matches!(
        try_put(&store, "Link", b"x").await.1,
        Err(Error::Unavailable(_))
    ));
    let key = BlobKey::parse("contract.example/ada/Maildir/.Link/cur/x").unwrap();
    assert!(store.delete(&key).await.is_err());
    assert!(secret.join("cur/x").exists());
    assert_eq!(all(&store).await.len(), 1, "and a listing passes them over");
    // A fifo does not hold a thread for ever.
    let fifo = Command::new("mkfifo")
        .arg(maildir.join("cur/fifo"))
        .status();
    if fifo.is_ok_and(|status| status.success()) {
        let key = BlobKey::parse("contract.example/ada/Maildir/cur/fifo").unwrap();
        assert!(matches!(
            contract::read(&store, &key, 0..1).await,
            Err(Error::Corrupt(_))
        ));
    }
}

#[tokio::test]
async fn a_short_file_is_corrupt() {
    let (_dir, store) = store().await;
    let octets = vec![7; 1 << 20];
    let key = put(&store, "INBOX", &octets).await;
    let path = store.inner.root.join(key.as_str());
    let mut reading = store.get(&key, 0..1 << 20).await.unwrap();
    assert!(reading.try_next().await.unwrap().is_some());
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1000)
        .unwrap();
    let end = reading.try_collect::<Vec<_>>().await;
    assert!(matches!(end, Err(Error::Corrupt(_))), "{end:?}");
    let read = contract::read(&store, &key, 0..1 << 20).await;
    assert!(matches!(read, Err(Error::Corrupt(_))));
}

#[tokio::test]
async fn the_sweep_takes_what_is_old_and_temporary() {
    let (_dir, store) = store().await;
    let key = put(&store, "INBOX", b"x").await;
    put(&store, "Sub", b"x").await;
    let maildir = store.inner.root.join("contract.example/ada/Maildir");
    let left = [
        maildir.join("tmp/left"),
        maildir.join(".Sub/tmp/left"),
        store.inner.root.join(".probe-left"),
    ];
    for path in &left {
        fs::write(path, b"left over").unwrap();
        // An old message being delivered bears an old date.
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let kept = Duration::from_secs(7 * 86_400);
    assert_eq!(store.sweep(kept).await.unwrap(), 0);
    let later = |age| walk::sweep(&store.inner.root, SystemTime::now() + age, kept).unwrap();
    assert_eq!(later(kept - Duration::from_secs(60)), 0);
    assert_eq!(later(kept + Duration::from_secs(60)), 3);
    assert!(left.iter().all(|path| !path.exists()));
    assert_eq!(contract::read(&store, &key, 0..1).await.unwrap(), b"x");
    assert!(maildir.join(".Sub/maildirfolder").exists());
}

#[tokio::test]
async fn strangers_are_not_listed() {
    let (_dir, store) = store().await;
    let key = put(&store, "INBOX", b"x").await;
    let maildir = store.inner.root.join("contract.example/ada/Maildir");
    for stranger in [
        "cur/.hidden",
        "cur/with space",
        "tmp/x",
        "new/x",
        "dovecot-uidlist",
        "../x",
    ] {
        fs::write(maildir.join(stranger), b"stranger").unwrap();
    }
    fs::create_dir_all(maildir.join("cur/deep/cur/deeper")).unwrap();
    assert_eq!(all(&store).await, [(key, 1)]);
}

#[tokio::test]
async fn many_at_once_are_only_bodies_in_real_folders() {
    let (dir, store) = store().await;
    let (inbox, other) = (
        put(&store, "INBOX", b"one").await,
        put(&store, "Other", b"other").await,
    );
    let away = [(inbox.clone(), 3), (other.clone(), 5), (inbox.clone(), 3)];
    let read = store.get_all(away.to_vec()).await.unwrap();
    assert_eq!(
        read,
        [b"one", &b"other"[..], b"one"].map(|it| Ok(Bytes::from_static(it)))
    );

    let path = |key: &BlobKey| {
        let (folder, name) = key.place();
        dir.path().join("mail").join(folder).join("cur").join(name)
    };
    let elsewhere = dir.path().join("elsewhere");
    std::fs::rename(path(&inbox), &elsewhere).unwrap();
    symlink(&elsewhere, path(&inbox)).unwrap();
    std::fs::remove_file(path(&other)).unwrap();
    std::fs::create_dir(path(&other)).unwrap();
    let read = store.get_all(away.to_vec()).await.unwrap();
    assert!(
        matches!(read[0], Err(Error::Unavailable(_))),
        "a link: {read:?}"
    );
    assert!(
        matches!(read[1], Err(Error::Corrupt(_))),
        "a folder: {read:?}"
    );
    let empty = store.get_all(vec![(other.clone(), 0)]).await.unwrap();
    assert!(matches!(empty[0], Err(Error::Corrupt(_))), "{empty:?}");

    std::fs::remove_dir_all(path(&other).parent().unwrap()).unwrap();
    let read = store.get_all(vec![(other, 5)]).await.unwrap();
    assert_eq!(read, [Err(Error::NotFound("body"))]);
}
