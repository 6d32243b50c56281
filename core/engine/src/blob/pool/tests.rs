//! The pool before a store that is slow, full, broken or well.

#![allow(clippy::unwrap_used)]

use std::{future::poll_fn, task::Poll};

use bytes::Bytes;
use futures_util::{TryStreamExt, future};
use metrics_exporter_prometheus::PrometheusBuilder;
use postrider_storage::{
    blob::{BlobBody, Fault, MemoryStore, Operation, Unique},
    index::Timestamp,
};

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(60)
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn pool(store: &MemoryStore, limits: PoolLimits) -> BlobPool {
    let service = ServiceRuntime::start(2, 8).unwrap();
    BlobPool::new(Arc::new(store.clone()), service, limits)
}

fn few() -> PoolLimits {
    PoolLimits {
        writes: 2,
        reads: 1,
        octets: ByteCount::kib(10),
        stall: Duration::from_millis(100),
        ..PoolLimits::default()
    }
}

async fn source(octets: usize) -> (BlobKey, BlobSource) {
    let source = BlobSource {
        prefix: Bytes::new(),
        body: BlobBody::Memory(vec![b'x'; octets].into()),
    };
    let written = source.digest().await.unwrap();
    let unique = Unique::new("mx", Timestamp(0), &written).unwrap();
    let key = BlobKey::for_message("example.com", "ada", "INBOX", &unique).unwrap();
    (key, source)
}

async fn put(pool: &BlobPool, octets: usize, deadline: Instant) -> Result<BlobKey, Error> {
    let (key, source) = source(octets).await;
    pool.put(&key, source, &BlobMeta::default(), deadline)
        .await
        .map(|_| key)
}

async fn get(pool: &BlobPool, key: &BlobKey, octets: u64) -> Result<usize, Error> {
    let chunks: Vec<Bytes> = pool
        .get(key, 0..octets, later())
        .await?
        .try_collect()
        .await?;
    Ok(chunks.concat().len())
}

fn unavailable<T>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Unavailable(_)))
}

#[tokio::test]
async fn what_goes_through_is_what_the_store_says() {
    let store = MemoryStore::new();
    let pool = pool(&store, PoolLimits::default());
    let key = put(&pool, 300_000, later()).await.unwrap();
    assert_eq!(get(&pool, &key, 300_000).await, Ok(300_000));
    assert_eq!(pool.meta(&key, later()).await, Ok(BlobMeta::default()));
    let listed = pool.list("example.com/", later()).await.unwrap();
    assert_eq!(
        listed.try_collect::<Vec<_>>().await.unwrap(),
        [(key.clone(), 300_000)]
    );
    assert!(matches!(
        get(&pool, &key, 300_001).await,
        Err(Error::Corrupt(_))
    ));
    assert_eq!(pool.delete(&key, later()).await, Ok(()));
    assert_eq!(get(&pool, &key, 1).await, Err(Error::NotFound("body")));
    assert_eq!(pool.probe(later()).await, Ok(()));
    store.fault(Operation::Probe, Fault::Fail);
    assert!(unavailable(pool.probe(later()).await));
}

#[tokio::test]
async fn more_than_the_permits_wait_and_are_served() {
    let store = MemoryStore::new();
    let pool = pool(&store, few());
    store.fault(Operation::Put, Fault::Stall);
    store.fault(Operation::Put, Fault::Stall);
    let puts = tokio::spawn({
        let pool = pool.clone();
        async move { future::join_all((0..5).map(|_| put(&pool, 100, later()))).await }
    });
    store.stalled(2).await;
    // Both places are taken: a fifth of a second later nothing else has come through.
    assert!(unavailable(put(&pool, 100, soon()).await));
    assert!(unavailable(pool.delete(&source(1).await.0, soon()).await));
    assert!(store.is_empty());
    // Reads have their own.
    assert_eq!(pool.probe(later()).await, Ok(()));
    assert!(pool.list("", later()).await.is_ok());
    store.resume();
    assert!(puts.await.unwrap().iter().all(Result::is_ok));
    assert_eq!(store.len(), 5);
    assert_eq!(pool.0.permits.free().0, 2);
}

