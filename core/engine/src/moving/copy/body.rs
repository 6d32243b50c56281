//! Bodies: from one store to the other, under their keys, with what is noted of them.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use postrider_storage::Error;
use postrider_storage::blob::{BlobBody, BlobSource, BlobWritten};
use postrider_storage::index::BlobRef;
use tokio::sync::Semaphore;

use super::{AT_ONCE, Copy, IN_FLIGHT, deadline};

impl Copy {
    /// Copies bodies; their octets.
    pub(super) async fn bodies(&self, bodies: Vec<&BlobRef>) -> Result<u64, Error> {
        let room = Arc::new(Semaphore::new(IN_FLIGHT as usize));
        let copies = bodies.into_iter().map(|blob| self.body(blob, room.clone()));
        let mut copies = stream::iter(copies).buffer_unordered(AT_ONCE);
        let mut octets = 0;
        while let Some(more) = copies.try_next().await? {
            octets += more;
        }
        Ok(octets)
    }

    /// Copies a body; its octets.
    async fn body(&self, blob: &BlobRef, room: Arc<Semaphore>) -> Result<u64, Error> {
        let share = u32::try_from(blob.size)
            .unwrap_or(IN_FLIGHT)
            .clamp(1, IN_FLIGHT);
        let permit = room.acquire_many_owned(share).await;
        let _permit = permit.map_err(|error| Error::Unavailable(error.to_string()))?;
        let told = |error: Error| match error {
            Error::Unavailable(text) => Error::Unavailable(text),
            error => Error::Corrupt(format!("{}: {error}", blob.key)),
        };
        let key = &blob.key;
        let read = self.from.blobs.get(key, 0..blob.size, deadline()).await;
        let mut chunks = read.map_err(told)?;
        let mut octets = BytesMut::new();
        while let Some(chunk) = chunks.try_next().await.map_err(told)? {
            octets.extend_from_slice(&chunk);
        }
        let meta = self.from.blobs.meta(key, deadline()).await.map_err(told)?;
        let source = BlobSource {
            prefix: Bytes::new(),
            body: BlobBody::Memory(octets.freeze()),
        };
        let written = self.to.blobs.put(key, source, &meta, deadline()).await;
        let wanted = BlobWritten {
            size: blob.size,
            sha256: blob.sha256,
        };
        match written.map_err(told)? {
            written if written == wanted => Ok(blob.size),
            _ => Err(Error::Corrupt(format!(
                "{key}: its octets are not those that were stored; see postrider fsck"
            ))),
        }
    }
}
