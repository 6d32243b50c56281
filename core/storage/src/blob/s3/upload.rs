//! Writing a body: one put, or an upload of several parts when it is large.
//!
//! **Invariants.** The store verifies what it got: every request carries SHA-256 of its octets, signed, and their MD5. Its ETag is compared where
//! it is an MD5. Nothing is visible before all of it is there.
//! **Bounds.** A body in a file takes one part of memory at a time.
//! **On failure.** An upload that is not completed is aborted, also when nobody waits for it any longer; one whose abortion fails is for the
//! bucket's lifecycle rule.

use std::{fmt::Write as _, ops::Range, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use md5::{Digest, Md5};
use reqwest::{
    Method,
    header::{ETAG, HeaderMap, HeaderName},
};
use sha2::Sha256;
use tokio::time::Instant;

use super::{
    Inner, answer,
    body::{self, Digests, Payload},
    client::{Ask, Client},
    hex, metadata,
    retry::Failure,
    sign::value,
};
use crate::{
    Error,
    blob::{BlobKey, BlobMeta, BlobSource},
};

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
/// Set where the ETag is not the MD5 of the octets.
const ENCRYPTION: &str = "x-amz-server-side-encryption";
/// Most parts that an upload may have.
const PARTS: u64 = 10_000;

/// Whether the store says that it has what it was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Confirmed {
    Yes,
    /// What it says is no checksum that we know, or another one.
    Doubtful,
}

/// One put of all octets.
pub(super) async fn whole(
    inner: &Inner,
    key: &BlobKey,
    source: &BlobSource,
    digests: &Digests,
    meta: &BlobMeta,
    until: Instant,
) -> Result<Confirmed, Failure> {
    let mut headers = HeaderMap::new();
    metadata::write(meta, &digests.written, &mut headers).map_err(Failure::Ours)?;
    let ask = put(
        key.as_str(),
        Payload::Source(source.clone()),
        digests,
        headers,
    );
    let (headers, _) = inner.client.ask_whole(&ask, until).await?;
    Ok(compare(&headers, &hex(&digests.md5)))
}

/// A put of some octets.
pub(super) fn put<'a>(
    key: &'a str,
    payload: Payload,
    digests: &Digests,
    mut headers: HeaderMap,
) -> Ask<'a> {
    // Base64 is good in every header.
    if let Ok(md5) = value(&BASE64.encode(digests.md5)) {
        headers.insert(CONTENT_MD5, md5);
    }
    Ask {
        headers,
        payload,
        sha256: digests.written.sha256,
        ..Ask::new(Method::PUT, key)
    }
}

/// An upload of several parts.
pub(super) async fn parts(
    inner: &Arc<Inner>,
    key: &BlobKey,
    source: &BlobSource,
    digests: &Digests,
    meta: &BlobMeta,
    until: Instant,
) -> Result<Confirmed, Failure> {
    let mut begin = Ask::new(Method::POST, key.as_str());
    begin.query.push(("uploads", "".into()));
    metadata::write(meta, &digests.written, &mut begin.headers).map_err(Failure::Ours)?;
    let (_, body) = inner.client.ask_whole(&begin, until).await?;
    let id = answer::upload(&body).map_err(Failure::Ours)?;
    let unfinished = Unfinished {
        inner: inner.clone(),
        key: key.clone(),
        id: Some(id.clone()),
    };

    let mut list = "<CompleteMultipartUpload>".to_owned();
    let mut sums = Md5::new();
    let mut count = 0;
    for range in pieces(source.octets(), inner.part) {
        count += 1;
        let octets = body::part(source, range).await.map_err(Failure::Ours)?;
        let (etag, md5) = part(inner, key, &id, count, octets, until).await?;
        sums.update(md5);
        let etag = etag.replace('&', "&amp;").replace('<', "&lt;");
        let _ = write!(
            list,
            "<Part><PartNumber>{count}</PartNumber><ETag>{etag}</ETag></Part>"
        );
    }
    list.push_str("</CompleteMultipartUpload>");
    let list = Bytes::from(list);
    let complete = Ask {
        query: vec![("uploadId", id.as_str().into())],
        sha256: Sha256::digest(&list).into(),
        payload: Payload::Octets(list),
        ..Ask::new(Method::POST, key.as_str())
    };
    let (headers, body) = inner.client.ask_whole(&complete, until).await?;
    if answer::is_refusal(&body) {
        return Err(Failure::Refused {
            status: 200,
            code: answer::code(&body),
            after: None,
        });
    }
    unfinished.complete();
    let sums: [u8; 16] = sums.finalize().into();
    let etag = answer::etag(&body).unwrap_or_default();
    let wanted = format!("{}-{count}", hex(&sums));
    // Some name it in the headers, some in the body.
    match etag == wanted {
        true => Ok(Confirmed::Yes),
        false => Ok(compare(&headers, &wanted)),
    }
}

