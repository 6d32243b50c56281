//! Ends in the middle of it: a killed process, a disk that takes no more.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use super::*;

const CRASH_ROOT: &str = "POSTRIDER_TEST_CRASH_ROOT";
const LIMITED_ROOT: &str = "POSTRIDER_TEST_LIMITED_ROOT";

/// Not a test by itself: the other side of the crash test, run in a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn crash_child() {
    let Some(root) = std::env::var_os(CRASH_ROOT) else {
        return;
    };
    let store = FilesystemStore::open(root).await.unwrap();
    let writers = (0..4u8).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for size in (0..).map(|round: usize| round * 37_117 % 400_000) {
                let key = put(&store, &format!("Box/{writer}"), &vec![writer; size]).await;
                println!("acknowledged {key}");
            }
        })
    });
    futures_util::future::join_all(writers).await;
}

#[tokio::test]
async fn a_crash_leaves_whole_bodies_and_all_that_were_acknowledged() {
    let (dir, store) = store().await;
    for round in 0..6u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "blob::filesystem::tests::crash::crash_child",
                "--nocapture",
            ])
            .env(CRASH_ROOT, dir.path().join("mail"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_put = |line: &String| line.starts_with("acknowledged ");
        let first = lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| is_put(line));
        // Any moment will do; these are some.
        std::thread::sleep(Duration::from_millis(round * 13 + 1));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(!status.success());
        let rest = lines.map_while(Result::ok).filter(is_put);
        let whole = |line: &String| line.ends_with(":2,");
        let acknowledged: Vec<_> = first.into_iter().chain(rest).filter(whole).collect();
        assert!(!acknowledged.is_empty());
        for line in acknowledged {
            let key = BlobKey::parse(line.trim_start_matches("acknowledged ")).unwrap();
            let size = key.unique().unwrap().size();
            assert_eq!(
                contract::read(&store, &key, 0..size).await.unwrap().len() as u64,
                size
            );
        }
    }
    let found = all(&store).await;
    for (key, size) in &found {
        let octets = contract::read(&store, key, 0..*size).await.unwrap();
        let written = memory(&octets).digest().await.unwrap();
        assert!(key.unique().unwrap().fits(&written), "{key} is not whole");
    }
    assert!(found.len() >= 6);
}

/// Not a test by itself: the other side of the next one.
#[tokio::test]
async fn limited_child() {
    let Some(root) = std::env::var_os(LIMITED_ROOT) else {
        return;
    };
    let store = FilesystemStore::open(root).await.unwrap();
    let small = put(&store, "INBOX", &[1; 1000]).await;
    let (key, outcome) = try_put(&store, "INBOX", &vec![2; 1 << 20]).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    assert!(matches!(
        contract::read(&store, &key, 0..0).await,
        Err(Error::NotFound(_))
    ));
    assert_eq!(
        contract::read(&store, &small, 0..1000).await.unwrap(),
        [1; 1000]
    );
    let tmp = store.inner.root.join("contract.example/ada/Maildir/tmp");
    assert_eq!(
        fs::read_dir(tmp).unwrap().count(),
        0,
        "nothing is left over"
    );
    println!("limited as it should be");
}

#[tokio::test]
async fn a_disk_that_takes_no_more_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    // A limit on file sizes stands for a full disk: both end a write in the middle.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "blob::filesystem::tests::crash::limited_child",
            "--nocapture",
        ])
        .env(LIMITED_ROOT, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("limited as it should be"),
        "{text}"
    );
}
