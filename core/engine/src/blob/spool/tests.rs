//! The spool under plenty, want, and failing disks.

#![allow(clippy::unwrap_used)]

use std::{fs, process::Command};

use futures_util::{StreamExt, TryStreamExt};
use postrider_storage::blob::{BlobBody, BlobSource};

use super::*;
use crate::actor::Budget;

const LIMITED: &str = "POSTRIDER_TEST_LIMITED_SPOOL";
const PATIENCE: Duration = Duration::from_secs(5);

struct House {
    dir: tempfile::TempDir,
    spools: Spools,
    budget: Budget,
    taker: Taker,
}

async fn house(limit: ByteCount) -> House {
    let dir = tempfile::tempdir().unwrap();
    let service = ServiceRuntime::start(1, 4).unwrap();
    let spools = Spools::open(dir.path().join("spool"), service)
        .await
        .unwrap();
    let budget = Budget::new(limit);
    let taker = budget.taker(limit);
    House {
        dir,
        spools,
        budget,
        taker,
    }
}

impl House {
    fn files(&self) -> usize {
        fs::read_dir(self.spools.folder.path()).unwrap().count()
    }

    async fn receive(&self, octets: &[u8], piece: usize) -> Result<Spooled, SpoolError> {
        let mut spool = self.spools.begin(&self.taker, PATIENCE);
        for piece in octets.chunks(piece) {
            spool.append(piece).await;
        }
        assert!(spool.fault().is_some() || spool.octets() == octets.len() as u64);
        spool.finish().await
    }

    async fn whole(&self, spooled: &Spooled, prefix: &'static [u8]) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        let prefix = Bytes::from_static(prefix);
        spooled
            .scan(prefix, &self.taker, deadline, <[u8]>::to_vec)
            .await
            .unwrap()
    }
}

fn pattern(octets: usize) -> Vec<u8> {
    (0..octets).map(|at| (at * 31 + at / 251) as u8).collect()
}

async fn digest(source: BlobSource) -> BlobWritten {
    source.digest().await.unwrap()
}

#[actix_rt::test]
async fn what_comes_is_what_is_kept() {
    let house = house(ByteCount::mib(16)).await;
    let memory = MEMORY as usize;
    for (octets, in_file) in [
        (0, false),
        (1, false),
        (100_000, false),
        (memory, false),
        (memory + 1, true),
        (3 * memory, true),
        (3 * memory + 17, true),
    ] {
        for piece in [1 << 20, 65_537, 1000] {
            let expected = pattern(octets);
            let spooled = house.receive(&expected, piece).await.unwrap();
            assert_eq!(spooled.octets(), octets as u64);
            assert_eq!(
                matches!(spooled.body(), BlobBody::File { .. }),
                in_file,
                "{octets}"
            );
            assert_eq!(house.files(), usize::from(in_file));
            assert!(house.whole(&spooled, b"").await == expected);
            let prefixed = [&b"Received: x\r\n"[..], &expected].concat();
            assert!(house.whole(&spooled, b"Received: x\r\n").await == prefixed);
            assert_eq!(
                digest(spooled.source(Bytes::new())).await,
                spooled.written()
            );
            assert_eq!(spooled.head(10).await.unwrap(), expected[..octets.min(10)]);
            let chunks: Vec<Bytes> = spooled.chunks().try_collect().await.unwrap();
            assert!(chunks.concat() == expected);
            drop((spooled, chunks));
            assert_eq!(
                (house.files(), house.budget.in_flight()),
                (0, ByteCount::ZERO)
            );
        }
    }
}

#[actix_rt::test]
async fn memory_is_taken_as_octets_come_and_given_back() {
    let house = house(ByteCount::mib(1)).await;
    let mut spool = house.spools.begin(&house.taker, PATIENCE);
    assert_eq!(house.budget.in_flight(), ByteCount::ZERO);
    spool.append(b"x").await;
    assert_eq!(house.budget.in_flight(), ByteCount::bytes(FIRST));
    spool.append(&pattern(100_000)).await;
    assert_eq!(house.budget.in_flight(), ByteCount::kib(128));
    spool.append(&pattern(10 << 20)).await;
    assert_eq!(house.budget.in_flight(), ByteCount::kib(256));
    let spooled = spool.finish().await.unwrap();
    assert_eq!(
        house.budget.in_flight(),
        ByteCount::ZERO,
        "a file needs none"
    );
    drop(spooled);

    // In memory the octets keep their share, also without the value they came from.
    let spooled = house.receive(b"small", 5).await.unwrap();
    let body = spooled.body();
    drop(spooled);
    assert_eq!(house.budget.in_flight(), ByteCount::bytes(FIRST));
    drop(body);
    assert_eq!(house.budget.in_flight(), ByteCount::ZERO);
}

#[actix_rt::test]
async fn want_of_memory_begins_the_file_early() {
    let house = house(ByteCount::kib(40)).await;
    let expected = pattern(100_000);
    let spooled = house.receive(&expected, 4096).await.unwrap();
    assert!(matches!(spooled.body(), BlobBody::File { .. }));
    assert_eq!(
        digest(spooled.source(Bytes::new())).await.sha256,
        spooled.sha256()
    );
    // More than the budget can ever give.
    let deadline = Instant::now() + PATIENCE;
    let scan = spooled
        .scan(Bytes::new(), &house.taker, deadline, <[u8]>::len)
        .await;
    assert_eq!(scan, Err(SpoolError::Memory(BudgetError::TooLarge)));
    let length = spooled
        .chunks()
        .map(|chunk| chunk.unwrap().len())
        .collect::<Vec<_>>()
        .await;
    assert_eq!(length.iter().sum::<usize>(), 100_000);
}

