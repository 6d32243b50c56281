//! Bodies on a local file system, as Maildir++: `tmp/`, write, fsync, rename into `cur/`, fsync of the folder.
//!
//! **Invariants.** What lies under `cur/` is whole: a file gets there by one rename after its octets are durable and their
//! checksum fits the key (I2). A put returns after the folder's entry is durable too; puts that wait for the same folder share
//! one fsync. No symbolic link below the root is followed. Files are 0600, folders 0700.
//! **Bounds.** One blocking thread a put, with a buffer of 256 KiB; one a chunk group of a get.
//! **On failure.** A full, broken or read-only disk is [`Error::Unavailable`] and leaves at most a file in `tmp/`, which
//! [`FilesystemStore::sweep`] takes away.

mod attributes;
mod folder;
mod walk;
mod whole;

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use rustix::fs::OFlags;

use self::folder::Folders;
use super::{
    BlobKey, BlobMeta, BlobSource, BlobStore, BlobStream, BlobWritten, BlockingPut, CHUNK,
    beyond_end, blocking, source::CopyError,
};
use crate::Error;

/// Octets that one visit of a blocking thread reads ahead for a stream.
const READ_AHEAD: usize = 4 * CHUNK;
/// How often a put begins again because somebody removed its folder.
const ATTEMPTS: usize = 4;
/// What probes are called; no domain begins with a dot.
const PROBE: &str = ".probe-";

/// A [`BlobStore`] on a local file system.
#[derive(Clone, Debug)]
pub struct FilesystemStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Device of the root when it was opened: an unmounted disk must not look like lost mail.
    device: u64,
    folders: Folders,
}

impl FilesystemStore {
    /// Opens the store below a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot be made or read.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        blocking(move || {
            let cannot = |error| unavailable(&format!("cannot open {}", root.display()), &error);
            folder::create_all(&root).map_err(cannot)?;
            let root = root.canonicalize().map_err(cannot)?;
            let device = fs::metadata(&root).map_err(cannot)?.dev();
            let folders = Folders::new(root.clone());
            let inner = Inner {
                root,
                device,
                folders,
            };
            Ok(Self {
                inner: Arc::new(inner),
            })
        })
        .await
    }

    /// Removes what interrupted puts and probes left behind and nobody touched for so long; says how many files went.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if a folder cannot be read; what was removed stays removed.
    pub async fn sweep(&self, kept: Duration) -> Result<u64, Error> {
        let inner = self.inner.clone();
        blocking(move || walk::sweep(&inner.root, SystemTime::now(), kept)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = self.inner.clone();
        blocking(move || work(&inner)).await
    }
}

#[async_trait::async_trait]
impl BlobStore for FilesystemStore {
    async fn put(
        &self,
        key: &BlobKey,
        source: BlobSource,
        meta: &BlobMeta,
    ) -> Result<BlobWritten, Error> {
        let (key, meta) = (key.clone(), meta.clone());
        self.run(move |inner| inner.put(&key, &source, &meta)).await
    }

    async fn get(&self, key: &BlobKey, range: Range<u64>) -> Result<BlobStream, Error> {
        let wanted = key.clone();
        let (reading, first) = self.run(move |inner| inner.read(&wanted, range)).await?;
        let rest = stream::try_unfold(reading, |reading| async move {
            if reading.left == 0 {
                return Ok(None);
            }
            blocking(move || {
                reading
                    .next()
                    .map(|(reading, chunks)| Some((chunks, reading)))
            })
            .await
        });
        let chunks = stream::once(async { Ok(first) }).chain(rest);
        Ok(chunks.flat_map(in_chunks).boxed())
    }

    async fn get_all(
        &self,
        bodies: Vec<(BlobKey, u64)>,
    ) -> Result<Vec<Result<Bytes, Error>>, Error> {
        self.run(move |inner| inner.read_all(&bodies)).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), Error> {
        let key = key.clone();
        self.run(move |inner| inner.delete(&key)).await
    }

    async fn meta(&self, key: &BlobKey) -> Result<BlobMeta, Error> {
        let key = key.clone();
        self.run(move |inner| {
            let (file, _) = inner.open(&key)?;
            Ok(attributes::read(&file, &key))
        })
        .await
    }

