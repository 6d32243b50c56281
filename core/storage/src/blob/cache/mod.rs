//! Bodies that were read, kept on the local disk in front of a store that is farther away.
//!
//! **Invariants.** What lies here is never needed and never trusted: every piece is held against its checksum before it is handed out, and
//! whatever is wrong with it (gone, short, changed, no room on the disk) is as if it were not here. Nobody who reads notices.
//! **Bounds.** So many octets, those read longest ago go first. A piece of [`file::PIECE`] in memory for each reader.
//! **On failure.** A file that is wrong is removed; a disk that takes nothing is left alone for a while.

mod file;
mod shelf;

use std::{
    ops::Range,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};

use self::{
    file::{Reading, Writing},
    shelf::{Coming, Shelf},
};
use super::{
    BlobKey, BlobMeta, BlobSource, BlobStore, BlobStream, BlobWritten, CHUNK, beyond_end, blocking,
    tally,
};
use crate::Error;

/// A body up to this size is fetched whole, whatever part of it was asked for: a round trip costs more than its octets.
const SMALL: u64 = 256 * 1024;
/// No body takes more than this part of the room.
const SHARE: u64 = 8;
/// How long a disk is left alone that took nothing.
const REST: Duration = Duration::from_secs(60);

/// A [`BlobStore`] with a cache on the local disk.
pub struct CachedStore<S> {
    store: Arc<S>,
    shelf: Arc<Shelf>,
}

impl<S: BlobStore> CachedStore<S> {
    /// Puts a cache of so many octets in front of a store; what an earlier process left in the folder is used. A folder that cannot be
    /// used is a cache that holds nothing.
    pub async fn open(store: S, folder: &Path, octets: u64) -> Self {
        let folder = folder.to_owned();
        let shelf = blocking(move || Ok(Shelf::open(&folder, octets))).await;
        Self {
            store: Arc::new(store),
            shelf: Arc::new(shelf.unwrap_or_else(|_| Shelf::open(Path::new(""), 0))),
        }
    }

    /// Octets that lie here now.
    pub fn octets(&self) -> u64 {
        self.shelf.octets()
    }

    /// A stream of what lies here, if it does; what turns out to be wrong is read from the store.
    async fn kept(&self, key: &BlobKey, range: &Range<u64>) -> Option<BlobStream> {
        let size = known(key)?;
        if range.start > range.end || range.end > size || !self.shelf.may_have(key) {
            return None;
        }
        let (shelf, wanted) = (self.shelf.clone(), key.clone());
        let (key, range) = (key.clone(), range.clone());
        let reading = blocking(move || Ok(shelf.read(&wanted, size))).await;
        let reading = reading.ok().flatten()?;
        let state = State {
            store: self.store.clone(),
            shelf: self.shelf.clone(),
            key,
            at: range.start,
            end: range.end,
            source: Source::Disk(reading),
            chunk: Bytes::new(),
        };
        // The first piece before anything is promised.
        let state = state.fill().await.ok()?;
        if matches!(state.source, Source::Store(_)) {
            tally().missed();
        } else {
            tally().hit(state.end - state.at);
        }
        let chunks = stream::try_unfold(state, |state| async move {
            let mut state = match state.chunk.is_empty() && state.at < state.end {
                true => state.fill().await?,
                false => state,
            };
            if state.at == state.end {
                return Ok(None);
            }
            let chunk = state.chunk.split_to(state.chunk.len().min(CHUNK));
            state.at += chunk.len() as u64;
            Ok(Some((chunk, state)))
        });
        Some(chunks.boxed())
    }

    /// Reads a small body whole, keeps it, and hands out the range.
    async fn whole(
        &self,
        key: &BlobKey,
        size: u64,
        range: Range<u64>,
    ) -> Result<BlobStream, Error> {
        let coming = self.shelf.expect(key);
        let chunks = self.store.get(key, 0..size).await?;
        let octets = super::gather(chunks, size).await?;
        self.keep(key, coming, octets.clone());
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let octets = octets.slice(place(range.start)..place(range.end));
        let pieces = (0..octets.len())
            .step_by(CHUNK)
            .map(move |at| Ok(octets.slice(at..octets.len().min(at + CHUNK))));
        Ok(stream::iter(pieces).boxed())
    }

    /// Writes a body that was read, beside whoever wanted it.
    fn keep(&self, key: &BlobKey, coming: Coming, octets: Bytes) {
        let (shelf, key) = (self.shelf.clone(), key.clone());
        tokio::task::spawn_blocking(move || {
            if let Some(mut writing) = shelf.write(&key, octets.len() as u64) {
                for piece in octets.chunks(file::PIECE) {
                    writing.push(piece);
                }
                shelf.finish(&coming, writing);
            }
        });
    }

    /// The stream of a large body, which is kept while it passes.
    async fn copied(&self, key: &BlobKey, size: u64) -> Result<BlobStream, Error> {
        let coming = self.shelf.expect(key);
        let chunks = self.store.get(key, 0..size).await?;
        let (shelf, wanted) = (self.shelf.clone(), key.clone());
        let writing = blocking(move || Ok(shelf.write(&wanted, size))).await;
        let state = Copying {
            chunks,
            writing: writing.ok().flatten(),
            shelf: self.shelf.clone(),
            coming: Arc::new(coming),
            piece: BytesMut::new(),
        };
        let chunks = stream::try_unfold(state, |mut state| async move {
            let chunk = state.chunks.try_next().await?;
            if let Some(chunk) = &chunk {
                state.piece.extend_from_slice(chunk);
            }
            if state.piece.len() >= file::PIECE || chunk.is_none() {
                state.put_away(chunk.is_none()).await;
            }
            Ok(chunk.map(|chunk| (chunk, state)))
        });
        Ok(chunks.boxed())
    }
}

