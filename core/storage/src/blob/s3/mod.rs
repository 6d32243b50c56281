//! Bodies as objects in a bucket of an S3-compatible store.
//!
//! **Invariants.** Daily work needs GetObject, PutObject, DeleteObject (and AbortMultipartUpload, to clean up) and nothing else (I10); versions
//! are never named, so nothing here can delete one. A put is confirmed by the store's own check of a signed checksum (I2).
//! **Bounds.** A body in a file takes a piece of 256 KiB, or one part, of memory while it is sent; a read takes what its connection holds.
//! **On failure.** Requests are repeated until the asker's deadline ([`super::until`]); an outcome that stays unknown is [`Error::Unavailable`].

mod answer;
mod body;
mod client;
mod download;
mod metadata;
mod retry;
mod sign;
mod upload;

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use reqwest::{Method, header::HeaderMap};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use self::{
    body::{Digests, Payload},
    client::{Ask, Client},
    retry::Failure,
    upload::Confirmed,
};
use super::{BlobKey, BlobMeta, BlobSource, BlobStore, BlobStream, BlobWritten, gather};
use crate::Error;

/// An object of our own, beside all bodies: what a probe writes and reads.
const CANARY: &str = ".postrider/canary";
/// Its octets.
const SONG: &[u8] = b"Postrider was here.\n";
/// How old the last write may be for a probe to believe in the next.
const FRESH: Duration = Duration::from_secs(300);
/// How long after its making a body may be missing in a store that is late.
const LATE: Duration = Duration::from_secs(60);
/// Bodies that are read at a time when many are asked for: one reader alone gets most of what a store gives.
const AT_ONCE: usize = 16;
/// SHA-256 of nothing.
const EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Where a bucket is, and how to speak with its store.
#[derive(Clone)]
pub struct S3Settings {
    /// URL of the store, without a path.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// Region.
    pub region: String,
    /// The bucket's name is in the path, not in the host name.
    pub path_style: bool,
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
    /// Certificates in PEM that sign the store's; none: those that the system trusts.
    pub ca: Option<Vec<u8>>,
    /// How long the store may be silent before a request counts as lost.
    pub timeout: Duration,
    /// Octets from which a body is sent in parts.
    pub multipart_from: u64,
    /// Octets of a part.
    pub part: u64,
    /// Whether what was put is read back and compared.
    pub read_back: bool,
    /// Whether the store shows some objects only a while after they were put.
    pub late: bool,
}

impl S3Settings {
    /// The defaults for a bucket: path style, region `us-east-1`, 20 seconds of silence, parts of 8 MiB from 16 MiB on.
    pub fn new(endpoint: &str, bucket: &str, access_key: &str, secret_key: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            bucket: bucket.to_owned(),
            region: "us-east-1".to_owned(),
            path_style: true,
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            ca: None,
            timeout: Duration::from_secs(20),
            multipart_from: 16 << 20,
            part: 8 << 20,
            read_back: false,
            late: false,
        }
    }

    /// Whether these octets are certificates in PEM, as [`S3Settings::ca`] wants them.
    pub fn is_ca(pem: &[u8]) -> bool {
        client::certificates(pem).is_ok()
    }
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("S3Settings");
        out.field("endpoint", &self.endpoint);
        out.field("bucket", &self.bucket);
        out.finish_non_exhaustive()
    }
}

/// Why a store cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// What is wrong.
    pub error: Error,
    /// Whether it will not pass by itself: keys, rights, a bucket or certificate that is not there.
    pub lasting: bool,
}

/// A [`BlobStore`] in a bucket; clones share their connections.
#[derive(Clone)]
pub struct S3Store(Arc<Inner>);

struct Inner {
    client: Client,
    bucket: String,
    multipart_from: u64,
    part: u64,
    read_back: bool,
    late: bool,
    /// When the store last took something.
    taken: Mutex<Option<Instant>>,
}