#[actix_rt::test]
async fn without_memory_everything_is_still_taken() {
    let house = house(ByteCount::kib(20)).await;
    let held = house.receive(b"first", 5).await.unwrap();
    let mut spool = house.spools.begin(&house.taker, Duration::from_millis(20));
    spool.append(b"second").await;
    let held_part = Some(SpoolError::Memory(BudgetError::Held));
    let exhausted = Some(SpoolError::Memory(BudgetError::Exhausted));
    assert!(spool.fault() == held_part || spool.fault() == exhausted);
    spool.append(&pattern(1 << 20)).await;
    assert_eq!(spool.octets(), 0);
    assert!(matches!(spool.finish().await, Err(SpoolError::Memory(_))));
    drop(held);
    assert!(house.receive(b"third", 5).await.is_ok());
}

#[actix_rt::test]
async fn a_scan_waits_for_its_memory() {
    let house = house(ByteCount::mib(1)).await;
    let expected = pattern(900_000);
    let spooled = house.receive(&expected, 65_536).await.unwrap();
    let other = house.budget.taker(ByteCount::mib(1));
    let held = other.try_take(ByteCount::kib(512)).unwrap();
    let soon = Instant::now() + Duration::from_millis(20);
    let scan = spooled
        .scan(Bytes::new(), &house.taker, soon, <[u8]>::len)
        .await;
    assert_eq!(scan, Err(SpoolError::Memory(BudgetError::Exhausted)));
    let (scan, ()) = tokio::join!(house.whole(&spooled, b""), async {
        tokio::task::yield_now().await;
        drop(held);
    });
    assert!(scan == expected);
    assert_eq!(house.budget.in_flight(), ByteCount::ZERO);
}

#[actix_rt::test]
async fn a_disk_that_goes_is_a_fault_and_everything_is_taken() {
    let house = house(ByteCount::mib(1)).await;
    fs::remove_dir_all(house.spools.folder.path()).unwrap();
    assert!(house.receive(b"in memory", 5).await.is_ok());
    let fails = house.receive(&pattern(4 << 20), 65_536).await;
    assert!(matches!(fails, Err(SpoolError::Disk(_))), "{fails:?}");
    assert_eq!(house.budget.in_flight(), ByteCount::ZERO);

    // A file that somebody shortens.
    fs::create_dir(house.spools.folder.path()).unwrap();
    let spooled = house.receive(&pattern(400_000), 65_536).await.unwrap();
    let BlobBody::File { path, .. } = spooled.body() else {
        panic!("it is in a file");
    };
    fs::write(path, b"short").unwrap();
    let deadline = Instant::now() + PATIENCE;
    let scan = spooled
        .scan(Bytes::new(), &house.taker, deadline, <[u8]>::len)
        .await;
    assert!(matches!(scan, Err(SpoolError::Disk(_))), "{scan:?}");
    assert!(matches!(spooled.head(10).await, Err(SpoolError::Disk(_))));
}

#[actix_rt::test]
async fn an_append_that_is_given_up_leaves_nothing() {
    let house = house(ByteCount::mib(1)).await;
    let octets = pattern(4 << 20);
    let mut attempts = 0;
    let mut spool = loop {
        let mut spool = house.spools.begin(&house.taker, PATIENCE);
        // Polled until a thread writes, then dropped. On a busy machine the thread may be done before it is looked at.
        let given_up = {
            let mut append = std::pin::pin!(spool.append(&octets));
            futures_util::poll!(append.as_mut()).is_pending()
        };
        if given_up {
            break spool;
        }
        attempts += 1;
        assert!(attempts < 100, "no append is ever waited for");
    };
    assert_eq!(spool.fault(), Some(SpoolError::Interrupted));
    spool.append(b"more").await;
    assert_eq!(spool.finish().await.err(), Some(SpoolError::Interrupted));
    // The thread ends on its own.
    for _ in 0..500 {
        if house.files() == 0 && house.budget.in_flight() == ByteCount::ZERO {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!(
        "{} files, {} in memory",
        house.files(),
        house.budget.in_flight()
    );
}

#[actix_rt::test]
async fn the_folder_goes_with_its_process() {
    let house = house(ByteCount::mib(1)).await;
    let spooled = house.receive(&pattern(400_000), 65_536).await.unwrap();
    drop(spooled);
    let House { dir, spools, .. } = house;
    drop(spools);
    assert_eq!(fs::read_dir(dir.path().join("spool")).unwrap().count(), 0);
}

/// Not a test by itself: the other side of the next one.
#[actix_rt::test]
async fn limited_child() {
    if std::env::var_os(LIMITED).is_none() {
        return;
    }
    let house = house(ByteCount::mib(1)).await;
    let fails = house.receive(&pattern(4 << 20), 65_536).await;
    assert!(matches!(fails, Err(SpoolError::Disk(_))), "{fails:?}");
    assert_eq!(
        (house.files(), house.budget.in_flight()),
        (0, ByteCount::ZERO)
    );
    println!("limited as it should be");
}

#[test]
fn a_full_disk_is_a_fault() {
    // A limit on file sizes stands for a full disk: both end a write in the middle.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "blob::spool::tests::limited_child",
            "--nocapture",
        ])
        .env(LIMITED, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("limited as it should be"),
        "{text}"
    );
}