/// Puts one part; its ETag and MD5.
async fn part(
    inner: &Inner,
    key: &BlobKey,
    id: &str,
    number: u32,
    octets: Bytes,
    until: Instant,
) -> Result<(String, [u8; 16]), Failure> {
    let digests = Digests::of(&octets);
    let mut ask = put(
        key.as_str(),
        Payload::Octets(octets),
        &digests,
        HeaderMap::new(),
    );
    ask.query.push(("partNumber", number.to_string().into()));
    ask.query.push(("uploadId", id.into()));
    let (headers, _) = inner.client.ask_whole(&ask, until).await?;
    let etag = headers.get(ETAG).and_then(|it| it.to_str().ok());
    let etag = etag.ok_or_else(|| {
        Failure::Ours(Error::Unavailable(
            "a part was taken without an ETag".to_owned(),
        ))
    })?;
    Ok((etag.to_owned(), digests.md5))
}

/// The ranges of the parts: larger than configured if they would be too many.
fn pieces(octets: u64, part: u64) -> impl Iterator<Item = Range<u64>> {
    let part = part.max(octets.div_ceil(PARTS)).max(1);
    (0..octets.div_ceil(part)).map(move |number| {
        let start = number * part;
        start..octets.min(start + part)
    })
}

/// Whether an ETag is the checksum that was wanted.
fn compare(headers: &HeaderMap, wanted: &str) -> Confirmed {
    let etag = headers.get(ETAG).and_then(|it| it.to_str().ok());
    let etag = etag.map(|it| it.trim_matches('"')).unwrap_or_default();
    let encrypted = headers.get(ENCRYPTION).is_some_and(|it| it != "AES256");
    let (sum, _) = etag.split_once('-').unwrap_or((etag, ""));
    let is_md5 = sum.len() == 32 && sum.bytes().all(|octet| octet.is_ascii_hexdigit());
    match etag.eq_ignore_ascii_case(wanted) || encrypted || !is_md5 {
        // The store has verified the signed checksum all the same.
        true => Confirmed::Yes,
        false => Confirmed::Doubtful,
    }
}

/// An upload that is aborted unless it is done.
struct Unfinished {
    inner: Arc<Inner>,
    key: BlobKey,
    id: Option<String>,
}

impl Unfinished {
    fn complete(mut self) {
        self.id = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let (inner, key) = (self.inner.clone(), self.key.clone());
        let runtime = inner.client.runtime().clone();
        runtime.spawn(async move {
            let mut abort = Ask::new(Method::DELETE, key.as_str());
            abort.query.push(("uploadId", id.into()));
            let outcome = inner.client.ask(&abort, Client::until()).await;
            match outcome {
                Err(failure) if !failure.is(404, "NoSuchUpload") => {
                    let error = failure.into_error();
                    tracing::warn!(%key, %error, "an upload stays unfinished in the store");
                }
                _ => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        for (octets, part, count) in [(10, 4, 3), (8, 4, 2), (1, 4, 1), (100_000, 1, 10_000)] {
            let pieces: Vec<_> = pieces(octets, part).collect();
            assert_eq!(pieces.len(), count, "{octets} in {part}");
            let mut at = 0;
            for piece in pieces {
                assert_eq!(piece.start, at);
                at = piece.end;
            }
            assert_eq!(at, octets);
        }
    }

    #[test]
    fn an_etag_counts_where_it_is_a_checksum() {
        let sum = "9bb58f26192e4ba00f01e2e7b136bbd8";
        let said = |etag: &str, encryption: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(ETAG, value(etag).expect("good"));
            if let Some(encryption) = encryption {
                headers.insert(ENCRYPTION, HeaderValue::from_static(encryption));
            }
            compare(&headers, sum)
        };
        let other = "\"00b58f26192e4ba00f01e2e7b136bbd8\"";
        assert_eq!(said(&format!("\"{sum}\""), None), Confirmed::Yes);
        assert_eq!(said(other, None), Confirmed::Doubtful);
        assert_eq!(said(other, Some("AES256")), Confirmed::Doubtful);
        assert_eq!(said(other, Some("aws:kms")), Confirmed::Yes);
        assert_eq!(said("\"W/version-7\"", None), Confirmed::Yes);
        assert_eq!(compare(&HeaderMap::new(), sum), Confirmed::Yes);
    }
}