#[tokio::test]
async fn octets_are_limited_too() {
    let store = MemoryStore::new();
    let pool = pool(&store, few());
    store.fault(Operation::Put, Fault::Stall);
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { put(&pool, 6 * 1024, later()).await }
    });
    store.stalled(1).await;
    assert!(
        unavailable(put(&pool, 4 * 1024 + 1, soon()).await),
        "one octet too many"
    );
    assert!(put(&pool, 4 * 1024, later()).await.is_ok());
    store.resume();
    first.await.unwrap().unwrap();
    // Larger than all there is: alone, but not never.
    assert!(put(&pool, 100 * 1024, later()).await.is_ok());
    assert_eq!(pool.0.permits.free().2, 10);
}

#[tokio::test]
async fn a_deadline_does_not_end_what_has_begun_nor_free_its_permit() {
    let store = MemoryStore::new();
    let pool = pool(&store, few());
    store.fault(Operation::Put, Fault::Stall);
    assert!(unavailable(put(&pool, 100, soon()).await));
    assert_eq!(pool.0.permits.free().0, 1);
    // An asker who goes away changes nothing either.
    store.fault(Operation::Put, Fault::Stall);
    {
        let mut left = std::pin::pin!(put(&pool, 100, later()));
        let mut stalled = std::pin::pin!(store.stalled(2));
        poll_fn(|task| {
            assert!(left.as_mut().poll(task).is_pending());
            stalled.as_mut().poll(task)
        })
        .await;
    }
    store.resume();
    // Both are carried to their end.
    while store.len() < 2 || pool.0.permits.free().0 < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_slow_reader_hinders_nobody() {
    let store = MemoryStore::new();
    let pool = pool(&store, few());
    let key = put(&pool, 2 << 20, later()).await.unwrap();
    let mut reading = pool.get(&key, 0..2 << 20, later()).await.unwrap();
    assert!(reading.try_next().await.unwrap().is_some());
    // It takes nothing more for now; the only permit of reads is free again all the same.
    assert!(pool.meta(&key, later()).await.is_ok());
    assert_eq!(get(&pool, &key, 2 << 20).await, Ok(2 << 20));
    let mut rest = 0;
    while let Some(chunk) = reading.try_next().await.unwrap() {
        rest += chunk.len();
    }
    assert!(rest > (1 << 20), "what was slow is whole");
}

#[tokio::test]
async fn attack_44_a_store_that_fails_is_asked_for_less_and_soon_for_more_again() {
    let store = MemoryStore::new();
    let limits = PoolLimits {
        writes: 16,
        adaptive: true,
        ..PoolLimits::default()
    };
    let recorder = PrometheusBuilder::new().build_recorder();
    let pool = metrics::with_local_recorder(&recorder, || pool(&store, limits));
    let shown = |kind: &str, places: usize| {
        let line = format!("postrider_store_permits{{kind=\"{kind}\"}} {places}\n");
        let text = recorder.handle().render();
        assert!(text.contains(&line), "{line} not in\n{text}");
    };
    shown("write", 16);
    for _ in 0..10 {
        store.fault(Operation::Put, Fault::Fail);
        assert!(unavailable(put(&pool, 100, later()).await));
    }
    assert_eq!(pool.0.permits.free().0, 2);
    shown("write", 2);
    // Reads have places of their own, and say nothing of writes.
    shown("read", 256);
    for _ in 0..40 {
        let puts = future::join_all((0..16).map(|_| put(&pool, 100, later()))).await;
        assert!(puts.iter().all(Result::is_ok));
    }
    assert!(pool.0.permits.free().0 > 8, "{:?}", pool.0.permits.free());
    // What the index or a key is to blame for, the store is not.
    let (key, _) = source(3).await;
    for _ in 0..10 {
        assert_eq!(get(&pool, &key, 3).await, Err(Error::NotFound("body")));
    }
    shown("read", 256);
}

/// A store that repeats until nobody waits any longer.
#[derive(Debug)]
struct Patient;

impl Patient {
    async fn wait(&self) -> Error {
        let until = blob::deadline().expect("somebody said how long");
        tokio::time::sleep_until(until - Duration::from_millis(20)).await;
        Error::Unavailable("tried until the end".to_owned())
    }
}

#[async_trait::async_trait]
impl BlobStore for Patient {
    async fn put(&self, _: &BlobKey, _: BlobSource, _: &BlobMeta) -> Result<BlobWritten, Error> {
        Err(self.wait().await)
    }
    async fn get(&self, _: &BlobKey, _: Range<u64>) -> Result<BlobStream, Error> {
        Err(self.wait().await)
    }
    async fn delete(&self, _: &BlobKey) -> Result<(), Error> {
        Err(self.wait().await)
    }
    async fn meta(&self, _: &BlobKey) -> Result<BlobMeta, Error> {
        Err(self.wait().await)
    }
    async fn list(
        &self,
        _: &str,
    ) -> Result<BoxStream<'static, Result<(BlobKey, u64), Error>>, Error> {
        Err(self.wait().await)
    }
    async fn probe(&self) -> Result<(), Error> {
        Err(self.wait().await)
    }
}

