//! A store in memory that can be told to fail: for tests, and for tests of other crates.
//!
//! **Invariants.** Clones share their bodies, so that a clone is the same store opened again.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use tokio::sync::watch;

use super::{BlobKey, BlobMeta, BlobSource, BlobStore, BlobStream, BlobWritten, CHUNK};
use crate::Error;

/// What a [`Fault`] hits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operation {
    /// [`BlobStore::put`]
    Put,
    /// [`BlobStore::get`]
    Get,
    /// [`BlobStore::delete`]
    Delete,
    /// [`BlobStore::meta`]
    Meta,
    /// [`BlobStore::list`]
    List,
    /// [`BlobStore::probe`]
    Probe,
}

/// What goes wrong with one operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Nothing is done, and never will be with these credentials.
    Deny,
    /// It fails and nothing was done.
    Fail,
    /// It is done, but the answer is a failure: the unknown outcome of a lost connection.
    FailAfter,
    /// It waits until [`MemoryStore::resume`], then goes on.
    Stall,
    /// A put that keeps other octets than it confirms, a get that hands out other octets than lie there.
    Corrupt,
}

/// A [`BlobStore`] in memory.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bodies: Mutex<BTreeMap<BlobKey, Body>>,
    faults: Mutex<VecDeque<(Operation, Fault)>>,
    /// How often the stalled were let go.
    resumed: watch::Sender<u64>,
    stalled: watch::Sender<usize>,
}

#[derive(Clone, Debug)]
struct Body {
    octets: Bytes,
    meta: BlobMeta,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                bodies: Mutex::default(),
                faults: Mutex::default(),
                resumed: watch::Sender::new(0),
                stalled: watch::Sender::new(0),
            }),
        }
    }

    /// The next operation of this kind without a fault yet suffers this one. Faults of one kind come in the order they were given.
    pub fn fault(&self, operation: Operation, fault: Fault) {
        lock(&self.inner.faults).push_back((operation, fault));
    }

    /// Lets all stalled operations go on.
    pub fn resume(&self) {
        self.inner.resumed.send_modify(|times| *times += 1);
    }

    /// Waits until this many operations are stalled.
    pub async fn stalled(&self, operations: usize) {
        let mut stalled = self.inner.stalled.subscribe();
        let reached = stalled.wait_for(|now| *now >= operations).await;
        reached.expect("the sender lives in self");
    }

    /// Puts other octets in the place of a body's, as a failing disk does. False if there is no such body.
    pub fn corrupt(&self, key: &BlobKey) -> bool {
        match lock(&self.inner.bodies).get_mut(key) {
            Some(body) => {
                body.octets = damaged(&body.octets);
                true
            }
            None => false,
        }
    }

    /// Loses a body, as a store does that confirmed too early. False if there is no such body.
    pub fn lose(&self, key: &BlobKey) -> bool {
        lock(&self.inner.bodies).remove(key).is_some()
    }

    /// The octets of a body.
    pub fn body(&self, key: &BlobKey) -> Option<Bytes> {
        lock(&self.inner.bodies)
            .get(key)
            .map(|body| body.octets.clone())
    }

    /// Names of all bodies, sorted.
    pub fn keys(&self) -> Vec<BlobKey> {
        lock(&self.inner.bodies).keys().cloned().collect()
    }

    /// Bodies in the store.
    pub fn len(&self) -> usize {
        lock(&self.inner.bodies).len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next fault for an operation and suffers what comes before its work.
    async fn before(&self, operation: Operation) -> Result<Option<Fault>, Error> {
        let fault = {
            let mut faults = lock(&self.inner.faults);
            let position = faults.iter().position(|(it, _)| *it == operation);
            position.and_then(|position| faults.remove(position))
        };
        match fault.map(|(_, fault)| fault) {
            Some(Fault::Fail) => Err(injected()),
            Some(Fault::Deny) => Err(Error::Denied("a test does not allow it".to_owned())),
            Some(Fault::Stall) => {
                let mut resumed = self.inner.resumed.subscribe();
                let before = *resumed.borrow_and_update();
                let _counted = Counted::new(&self.inner.stalled);
                let go = resumed.wait_for(|times| *times > before).await;
                go.expect("the sender lives in self");
                Ok(None)
            }
            other => Ok(other),
        }
    }
}

#[async_trait::async_trait]
impl BlobStore for MemoryStore {
    async fn put(
        &self,
        key: &BlobKey,
        source: BlobSource,
        meta: &BlobMeta,
    ) -> Result<BlobWritten, Error> {
        let fault = self.before(Operation::Put).await?;
        let (written, octets) = super::blocking(move || {
            let mut octets = Vec::new();
            let written = source.copy_to(&mut octets).map_err(|it| it.into_error())?;
            Ok((written, octets))
        })
        .await?;
        if !key.fits(&written) {
            return Err(Error::Corrupt(format!(
                "octets that do not fit their key {key}"
            )));
        }
        let mut octets = Bytes::from(octets);
        if fault == Some(Fault::Corrupt) {
            octets = damaged(&octets);
        }
        let body = Body {
            octets,
            meta: meta.clone(),
        };
        lock(&self.inner.bodies).insert(key.clone(), body);
        after(fault)?;
        Ok(written)
    }