    async fn list(
        &self,
        prefix: &str,
    ) -> Result<BoxStream<'static, Result<(BlobKey, u64), Error>>, Error> {
        let prefix = prefix.to_owned();
        let walk = self
            .run(move |inner| walk::Walk::new(&inner.root, prefix))
            .await?;
        let pages = stream::try_unfold(walk, |mut walk| {
            blocking(move || Ok(walk.next_page()?.map(|page| (page, walk))))
        });
        let found = pages.flat_map(|page| match page {
            Ok(page) => stream::iter(page.into_iter().map(Ok)).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        });
        Ok(found.boxed())
    }

    async fn probe(&self) -> Result<(), Error> {
        self.run(Inner::probe).await
    }

    fn blocking(&self) -> Option<Arc<dyn BlockingPut>> {
        Some(self.inner.clone())
    }
}

impl BlockingPut for Inner {
    fn put(
        &self,
        key: &BlobKey,
        source: &BlobSource,
        meta: &BlobMeta,
    ) -> Result<BlobWritten, Error> {
        for _ in 0..ATTEMPTS {
            match self.try_put(key, source, meta) {
                Ok(written) => return Ok(written),
                Err(PutError::FolderGone) => self.folders.forget(),
                Err(PutError::Other(error)) => return Err(error),
            }
        }
        Err(Error::Unavailable(format!(
            "the folder of {key} is being removed"
        )))
    }
}

impl Inner {
    fn try_put(
        &self,
        key: &BlobKey,
        source: &BlobSource,
        meta: &BlobMeta,
    ) -> Result<BlobWritten, PutError> {
        self.mounted()?;
        let (folder, name) = key.place();
        let folder = self.root.join(folder);
        let write = |error: io::Error| PutError::from_io(key, error);
        self.folders.ensure(&folder).map_err(write)?;
        let temporary = Temporary::create(folder.join("tmp")).map_err(write)?;
        let mut file = &temporary.file;
        let written = source.copy_to(&mut file).map_err(|error| match error {
            CopyError::Write(error) => write(error),
            other => PutError::Other(other.into_error()),
        })?;
        if !key.fits(&written) {
            let error = Error::Corrupt(format!("octets that do not fit their key {key}"));
            return Err(PutError::Other(error));
        }
        attributes::write(&temporary.file, key, meta);
        temporary.file.sync_all().map_err(write)?;
        let cur = folder.join("cur");
        temporary.rename(&cur.join(name)).map_err(write)?;
        self.folders.sync(&cur).map_err(write)?;
        Ok(written)
    }

    /// Opens a body for reading; its size.
    fn open(&self, key: &BlobKey) -> Result<(File, u64), Error> {
        self.mounted()?;
        let (folder, name) = key.place();
        let cur = self.root.join(folder).join("cur");
        let opened = self.folders.check(&cur).and_then(|()| {
            let file = read_only().open(cur.join(name))?;
            let meta = file.metadata()?;
            Ok((file, meta))
        });
        match opened {
            Ok((file, meta)) if meta.is_file() => Ok((file, meta.len())),
            Ok(_) => Err(Error::Corrupt(format!("{key} is not a file"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NotFound("body")),
            Err(error) => Err(unavailable(&format!("cannot read {key}"), &error)),
        }
    }

    /// The first octets of a range, and where the rest comes from.
    fn read(&self, key: &BlobKey, range: Range<u64>) -> Result<(Reading, Bytes), Error> {
        let (file, size) = self.open(key)?;
        if range.start > range.end || range.end > size {
            return Err(beyond_end(key, &range, size));
        }
        let reading = Reading {
            file,
            key: key.clone(),
            at: range.start,
            left: range.end - range.start,
        };
        // Most bodies and nearly all parts: read now, and no other thread is asked again.
        reading.next()
    }

    fn delete(&self, key: &BlobKey) -> Result<(), Error> {
        self.mounted()?;
        let (folder, name) = key.place();
        let cur = self.root.join(folder).join("cur");
        let removed = self
            .folders
            .check(&cur)
            .and_then(|()| fs::remove_file(cur.join(name)))
            // A deleted message that a power cut brings back would look like lost mail to `fsck`.
            .and_then(|()| self.folders.sync(&cur));
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(unavailable(&format!("cannot delete {key}"), &error))
            }
            _ => Ok(()),
        }
    }

