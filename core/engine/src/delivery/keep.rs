//! Bodies of messages on their way into mailboxes: put into the store before a row names them, taken back where none will (I2).

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use postrider_protocol::line::octets_as_lines;
use postrider_protocol::message::summary::Summary;
use postrider_storage::Error;
use postrider_storage::blob::{BlobKey, BlobMeta, BlobWritten, Unique};
use postrider_storage::index::{Append, NewBlob, Timestamp};
use sha2::{Digest, Sha256};

use super::{AT_ONCE, Delivery};
use crate::actor::Taker;
use crate::blob::Spooled;
use crate::limits;
use crate::telemetry::metrics::MESSAGE_BYTES;

impl Delivery {
    /// Puts a body into the store and reads its summary. What it returns may be named by a row (I2).
    ///
    /// # Errors
    /// [`Error::Unavailable`]: nothing names what may have been written.
    pub async fn keep(
        &self,
        prefix: Bytes,
        spooled: &Spooled,
        taker: &Taker,
        meta: &BlobMeta,
        now: Timestamp,
    ) -> Result<NewBlob, Error> {
        let deadline = tokio::time::Instant::now() + self.patience;
        let within = self.limits;
        let look = move |whole: &[u8]| {
            let written = BlobWritten {
                size: whole.len() as u64,
                sha256: Sha256::digest(whole).into(),
            };
            let summary = Summary::within(whole, &within);
            (
                summary.encode(),
                summary.root.all_flaws(),
                octets_as_lines(whole),
                written,
            )
        };
        let (summary, flaws, line_size, written) = spooled
            .scan(prefix.clone(), taker, deadline, look)
            .await
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        limits::message(flaws);
        let (local, domain) = meta
            .account
            .rsplit_once('@')
            .ok_or(Error::Invalid("account without domain"))?;
        let unique = Unique::new(&self.hostname, now, &written)?;
        let key = BlobKey::for_message(domain, local, &meta.mailbox, &unique)?;
        let source = spooled.source(prefix);
        let confirmed = self.blobs.put(&key, source, meta, deadline).await?;
        if confirmed != written {
            return Err(Error::Corrupt(format!(
                "{}: written other octets",
                key.as_str()
            )));
        }
        metrics::histogram!(MESSAGE_BYTES).record(written.size as f64);
        Ok(NewBlob {
            key,
            size: written.size,
            line_size,
            sha256: written.sha256,
            summary,
        })
    }

    /// Hands on what the index answered. Bodies that it refused to name are nobody's, and go.
    pub(crate) async fn settled<T>(
        &self,
        answer: Result<T, Error>,
        bodies: Vec<BlobKey>,
    ) -> Result<T, Error> {
        if answer.as_ref().is_err_and(is_refusal) {
            // A check that found them meanwhile may have named them: then they are messages, and stay.
            let known = match self.index.raw().known_bodies(&bodies).await {
                Ok(known) => known,
                Err(error) => {
                    tracing::debug!(%error, "bodies of refused messages stay for fsck");
                    return answer;
                }
            };
            let named = |key: &BlobKey| known.iter().any(|it| it.body.key == *key);
            let bodies: Vec<BlobKey> = bodies.into_iter().filter(|it| !named(it)).collect();
            let deadline = tokio::time::Instant::now() + self.patience;
            let forget = async |key: BlobKey| {
                if let Err(error) = self.blobs.delete(&key, deadline).await {
                    tracing::debug!(%key, %error, "the body of a refused message stays for fsck");
                }
            };
            stream::iter(bodies)
                .for_each_concurrent(AT_ONCE, forget)
                .await;
        }
        answer
    }
}

/// Where the bodies of these messages lie.
pub(super) fn keys(appends: &[Append]) -> Vec<BlobKey> {
    appends.iter().map(|it| it.blob.key.clone()).collect()
}

/// Whether the index has decided that it will not name a body. Everything else may have happened, or happen yet.
fn is_refusal(error: &Error) -> bool {
    match error {
        Error::OverQuota { .. } | Error::Limit { .. } => true,
        // A body that it knows already is not ours to delete.
        Error::NotFound(what) => *what != "blob",
        _ => false,
    }
}