impl S3Store {
    /// A store in this bucket, whose connections live on the runtime that calls. Asks nobody yet: see [`S3Store::greet`].
    ///
    /// # Errors
    /// [`Error::Invalid`] if the endpoint or the certificates are none.
    pub fn open(settings: &S3Settings) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            client: Client::new(settings)?,
            bucket: settings.bucket.clone(),
            multipart_from: settings.multipart_from.max(1),
            // The least that S3 takes, but for the last part.
            part: settings.part.max(5 << 20),
            read_back: settings.read_back,
            late: settings.late,
            taken: Mutex::new(None),
        })))
    }

    /// Whether a body could be written and read with these keys; an answer comes within this time.
    ///
    /// # Errors
    /// A [`Refusal`], which says whether waiting may help.
    pub async fn greet(&self, patience: Duration) -> Result<(), Refusal> {
        let until = Instant::now() + patience;
        self.0.sing(until).await.map_err(|failure| {
            let lasting = match &failure {
                Failure::Refused { status, .. } => !failure.may_pass() && *status < 500,
                Failure::Broken(why) => why.contains("certificate"),
                Failure::TimedOut => false,
                Failure::Ours(_) => true,
            };
            let error = failure.into_error();
            Refusal { error, lasting }
        })
    }

    async fn put_once(
        &self,
        key: &BlobKey,
        source: &BlobSource,
        digests: &Digests,
        meta: &BlobMeta,
        until: Instant,
    ) -> Result<Kept, Error> {
        let inner = &self.0;
        let put = match source.octets() >= inner.multipart_from {
            false => upload::whole(inner, key, source, digests, meta, until).await,
            true => upload::parts(inner, key, source, digests, meta, until).await,
        };
        let confirmed = match put {
            Ok(confirmed) => confirmed,
            // An upload whose completion was done, but not heard of, or that the store forgot.
            Err(failure) if failure.is(404, "NoSuchUpload") => return Ok(Kept::Otherwise),
            Err(failure) => return Err(failure.into_error()),
        };
        inner.took();
        if confirmed == Confirmed::Yes && !inner.read_back {
            return Ok(Kept::Well);
        }
        match self.has(key, digests).await? {
            true => Ok(Kept::Well),
            false => Ok(Kept::Otherwise),
        }
    }

    /// Reads a body back and compares it.
    async fn has(&self, key: &BlobKey, digests: &Digests) -> Result<bool, Error> {
        let size = digests.written.size;
        let mut hash = Sha256::new();
        let read = async {
            let mut chunks = download::open(self.0.clone(), key, 0..size).await?;
            while let Some(chunk) = chunks.try_next().await? {
                hash.update(&chunk);
            }
            Ok(())
        };
        match read.await {
            Ok(()) => Ok(hash.finalize()[..] == digests.written.sha256),
            Err(Error::NotFound(_) | Error::Corrupt(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What became of a put.
enum Kept {
    Well,
    /// The store does not have it, or something else.
    Otherwise,
}

impl Inner {
    /// The store has taken something.
    fn took(&self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = Some(Instant::now());
    }

    fn took_lately(&self) -> bool {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.is_some_and(|at| at.elapsed() < FRESH)
    }

    /// Writes the object of our own.
    async fn sing(&self, until: Instant) -> Result<(), Failure> {
        let payload = Payload::Octets(Bytes::from_static(SONG));
        let ask = upload::put(CANARY, payload, &Digests::of(SONG), HeaderMap::new());
        self.client.ask_whole(&ask, until).await?;
        self.took();
        self.hear(until).await
    }

    /// Reads it.
    async fn hear(&self, until: Instant) -> Result<(), Failure> {
        let ask = Ask::new(Method::GET, CANARY);
        self.client.ask_whole(&ask, until).await.map(|_| ())
    }

    /// Whether our keys may read what is there: then what they may not read is not there.
    async fn may_read(&self, until: Instant) -> bool {
        // The object of our own may not be there yet, if the store was away until now.
        self.hear(until).await.is_ok() || self.sing(until).await.is_ok()
    }

    /// Whether a body that is missing may be there in a moment.
    fn may_come(&self, key: &BlobKey) -> bool {
        let made = key.unique().map_or(0, |unique| unique.made().0);
        let made = Duration::from_micros(u64::try_from(made).unwrap_or(0));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.late && now.is_ok_and(|now| now.saturating_sub(made) < LATE)
    }
}

#[async_trait::async_trait]
impl BlobStore for S3Store {
    async fn put(
        &self,
        key: &BlobKey,
        source: BlobSource,
        meta: &BlobMeta,
    ) -> Result<BlobWritten, Error> {
        let until = Client::until();
        let digests = Digests::of_source(&source).await?;
        if !key.fits(&digests.written) {
            return Err(Error::Corrupt(format!(
                "octets that do not fit their key {key}"
            )));
        }
        for _ in 0..2 {
            match self.put_once(key, &source, &digests, meta, until).await? {
                Kept::Well => return Ok(digests.written),
                Kept::Otherwise => {
                    tracing::warn!(%key, "the store does not have what it was given; putting it again");
                }
            }
        }
        // Nothing may be visible after an error but the right octets.
        let _ = self.delete(key).await;
        Err(Error::Unavailable(
            "the store does not keep what it is given".to_owned(),
        ))
    }

    async fn get(&self, key: &BlobKey, range: Range<u64>) -> Result<BlobStream, Error> {
        download::open(self.0.clone(), key, range).await
    }

    async fn get_all(
        &self,
        bodies: Vec<(BlobKey, u64)>,
    ) -> Result<Vec<Result<Bytes, Error>>, Error> {
        let reads = bodies
            .into_iter()
            .map(|(key, size)| async move { gather(self.get(&key, 0..size).await?, size).await });
        Ok(stream::iter(reads).buffered(AT_ONCE).collect().await)
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), Error> {
        let ask = Ask::new(Method::DELETE, key.as_str());
        match self.0.client.ask_whole(&ask, Client::until()).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is(404, "NoSuchKey") => Ok(()),
            Err(failure) => Err(failure.into_error()),
        }
    }

    async fn meta(&self, key: &BlobKey) -> Result<BlobMeta, Error> {
        let ask = Ask::new(Method::HEAD, key.as_str());
        match self.0.client.ask(&ask, Client::until()).await {
            Ok(response) => Ok(metadata::read(key, response.headers())),
            // No answer to HEAD has a code in it.
            Err(Failure::Refused { status: 404, .. }) => Err(Error::NotFound("body")),
            Err(failure) => Err(failure.into_error()),
        }
    }

    async fn list(
        &self,
        prefix: &str,
    ) -> Result<BoxStream<'static, Result<(BlobKey, u64), Error>>, Error> {
        let prefix = prefix.to_owned();
        let first = list_page(&self.0, &prefix, None).await?;
        let state = (self.0.clone(), prefix, Some(first));
        let pages = stream::try_unfold(state, |(inner, prefix, page)| async move {
            let Some(page) = page else { return Ok(None) };
            let next = match page.next {
                Some(next) => Some(list_page(&inner, &prefix, Some(next)).await?),
                None => None,
            };
            let entries = page.entries.into_iter().filter_map(|(key, size)| {
                let key = BlobKey::parse(&key).ok()?;
                Some(Ok((key, size)))
            });
            Ok::<_, Error>(Some((stream::iter(entries), (inner, prefix, next))))
        });
        Ok(pages.try_flatten().boxed())
    }

    async fn probe(&self) -> Result<(), Error> {
        let until = Client::until();
        let outcome = match self.0.took_lately() {
            true => self.0.hear(until).await,
            false => self.0.sing(until).await,
        };
        outcome.map_err(Failure::into_error)
    }
}

/// A page of a listing, of a thousand names.
async fn list_page(
    inner: &Inner,
    prefix: &str,
    next: Option<String>,
) -> Result<answer::Page, Error> {
    let mut ask = Ask::new(Method::GET, "");
    ask.query.push(("list-type", "2".into()));
    if !prefix.is_empty() {
        ask.query.push(("prefix", prefix.into()));
    }
    if let Some(next) = &next {
        ask.query.push(("continuation-token", next.into()));
    }
    let answered = inner.client.ask_whole(&ask, Client::until()).await;
    let (_, body) = answered.map_err(|failure| match failure.is(403, "AccessDenied") {
        true => Error::Denied(format!(
            "these credentials may not list the bucket {} (s3:ListBucket)",
            inner.bucket
        )),
        false => failure.into_error(),
    })?;
    let page = answer::page(&body)?;
    match next.is_some() && page.next == next {
        true => Err(Error::Unavailable(
            "a listing that does not move on".to_owned(),
        )),
        false => Ok(page),
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Store")
    }
}

/// Hexadecimal digits.
fn hex(octets: &[u8]) -> String {
    super::name::hex(octets)
}
