//! The cache before a store that counts, with a disk that is wiped, changed or full.

#![allow(clippy::unwrap_used)]

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::*;
use crate::blob::{BlobBody, Fault, MemoryStore, Operation, contract};

const ROOM: u64 = 16 << 20;

struct House {
    store: MemoryStore,
    cached: CachedStore<MemoryStore>,
    folder: TempDir,
}

impl House {
    async fn new(room: u64) -> Self {
        let store = MemoryStore::new();
        let folder = tempfile::tempdir().unwrap();
        let cached = CachedStore::open(store.clone(), folder.path(), room).await;
        Self {
            store,
            cached,
            folder,
        }
    }

    async fn put(&self, octets: Vec<u8>) -> BlobKey {
        let source = contract::source(b"", BlobBody::Memory(octets.into()));
        let key = contract::key("INBOX", &source).await;
        let meta = BlobMeta::default();
        self.cached.put(&key, source, &meta).await.unwrap();
        key
    }

    async fn read(&self, key: &BlobKey, range: Range<u64>) -> Vec<u8> {
        contract::read(&self.cached, key, range).await.unwrap()
    }

    /// Waits until this many files lie in the cache.
    async fn settle(&self, files: usize) {
        for _ in 0..2000 {
            if self.files().len() == files {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} files, not {files}", self.files().len());
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in fs::read_dir(self.folder.path()).unwrap().flatten() {
            if folder.file_name() != "new" {
                let files = fs::read_dir(folder.path()).unwrap().flatten();
                found.extend(files.map(|it| it.path()));
            }
        }
        found
    }

    /// Without a store, only the cache can answer.
    fn without_store(&self, key: &BlobKey) {
        assert!(self.store.lose(key));
    }
}

fn octets(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 31 % 251) as u8).collect()
}

#[tokio::test]
async fn passes_the_contract() {
    let store = MemoryStore::new();
    let folder = tempfile::tempdir().unwrap();
    contract::all(async || {
        Arc::new(CachedStore::open(store.clone(), folder.path(), ROOM).await) as Arc<dyn BlobStore>
    })
    .await;
}

#[tokio::test]
async fn what_was_read_is_read_here() {
    let house = House::new(ROOM).await;
    for size in [1, 1000, SMALL as usize, SMALL as usize + 1, 1_500_000] {
        let body = octets(size);
        let key = house.put(body.clone()).await;
        let before = house.files().len();
        assert!(house.read(&key, 0..size as u64).await == body);
        house.settle(before + 1).await;
        house.without_store(&key);
        assert!(house.read(&key, 0..size as u64).await == body);
        let (a, b) = (size / 3, size - size / 4);
        assert!(house.read(&key, a as u64..b as u64).await == body[a..b]);
        assert!(house.read(&key, a as u64..a as u64).await.is_empty());
        let read = house
            .cached
            .get_all(vec![(key, size as u64)])
            .await
            .unwrap();
        assert!(read[0].as_ref().unwrap() == &body[..]);
    }
}

#[tokio::test]
async fn a_part_of_a_small_body_brings_all_of_it() {
    let house = House::new(ROOM).await;
    let (small, large) = (octets(1000), octets(600_000));
    let (one, other) = (
        house.put(small.clone()).await,
        house.put(large.clone()).await,
    );
    assert_eq!(house.read(&one, 10..20).await, small[10..20]);
    assert_eq!(house.read(&other, 10..20).await, large[10..20]);
    house.settle(1).await;
    house.without_store(&one);
    assert_eq!(house.read(&one, 500..600).await, small[500..600]);
}

#[tokio::test]
async fn attack_48_wiped_changed_or_cut_files_are_not_noticed() {
    let house = House::new(ROOM).await;
    let body = octets(700_000);
    let key = house.put(body.clone()).await;
    type Harm = fn(&PathBuf);
    let harms: [Harm; 5] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, b"short").unwrap(),
        |path| {
            let mut all = fs::read(path).unwrap();
            all[600_000] ^= 1;
            fs::write(path, all).unwrap();
        },
        |path| {
            let mut all = fs::read(path).unwrap();
            *all.last_mut().unwrap() ^= 1;
            fs::write(path, all).unwrap();
        },
        |path| {
            let size = fs::metadata(path).unwrap().len();
            fs::write(path, vec![0; size as usize]).unwrap();
        },
    ];
    for harm in harms {
        assert!(house.read(&key, 0..700_000).await == body);
        house.settle(1).await;
        harm(&house.files()[0]);
        assert!(house.read(&key, 0..700_000).await == body);
    }
    assert!(house.read(&key, 0..700_000).await == body);
    house.settle(1).await;
    fs::remove_dir_all(house.folder.path()).unwrap();
    assert!(house.read(&key, 5..600_000).await == body[5..600_000]);
    fs::create_dir(house.folder.path()).unwrap();
}