    fn probe(&self) -> Result<(), Error> {
        self.mounted()?;
        let probe = || -> io::Result<bool> {
            let octets = random_name(PROBE)?;
            let path = self.root.join(&octets);
            let mut file = create_new().read(true).open(&path)?;
            let round = (|| {
                file.write_all(octets.as_bytes())?;
                file.sync_all()?;
                file.seek(SeekFrom::Start(0))?;
                let mut back = String::new();
                file.read_to_string(&mut back)?;
                Ok(back == octets)
            })();
            fs::remove_file(&path)?;
            round
        };
        match probe() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Corrupt(
                "a probe came back with other octets".to_owned(),
            )),
            Err(error) => Err(unavailable("a probe failed", &error)),
        }
    }

    /// Whether the root is the one that was opened.
    fn mounted(&self) -> Result<(), Error> {
        match fs::metadata(&self.root) {
            Ok(meta) if meta.dev() == self.device => Ok(()),
            Ok(_) => Err(Error::Unavailable(format!(
                "another disk is mounted at {}",
                self.root.display()
            ))),
            Err(error) => Err(unavailable("the root of the store is gone", &error)),
        }
    }
}

/// An open body and what of it is still wanted.
#[derive(Debug)]
struct Reading {
    file: File,
    key: BlobKey,
    at: u64,
    left: u64,
}

impl Reading {
    fn next(mut self) -> Result<(Self, Bytes), Error> {
        let want = usize::try_from(self.left).map_or(READ_AHEAD, |left| left.min(READ_AHEAD));
        let mut octets = vec![0; want];
        match self.file.read_exact_at(&mut octets, self.at) {
            Ok(()) => {
                self.at += want as u64;
                self.left -= want as u64;
                Ok((self, octets.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Error::Corrupt(
                format!("{} became shorter while it was read", self.key),
            )),
            Err(error) => Err(unavailable(&format!("cannot read {}", self.key), &error)),
        }
    }
}

/// Cuts what was read ahead into chunks of at most [`CHUNK`].
fn in_chunks(read: Result<Bytes, Error>) -> BoxStream<'static, Result<Bytes, Error>> {
    match read {
        Ok(octets) if octets.is_empty() => stream::empty().boxed(),
        Ok(octets) if octets.len() > CHUNK => {
            let cuts = (0..octets.len()).step_by(CHUNK);
            stream::iter(cuts.map(move |at| Ok(octets.slice(at..octets.len().min(at + CHUNK)))))
                .boxed()
        }
        other => stream::iter([other]).boxed(),
    }
}

/// Why an attempt at a put ended.
enum PutError {
    /// A folder that was there a moment ago is not: begin again.
    FolderGone,
    /// For good.
    Other(Error),
}

impl PutError {
    fn from_io(key: &BlobKey, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::FolderGone,
            _ => Self::Other(unavailable(&format!("cannot write {key}"), &error)),
        }
    }
}

impl From<Error> for PutError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// A file in `tmp/` that goes away unless it is renamed.
struct Temporary {
    file: File,
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    fn create(folder: PathBuf) -> io::Result<Self> {
        let path = folder.join(random_name("")?);
        Ok(Self {
            file: create_new().open(&path)?,
            path,
            renamed: false,
        })
    }

    fn rename(mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "a temporary file stays until the next sweep");
        }
    }
}

fn random_name(prefix: &str) -> io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(format!(
        "{prefix}{}.{:016x}",
        std::process::id(),
        u64::from_be_bytes(random)
    ))
}

fn create_new() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(no_follow());
    options
}

fn read_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    // A fifo must not make a reader wait for a writer.
    options
        .read(true)
        .custom_flags(no_follow() | flags(OFlags::NONBLOCK));
    options
}

fn no_follow() -> i32 {
    flags(OFlags::NOFOLLOW)
}

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).expect("open(2) takes its flags as an int")
}

fn unavailable(what: &str, error: &io::Error) -> Error {
    Error::Unavailable(format!("{what}: {error}"))
}