fn known(key: &BlobKey) -> Option<u64> {
    key.unique().map(|unique| unique.size())
}

/// Where the rest of a body comes from.
enum Source {
    Disk(Reading),
    Store(BlobStream),
}

/// A body on its way out.
struct State<S> {
    store: Arc<S>,
    shelf: Arc<Shelf>,
    key: BlobKey,
    /// Of the next octet to hand out.
    at: u64,
    end: u64,
    source: Source,
    chunk: Bytes,
}

impl<S: BlobStore> State<S> {
    /// The next octets.
    async fn fill(mut self) -> Result<Self, Error> {
        if self.at >= self.end {
            return Ok(self);
        }
        if let Source::Disk(reading) = self.source {
            let range = self.at..self.end;
            let read = blocking(move || Ok(reading.piece(range))).await;
            if let Ok(Some((reading, chunk))) = read {
                (self.source, self.chunk) = (Source::Disk(reading), chunk);
                return Ok(self);
            }
            tracing::debug!(key = %self.key, "a cached body is wrong");
            let (shelf, key) = (self.shelf.clone(), self.key.clone());
            let _ = blocking(move || {
                shelf.remove(&key);
                Ok(())
            })
            .await;
            let rest = self.store.get(&self.key, self.at..self.end).await?;
            self.source = Source::Store(rest);
        }
        if let Source::Store(rest) = &mut self.source {
            self.chunk = match rest.try_next().await? {
                Some(chunk) => chunk,
                None => {
                    let range = self.at..self.end;
                    return Err(beyond_end(&self.key, &range, self.at));
                }
            };
        }
        Ok(self)
    }
}

/// A body that is kept while it passes.
struct Copying {
    chunks: BlobStream,
    writing: Option<Writing>,
    shelf: Arc<Shelf>,
    coming: Arc<Coming>,
    piece: BytesMut,
}

impl Copying {
    async fn put_away(&mut self, last: bool) {
        let piece = self.piece.split().freeze();
        let Some(mut writing) = self.writing.take() else {
            return;
        };
        let (shelf, coming) = (self.shelf.clone(), self.coming.clone());
        let written = blocking(move || {
            for piece in piece.chunks(file::PIECE) {
                writing.push(piece);
            }
            if last {
                shelf.finish(&coming, writing);
                return Ok(None);
            }
            Ok(Some(writing))
        });
        self.writing = written.await.ok().flatten();
    }
}

#[async_trait::async_trait]
impl<S: BlobStore> BlobStore for CachedStore<S> {
    async fn put(
        &self,
        key: &BlobKey,
        source: BlobSource,
        meta: &BlobMeta,
    ) -> Result<BlobWritten, Error> {
        self.store.put(key, source, meta).await
    }

    async fn get(&self, key: &BlobKey, range: Range<u64>) -> Result<BlobStream, Error> {
        if let Some(chunks) = self.kept(key, &range).await {
            return Ok(chunks);
        }
        tally().missed();
        let Some(size) = known(key).filter(|size| self.shelf.takes(*size)) else {
            return self.store.get(key, range).await;
        };
        if range.start > range.end || range.end > size {
            return self.store.get(key, range).await;
        }
        match (size <= SMALL, range == (0..size)) {
            (true, _) => self.whole(key, size, range).await,
            (false, true) => self.copied(key, size).await,
            (false, false) => self.store.get(key, range).await,
        }
    }

    async fn get_all(
        &self,
        bodies: Vec<(BlobKey, u64)>,
    ) -> Result<Vec<Result<Bytes, Error>>, Error> {
        let mut read: Vec<Option<Result<Bytes, Error>>> = Vec::with_capacity(bodies.len());
        let mut missing = Vec::new();
        for (key, size) in bodies {
            let kept = match self.kept(&key, &(0..size)).await {
                Some(chunks) => super::gather(chunks, size).await.ok(),
                None => None,
            };
            if kept.is_none() {
                tally().missed();
                missing.push((key, size));
            }
            read.push(kept.map(Ok));
        }
        let asked: Vec<_> = missing
            .iter()
            .map(|(key, size)| (self.shelf.expect(key), key.clone(), *size))
            .collect();
        let mut fetched = self.store.get_all(missing).await?.into_iter();
        let mut asked = asked.into_iter();
        let all = read.into_iter().map(|kept| {
            kept.unwrap_or_else(|| {
                let (outcome, asked) = (fetched.next(), asked.next());
                let outcome = outcome.unwrap_or(Err(Error::NotFound("body")));
                if let (Ok(octets), Some((coming, key, size))) = (&outcome, asked)
                    && known(&key) == Some(size)
                {
                    self.keep(&key, coming, octets.clone());
                }
                outcome
            })
        });
        Ok(all.collect())
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), Error> {
        let (shelf, wanted) = (self.shelf.clone(), key.clone());
        let _ = blocking(move || {
            shelf.remove(&wanted);
            Ok(())
        })
        .await;
        self.store.delete(key).await
    }

    async fn meta(&self, key: &BlobKey) -> Result<BlobMeta, Error> {
        self.store.meta(key).await
    }

    async fn list(
        &self,
        prefix: &str,
    ) -> Result<BoxStream<'static, Result<(BlobKey, u64), Error>>, Error> {
        self.store.list(prefix).await
    }

    async fn probe(&self) -> Result<(), Error> {
        self.store.probe().await
    }
}

/// When a disk that took nothing may be asked again.
#[derive(Debug, Default)]
struct Tired(Option<Instant>);

impl Tired {
    fn rests(&self) -> bool {
        self.0.is_some_and(|since| since.elapsed() < REST)
    }

    fn gave_up(&mut self) {
        self.0 = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests;
