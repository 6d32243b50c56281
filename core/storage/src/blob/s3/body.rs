//! Bodies on their way to the store.
//!
//! **Bounds.** A body in memory is never copied; one in a file is read in pieces of [`PIECE`] octets, or a part at a time.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use md5::{Digest, Md5};
use sha2::Sha256;

use crate::{
    Error,
    blob::{BlobBody, BlobSource, BlobWritten, CHUNK, blocking},
};

/// Octets read from a spool file at once.
const PIECE: usize = 256 * 1024;
/// Octets in memory up to which a digest is made where it is asked for: a tenth of a millisecond, and less than a visit of another thread.
const AT_ONCE: u64 = 64 * 1024;

/// What is known of octets before they are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Digests {
    pub(super) written: BlobWritten,
    pub(super) md5: [u8; 16],
}

impl Digests {
    /// Of octets in memory.
    pub(super) fn of(octets: &[u8]) -> Self {
        Self {
            written: BlobWritten {
                size: octets.len() as u64,
                sha256: Sha256::digest(octets).into(),
            },
            md5: Md5::digest(octets).into(),
        }
    }

    /// Of a whole body.
    pub(super) async fn of_source(source: &BlobSource) -> Result<Self, Error> {
        let at_once = matches!(source.body, BlobBody::Memory(_)) && source.octets() <= AT_ONCE;
        let source = source.clone();
        let digest = move || {
            let mut md5 = Hash(Md5::new());
            let written = source.copy_to(&mut md5).map_err(|it| it.into_error())?;
            let md5 = md5.0.finalize().into();
            Ok(Self { written, md5 })
        };
        match at_once {
            true => digest(),
            false => blocking(digest).await,
        }
    }
}

struct Hash(Md5);

impl Write for Hash {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.update(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a request carries.
#[derive(Clone)]
pub(super) enum Payload {
    Nothing,
    Octets(Bytes),
    Source(BlobSource),
}

impl Payload {
    pub(super) fn octets(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Octets(octets) => octets.len() as u64,
            Self::Source(source) => source.octets(),
        }
    }

    /// The body of a request, made anew for each attempt.
    pub(super) fn body(&self) -> reqwest::Body {
        match self {
            Self::Nothing => Bytes::new().into(),
            Self::Octets(octets) => octets.clone().into(),
            Self::Source(source) => match &source.body {
                BlobBody::Memory(octets) if source.prefix.is_empty() => octets.clone().into(),
                // One write instead of two.
                BlobBody::Memory(octets) if octets.len() <= CHUNK => {
                    [&source.prefix[..], octets].concat().into()
                }
                BlobBody::Memory(octets) => {
                    let pieces = [source.prefix.clone(), octets.clone()];
                    reqwest::Body::wrap_stream(stream::iter(pieces.map(Ok::<_, io::Error>)))
                }
                BlobBody::File { .. } => file(source),
            },
        }
    }
}

/// The octets of a spool file behind its prefix, read as they are sent.
fn file(source: &BlobSource) -> reqwest::Body {
    let (source, octets) = (source.clone(), source.octets());
    let prefix = source.prefix.clone();
    let first = stream::iter((!prefix.is_empty()).then_some(Ok(prefix)));
    let begin = source.prefix.len() as u64;
    let rest = stream::try_unfold((None, begin), move |(open, at)| {
        let source = source.clone();
        async move {
            if at >= octets {
                return Ok(None);
            }
            let end = octets.min(at + PIECE as u64);
            let (piece, open) = blocking(move || read(&source, open, at..end)).await?;
            Ok::<_, Error>(Some((piece, (open, end))))
        }
    });
    reqwest::Body::wrap_stream(first.chain(rest))
}

/// Some octets of a body, in memory. Those of a body in memory are not copied unless they begin in its prefix.
pub(super) async fn part(source: &BlobSource, range: Range<u64>) -> Result<Bytes, Error> {
    let prefix = source.prefix.len() as u64;
    if let BlobBody::Memory(octets) = &source.body
        && range.start >= prefix
    {
        let place = |at: u64| usize::try_from(at - prefix).unwrap_or(usize::MAX);
        return Ok(octets.slice(place(range.start)..place(range.end)));
    }
    let source = source.clone();
    let read = blocking(move || read(&source, None, range));
    read.await.map(|(octets, _)| octets)
}

/// Reads octets of a body, from a file that may be open and stand at the right place already.
fn read(
    source: &BlobSource,
    open: Option<File>,
    range: Range<u64>,
) -> Result<(Bytes, Option<File>), Error> {
    let prefix = source.prefix.len() as u64;
    let size = usize::try_from(range.end - range.start)
        .map_err(|_| Error::Invalid("a part that no memory holds"))?;
    let mut octets = BytesMut::with_capacity(size);
    if range.start < prefix {
        let end = usize::try_from(range.end.min(prefix)).unwrap_or(usize::MAX);
        let start = usize::try_from(range.start).unwrap_or(usize::MAX);
        octets.extend_from_slice(&source.prefix[start..end]);
    }
    let (from, to) = (
        range.start.max(prefix) - prefix,
        range.end.max(prefix) - prefix,
    );
    match &source.body {
        BlobBody::Memory(body) => {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            octets.extend_from_slice(&body[place(from)..place(to)]);
            Ok((octets.freeze(), None))
        }
        BlobBody::File { path, .. } => {
            let failed =
                |error: io::Error| Error::Unavailable(format!("cannot read the spool: {error}"));
            let mut file = match open {
                Some(file) => file,
                None => {
                    let mut file = File::open(path).map_err(failed)?;
                    file.seek(SeekFrom::Start(from)).map_err(failed)?;
                    file
                }
            };
            let have = octets.len();
            octets.resize(size, 0);
            file.read_exact(&mut octets[have..]).map_err(failed)?;
            Ok((octets.freeze(), Some(file)))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn parts_are_what_lies_there() {
        let all: Vec<u8> = (0..100).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &all[10..]).unwrap();
        let in_file = BlobBody::File {
            path: file.path().to_owned(),
            octets: 90,
        };
        for body in [BlobBody::Memory(all[10..].to_vec().into()), in_file] {
            let source = BlobSource {
                prefix: all[..10].to_vec().into(),
                body,
            };
            for range in [0..0, 0..5, 5..10, 5..15, 10..10, 10..50, 50..100, 0..100] {
                let found = part(&source, range.clone()).await.unwrap();
                let wanted = &all[range.start as usize..range.end as usize];
                assert_eq!(found, wanted, "{range:?}");
            }
            let digests = Digests::of_source(&source).await.unwrap();
            assert_eq!(digests, Digests::of(&all));
        }
    }
}
