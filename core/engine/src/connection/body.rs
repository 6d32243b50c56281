//! A message's octets on their way to the peer.

use std::sync::Arc;

use futures_util::StreamExt;
use postrider_storage::blob::BlobStream;
use postrider_storage::index::BlobRef;

use super::wire::Broken;
use crate::actor::Share;

/// A body that a session may send octets of.
#[derive(Debug)]
pub(crate) enum OpenBody {
    /// As it lies in the store.
    Stored(BlobRef),
    /// Made from it.
    Made {
        /// What was made.
        octets: bytes::Bytes,
        /// The memory it takes, or its neighbours and it.
        _share: Arc<Share>,
    },
}

/// Its octets as they come.
pub(super) enum Chunks {
    One(Option<bytes::Bytes>),
    Many(BlobStream),
}

impl Chunks {
    /// The next ones; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<bytes::Bytes>, Broken> {
        match self {
            Chunks::One(one) => Ok(one.take()),
            Chunks::Many(many) => match many.next().await {
                None => Ok(None),
                Some(Ok(chunk)) => Ok(Some(chunk)),
                Some(Err(error)) => Err(Broken::Body(error.to_string())),
            },
        }
    }
}
