//! Reading a body: a range of it, as a stream that survives a connection.
//!
//! **Invariants.** Exactly the octets asked for, or an error as the last item. A body read as a whole is held against the checksum in its name.
//! **On failure.** A connection that breaks is replaced by one that asks for the rest, which is the same body: nothing is ever overwritten.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, RANGE},
};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    Inner,
    client::{Ask, Client, wait},
    retry::Failure,
    sign::value,
};
use crate::{
    Error,
    blob::{BlobKey, BlobStream, BlobWritten, CHUNK, beyond_end},
};

/// How often in a row a stream may break without an octet in between.
const BREAKS: u32 = 4;
/// Beyond this no store counts.
const FARTHEST: u64 = i64::MAX as u64;

/// Opens a stream of a range.
pub(super) async fn open(
    inner: Arc<Inner>,
    key: &BlobKey,
    range: Range<u64>,
) -> Result<BlobStream, Error> {
    let until = Client::until();
    let known = key.unique().map(|unique| unique.size());
    let beyond = range.end > known.unwrap_or(FARTHEST);
    if range.start >= range.end || beyond {
        // Nothing to fetch: only whether the body is there, and reaches so far.
        let size = size(&inner, key, until).await?;
        return match range.start <= range.end && range.end <= size {
            true => Ok(stream::empty().boxed()),
            false => Err(beyond_end(key, &range, size)),
        };
    }
    let is_whole = range.start == 0 && known == Some(range.end);
    let (response, skip) = part(&inner, key, range.clone(), is_whole, until).await?;
    let reader = Reader {
        inner,
        key: key.clone(),
        at: range.start,
        end: range.end,
        response: Some(response),
        skip,
        chunk: Bytes::new(),
        breaks: 0,
        hash: is_whole.then(Sha256::new),
    };
    let chunks = stream::try_unfold(reader, |mut reader| async move {
        let chunk = reader.next().await?;
        Ok(chunk.map(|chunk| (chunk, reader)))
    });
    Ok(chunks.boxed())
}

/// Octets of a body, by the headers of an answer whose octets nobody takes.
async fn size(inner: &Inner, key: &BlobKey, until: Instant) -> Result<u64, Error> {
    let ask = Ask::new(Method::GET, key.as_str());
    let response = ask_for(inner, key, &ask, until).await?;
    length(response.headers())
}

/// Asks for a range; also how many octets to leave out, where the store gave more.
async fn part(
    inner: &Inner,
    key: &BlobKey,
    range: Range<u64>,
    is_whole: bool,
    until: Instant,
) -> Result<(Response, u64), Error> {
    let mut ask = Ask::new(Method::GET, key.as_str());
    if !is_whole {
        let wanted = format!("bytes={}-{}", range.start, range.end - 1);
        ask.headers.insert(RANGE, value(&wanted)?);
    }
    let response = ask_for(inner, key, &ask, until).await?;
    let length = length(response.headers())?;
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return match length {
            size if size < range.end => Err(beyond_end(key, &range, size)),
            size if is_whole && size > range.end => Err(beyond_end(key, &range, size)),
            _ => Ok((response, range.start)),
        };
    }
    let (first, size) = content_range(response.headers())
        .ok_or_else(|| Error::Unavailable("the store does not say what it sends".to_owned()))?;
    match (
        size < range.end,
        first == range.start && length == range.end - range.start,
    ) {
        (true, _) => Err(beyond_end(key, &range, size)),
        (false, true) => Ok((response, 0)),
        (false, false) => Err(Error::Unavailable(
            "the store sends other octets than it was asked for".to_owned(),
        )),
    }
}

/// Asks for a body. One that is not there yet is asked for again where the store is known to be late.
async fn ask_for(
    inner: &Inner,
    key: &BlobKey,
    ask: &Ask<'_>,
    until: Instant,
) -> Result<Response, Error> {
    let mut repeated = 0;
    loop {
        let failure = match inner.client.ask(ask, until).await {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
        if failure.is(404, "NoSuchKey") {
            if inner.may_come(key) && wait(repeated, &failure, until).await {
                repeated += 1;
                continue;
            }
            return Err(Error::NotFound("body"));
        }
        return Err(match failure {
            Failure::Refused { status: 416, .. } => {
                Error::Corrupt(format!("octets of {key} that it does not have"))
            }
            // Who may not list is not told what is missing.
            Failure::Refused { status: 403, .. } if inner.may_read(until).await => {
                Error::NotFound("body")
            }
            failure => failure.into_error(),
        });
    }
}

fn length(headers: &HeaderMap) -> Result<u64, Error> {
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse().ok());
    length.ok_or_else(|| Error::Unavailable("the store does not say how much it sends".to_owned()))
}

/// `bytes first-last/size`
fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, size.parse().ok()?))
}

struct Reader {
    inner: Arc<Inner>,
    key: BlobKey,
    at: u64,
    end: u64,
    response: Option<Response>,
    /// Octets before the wanted ones.
    skip: u64,
    chunk: Bytes,
    breaks: u32,
    /// Of everything, if everything was asked for.
    hash: Option<Sha256>,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.at == self.end {
            return self.check().map(|()| None);
        }
        while self.chunk.is_empty() {
            self.fill().await?;
        }
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let chunk = self.chunk.split_to(self.chunk.len().min(CHUNK).min(left));
        self.at += chunk.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(&chunk);
        }
        Ok(Some(chunk))
    }

    /// The next octets from the connection, or another connection.
    async fn fill(&mut self) -> Result<(), Error> {
        let Some(response) = &mut self.response else {
            let range = self.at..self.end;
            let (response, skip) =
                part(&self.inner, &self.key, range, false, Client::until()).await?;
            (self.response, self.skip) = (Some(response), skip);
            return Ok(());
        };
        let failure = match self.inner.client.chunk(response).await {
            Ok(Some(mut chunk)) => {
                let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX);
                let skipped = chunk.split_to(skipped.min(chunk.len()));
                self.skip -= skipped.len() as u64;
                self.breaks = if chunk.is_empty() { self.breaks } else { 0 };
                self.chunk = chunk;
                return Ok(());
            }
            Ok(None) => Failure::Broken("the store sent less than it said".to_owned()),
            Err(failure) => failure,
        };
        self.response = None;
        self.breaks += 1;
        if self.breaks > BREAKS || !wait(self.breaks, &failure, Client::until()).await {
            return Err(failure.into_error());
        }
        tracing::debug!(key = %self.key, at = self.at, ?failure, "asking the store for the rest");
        Ok(())
    }

    fn check(&mut self) -> Result<(), Error> {
        let Some(hash) = self.hash.take() else {
            return Ok(());
        };
        let read = BlobWritten {
            size: self.end,
            sha256: hash.finalize().into(),
        };
        match self.key.fits(&read) {
            true => Ok(()),
            false => Err(Error::Corrupt(format!(
                "other octets than were written: {}",
                self.key
            ))),
        }
    }
}