#[tokio::test]
async fn attack_48_a_disk_that_takes_nothing_is_not_noticed() {
    let house = House::new(ROOM).await;
    // A file where the folder was: everything written fails.
    fs::remove_dir_all(house.folder.path()).unwrap();
    fs::write(house.folder.path(), b"").unwrap();
    for size in [1000, 700_000] {
        let body = octets(size);
        let key = house.put(body.clone()).await;
        for _ in 0..3 {
            assert!(house.read(&key, 0..size as u64).await == body);
        }
    }
    assert_eq!(house.cached.octets(), 0);
    fs::remove_file(house.folder.path()).unwrap();
    fs::create_dir(house.folder.path()).unwrap();
    // Nor is one that never was there.
    let nowhere = CachedStore::open(house.store.clone(), "/proc/nowhere".as_ref(), ROOM).await;
    let key = house.put(octets(10)).await;
    let read = contract::read(&nowhere, &key, 0..10).await;
    assert_eq!(read.unwrap(), octets(10));
}

#[tokio::test]
async fn the_room_holds_and_the_longest_unused_goes() {
    let house = House::new(1 << 20).await;
    let size = 100_000;
    let first = house.put(octets(size)).await;
    house.read(&first, 0..size as u64).await;
    house.settle(1).await;
    let mut keys = Vec::new();
    for _ in 0..20 {
        let key = house.put(octets(size)).await;
        house.read(&key, 0..size as u64).await;
        // In use, so it stays.
        house.read(&first, 0..10).await;
        keys.push(key);
        let files = (keys.len() + 1).min((1 << 20) / (size + 16));
        house.settle(files).await;
        assert!(house.cached.octets() <= 1 << 20);
    }
    house.without_store(&first);
    assert_eq!(house.read(&first, 0..10).await, octets(size)[..10]);
    house.without_store(&keys[0]);
    assert!(
        contract::read(&house.cached, &keys[0], 0..10)
            .await
            .is_err()
    );
    // One that is too large for the room is not kept, nor are the others thrown out for it.
    let large = house.put(octets(400_000)).await;
    let files = house.files().len();
    house.read(&large, 0..400_000).await;
    house.read(&large, 0..400_000).await;
    assert_eq!(house.files().len(), files);
}

#[tokio::test]
async fn another_process_finds_what_was_left() {
    let house = House::new(ROOM).await;
    let key = house.put(octets(1000)).await;
    house.read(&key, 0..1000).await;
    house.settle(1).await;
    fs::write(house.folder.path().join("new/1-1"), b"unfinished").unwrap();
    fs::write(house.folder.path().join("note"), b"not ours").unwrap();
    let again = CachedStore::open(house.store.clone(), house.folder.path(), ROOM).await;
    assert_eq!(again.octets(), house.cached.octets());
    assert!(!house.folder.path().join("new/1-1").exists());
    assert!(house.folder.path().join("note").exists());
    house.without_store(&key);
    let read = contract::read(&again, &key, 0..1000).await;
    assert_eq!(read.unwrap(), octets(1000));
    // Less room than before.
    let smaller = CachedStore::open(house.store.clone(), house.folder.path(), 100).await;
    assert_eq!(smaller.octets(), 0);
}

#[tokio::test]
async fn what_is_deleted_goes_here_too_and_faults_of_the_store_are_its_own() {
    let house = House::new(ROOM).await;
    let key = house.put(octets(1000)).await;
    house.read(&key, 0..1000).await;
    house.settle(1).await;
    house.cached.delete(&key).await.unwrap();
    house.settle(0).await;
    assert!(matches!(
        contract::read(&house.cached, &key, 0..1000).await,
        Err(Error::NotFound(_))
    ));
    let key = house.put(octets(1000)).await;
    house.store.fault(Operation::Get, Fault::Fail);
    assert!(matches!(
        contract::read(&house.cached, &key, 0..1000).await,
        Err(Error::Unavailable(_))
    ));
    assert_eq!(house.read(&key, 0..1000).await, octets(1000));
}

/// Whoever deletes a body that is on its way into the cache does not find it there afterwards.
#[tokio::test]
async fn what_is_deleted_on_its_way_does_not_arrive() {
    let house = House::new(ROOM).await;
    for round in 0..100 {
        let key = house.put(format!("body {round}").into_bytes()).await;
        house.read(&key, 0..known(&key).unwrap()).await;
        assert_eq!(house.cached.delete(&key).await, Ok(()));
    }
    let (coming, key) = {
        let key = house.put(b"late".to_vec()).await;
        (house.cached.shelf.expect(&key), key)
    };
    let mut writing = house.cached.shelf.write(&key, 4).unwrap();
    writing.push(b"late");
    assert_eq!(house.cached.delete(&key).await, Ok(()));
    house.cached.shelf.finish(&coming, writing);
    drop(coming);
    // Those of the rounds may still be on their way, and none of them stays.
    while house.cached.octets() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    house.settle(0).await;
}