#[tokio::test]
async fn a_store_knows_how_long_somebody_waits() {
    let service = ServiceRuntime::start(1, 1).unwrap();
    let pool = BlobPool::new(Arc::new(Patient), service, few());
    let (key, body) = source(10).await;
    let tried = |outcome: Result<(), Error>| {
        // That of the store or, on a busy machine, that of the deadline.
        assert!(unavailable(outcome));
    };
    let meta = BlobMeta::default();
    tried(pool.put(&key, body, &meta, soon()).await.map(drop));
    tried(pool.get(&key, 0..10, soon()).await.map(drop));
    let all = pool.get_all(vec![(key.clone(), 10)], soon()).await;
    tried(all.and_then(|mut all| all.remove(0)).map(drop));
    tried(pool.meta(&key, soon()).await.map(drop));
    tried(pool.list("", soon()).await.map(drop));
    tried(pool.delete(&key, soon()).await);
    tried(pool.probe(soon()).await);
    assert_eq!(blob::deadline(), None);
}

/// A store whose streams misbehave.
#[derive(Debug)]
enum Odd {
    Stalls,
    Panics,
    Short,
    Long,
}

#[async_trait::async_trait]
impl BlobStore for Odd {
    async fn put(&self, _: &BlobKey, _: BlobSource, _: &BlobMeta) -> Result<BlobWritten, Error> {
        panic!("a store that panics")
    }
    async fn get(&self, _: &BlobKey, _: Range<u64>) -> Result<BlobStream, Error> {
        let chunk = |octets| Ok(Bytes::from(vec![0; octets]));
        Ok(match self {
            Odd::Stalls => stream::iter([chunk(5)]).chain(stream::pending()).boxed(),
            Odd::Panics => stream::iter([chunk(5)])
                .chain(stream::poll_fn(|_| panic!("mid-way")))
                .boxed(),
            Odd::Short => stream::iter([chunk(5)]).boxed(),
            Odd::Long => stream::iter([chunk(5), chunk(6)]).boxed(),
        })
    }
    async fn delete(&self, _: &BlobKey) -> Result<(), Error> {
        future::pending().await
    }
    async fn meta(&self, _: &BlobKey) -> Result<BlobMeta, Error> {
        Err(Error::Invalid("odd"))
    }
    async fn list(
        &self,
        _: &str,
    ) -> Result<BoxStream<'static, Result<(BlobKey, u64), Error>>, Error> {
        Ok(stream::poll_fn(|_| -> Poll<Option<_>> { panic!("at once") }).boxed())
    }
    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[tokio::test]
async fn streams_that_misbehave_end_in_an_error() {
    let (key, body) = source(10).await;
    for (odd, corrupt) in [
        (Odd::Stalls, false),
        (Odd::Panics, false),
        (Odd::Short, true),
        (Odd::Long, true),
    ] {
        let name = format!("{odd:?}");
        let service = ServiceRuntime::start(1, 1).unwrap();
        let pool = BlobPool::new(Arc::new(odd), service, few());
        let end = get(&pool, &key, 10).await;
        assert_eq!(
            matches!(end, Err(Error::Corrupt(_))),
            corrupt,
            "{name}: {end:?}"
        );
        assert_eq!(unavailable(end), !corrupt, "{name}");
        // And the one permit for reads is back.
        let listed = pool.list("", later()).await.unwrap();
        assert!(unavailable(listed.try_collect::<Vec<_>>().await), "{name}");
        let put = pool
            .put(&key, body.clone(), &BlobMeta::default(), later())
            .await;
        assert!(unavailable(put), "{name}");
        assert_eq!(pool.meta(&key, later()).await, Err(Error::Invalid("odd")));
    }
}