    async fn get(&self, key: &BlobKey, range: Range<u64>) -> Result<BlobStream, Error> {
        let fault = self.before(Operation::Get).await?;
        let mut octets = self.body(key).ok_or(Error::NotFound("body"))?;
        if fault == Some(Fault::Corrupt) {
            octets = damaged(&octets);
        }
        after(fault)?;
        let bounds = usize::try_from(range.start)
            .ok()
            .zip(usize::try_from(range.end).ok())
            .filter(|(start, end)| start <= end && *end <= octets.len());
        let Some((start, end)) = bounds else {
            return Err(super::beyond_end(key, &range, octets.len() as u64));
        };
        let octets = octets.slice(start..end);
        let chunks = (0..octets.len())
            .step_by(CHUNK)
            .map(move |at| Ok(octets.slice(at..octets.len().min(at + CHUNK))));
        Ok(stream::iter(chunks).boxed())
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), Error> {
        let fault = self.before(Operation::Delete).await?;
        lock(&self.inner.bodies).remove(key);
        after(fault)
    }

    async fn meta(&self, key: &BlobKey) -> Result<BlobMeta, Error> {
        let fault = self.before(Operation::Meta).await?;
        after(fault)?;
        let bodies = lock(&self.inner.bodies);
        let body = bodies.get(key).ok_or(Error::NotFound("body"))?;
        Ok(body.meta.clone())
    }

    async fn list(
        &self,
        prefix: &str,
    ) -> Result<BoxStream<'static, Result<(BlobKey, u64), Error>>, Error> {
        let fault = self.before(Operation::List).await?;
        let bodies = lock(&self.inner.bodies);
        let mut found: Vec<_> = bodies
            .iter()
            .filter(|(key, _)| key.as_str().starts_with(prefix))
            .map(|(key, body)| Ok((key.clone(), body.octets.len() as u64)))
            .collect();
        // A listing that breaks off.
        if fault == Some(Fault::FailAfter) {
            found.push(Err(injected()));
        }
        Ok(stream::iter(found).boxed())
    }

    async fn probe(&self) -> Result<(), Error> {
        let fault = self.before(Operation::Probe).await?;
        after(fault)
    }
}

fn after(fault: Option<Fault>) -> Result<(), Error> {
    match fault {
        Some(Fault::FailAfter) => Err(injected()),
        _ => Ok(()),
    }
}

fn injected() -> Error {
    Error::Unavailable("a fault that a test asked for".to_owned())
}

/// Other octets of the same length; none become one.
fn damaged(octets: &[u8]) -> Bytes {
    let mut other = octets.to_vec();
    match other.last_mut() {
        Some(last) => *last ^= 1,
        None => other.push(0),
    }
    other.into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One stalled operation, also when it is given up.
struct Counted<'a>(&'a watch::Sender<usize>);

impl<'a> Counted<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|now| *now += 1);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|now| *now -= 1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::blob::{BlobBody, contract};

    #[tokio::test]
    async fn passes_the_contract() {
        let store = MemoryStore::new();
        contract::all(async || Arc::new(store.clone()) as Arc<dyn BlobStore>).await;
    }

    async fn put(
        store: &MemoryStore,
        octets: &'static [u8],
    ) -> (BlobKey, Result<BlobWritten, Error>) {
        let source = contract::source(b"", BlobBody::Memory(Bytes::from_static(octets)));
        let key = contract::key("INBOX", &source).await;
        let outcome = store.put(&key, source, &BlobMeta::default()).await;
        (key, outcome)
    }

    #[tokio::test]
    async fn faults_hit_once_and_in_order() {
        let store = MemoryStore::new();
        store.fault(Operation::Put, Fault::Fail);
        store.fault(Operation::Put, Fault::FailAfter);
        let (key, outcome) = put(&store, b"one").await;
        assert!(matches!(outcome, Err(Error::Unavailable(_))));
        assert_eq!(store.body(&key), None);
        let (key, outcome) = put(&store, b"two").await;
        assert!(matches!(outcome, Err(Error::Unavailable(_))));
        assert_eq!(store.body(&key).unwrap(), "two");
        assert!(put(&store, b"three").await.1.is_ok());

        store.fault(Operation::Get, Fault::Corrupt);
        assert_ne!(contract::read(&store, &key, 0..3).await.unwrap(), b"two");
        assert_eq!(contract::read(&store, &key, 0..3).await.unwrap(), b"two");
        assert!(store.corrupt(&key));
        assert_ne!(contract::read(&store, &key, 0..3).await.unwrap(), b"two");
        assert!(store.lose(&key) && !store.lose(&key) && !store.corrupt(&key));
    }

    #[tokio::test]
    async fn what_stalls_goes_on_when_told() {
        let store = MemoryStore::new();
        store.fault(Operation::Put, Fault::Stall);
        let stalled = tokio::spawn({
            let store = store.clone();
            async move { put(&store, b"late").await }
        });
        store.stalled(1).await;
        assert!(store.is_empty());
        assert!(put(&store, b"not stalled").await.1.is_ok());
        store.resume();
        assert!(stalled.await.unwrap().1.is_ok());
        assert_eq!(store.len(), 2);
    }
}