/// A store whose puts block their thread: until it is told to go on, or for ever in a panic.
#[derive(Clone)]
struct Blocks(Arc<std::sync::Mutex<std::sync::mpsc::Receiver<()>>>);

impl BlockingPut for Blocks {
    fn put(&self, _: &BlobKey, body: &BlobSource, _: &BlobMeta) -> Result<BlobWritten, Error> {
        let told = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        told.recv().expect("a store that panics");
        Ok(BlobWritten {
            size: body.octets(),
            sha256: [0; 32],
        })
    }
}

#[async_trait::async_trait]
impl BlobStore for Blocks {
    async fn put(&self, _: &BlobKey, _: BlobSource, _: &BlobMeta) -> Result<BlobWritten, Error> {
        panic!("a thread is asked at once")
    }
    async fn get(&self, _: &BlobKey, _: Range<u64>) -> Result<BlobStream, Error> {
        Err(Error::Invalid("not here"))
    }
    async fn delete(&self, _: &BlobKey) -> Result<(), Error> {
        Ok(())
    }
    async fn meta(&self, _: &BlobKey) -> Result<BlobMeta, Error> {
        Err(Error::Invalid("not here"))
    }
    async fn list(
        &self,
        _: &str,
    ) -> Result<BoxStream<'static, Result<(BlobKey, u64), Error>>, Error> {
        Err(Error::Invalid("not here"))
    }
    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
    fn blocking(&self) -> Option<Arc<dyn BlockingPut>> {
        Some(Arc::new(self.clone()))
    }
}

#[tokio::test]
async fn a_put_that_blocks_keeps_its_permit_until_it_is_done() {
    let (tell, told) = std::sync::mpsc::channel();
    let store = Blocks(Arc::new(std::sync::Mutex::new(told)));
    let service = ServiceRuntime::start(1, 4).unwrap();
    let pool = BlobPool::new(Arc::new(store), service, few());
    // Nobody waits any more, and the store still works on it.
    assert!(unavailable(put(&pool, 100, soon()).await));
    assert_eq!(pool.0.permits.free().0, 1);
    tell.send(()).unwrap();
    while pool.0.permits.free().0 < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tell.send(()).unwrap();
    assert!(put(&pool, 100, later()).await.is_ok());
    // A panic is the store's, and gives the permit back.
    drop(tell);
    assert!(unavailable(put(&pool, 100, later()).await));
    assert_eq!(pool.0.permits.free().0, 2);
}

#[tokio::test]
async fn everything_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let store = MemoryStore::new();
    let pool = metrics::with_local_recorder(&recorder, || pool(&store, few()));
    let key = put(&pool, 100, later()).await.unwrap();
    assert_eq!(get(&pool, &key, 70).await, Ok(70));
    let missing = source(3).await.0;
    assert!(get(&pool, &missing, 3).await.is_err());
    store.fault(Operation::Put, Fault::Fail);
    assert!(put(&pool, 100, later()).await.is_err());
    store.fault(Operation::Delete, Fault::Stall);
    assert!(pool.delete(&key, soon()).await.is_err());
    let text = recorder.handle().render();
    for line in [
        "store_seconds_count{operation=\"put\"} 2",
        "store_seconds_count{operation=\"get\"} 2",
        "store_errors_total{operation=\"put\",reason=\"unavailable\"} 1",
        "store_errors_total{operation=\"get\",reason=\"not_found\"} 1",
        "store_errors_total{operation=\"get\",reason=\"corrupt\"} 0",
        "store_errors_total{operation=\"delete\",reason=\"deadline\"} 1",
        "store_bytes_total{operation=\"put\"} 100",
        "store_bytes_total{operation=\"get\"} 70",
        "store_permits_taken{kind=\"write\"} 1",
        "store_permits_taken{kind=\"read\"} 0",
        "store_waiting 0",
    ] {
        assert!(
            text.contains(&format!("postrider_{line}\n")),
            "{line} not in\n{text}"
        );
    }
}
