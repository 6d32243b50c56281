//! `[store]`: where message bodies lie.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use postrider_protocol::secret::Secret;
use postrider_storage::blob::S3Settings;

use super::{
    ByteCount,
    secret::{secret, unreadable},
    source::{Found, Table},
};

/// Where message bodies lie.
#[derive(Clone, Debug)]
pub enum Store {
    /// Maildir on the local file system.
    Filesystem {
        /// Its root.
        root: PathBuf,
    },
    /// A bucket of an S3-compatible store.
    S3(S3),
}

/// A bucket of an S3-compatible store.
#[derive(Clone, Debug)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// URL of the store.
    pub endpoint: String,
    /// Region.
    pub region: String,
    /// The bucket's name is in the path, not in the host name.
    pub path_style: bool,
    /// Access key.
    pub access_key: Secret<String>,
    /// Secret key.
    pub secret_key: Secret<String>,
    /// Certificates in PEM that sign the store's; none: those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// How long the store may be silent before a request counts as lost.
    pub timeout: Duration,
    /// Octets from which a body is sent in parts.
    pub multipart_from: ByteCount,
    /// Octets of a part.
    pub part_size: ByteCount,
    /// What is put is read back and compared.
    pub read_back: bool,
    /// When what was put can be read.
    pub consistency: Consistency,
    /// Bodies kept on the local disk; none: they are not.
    pub cache: Option<Cache>,
}

/// When what was put can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Consistency {
    /// At once, everywhere.
    Strong,
    /// A while later.
    Eventual,
}

/// A name that stands for no consistency.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("unknown consistency; known are strong and eventual")]
pub struct UnknownConsistency;

impl FromStr for Consistency {
    type Err = UnknownConsistency;

    fn from_str(text: &str) -> Result<Self, UnknownConsistency> {
        match text {
            "strong" => Ok(Self::Strong),
            "eventual" => Ok(Self::Eventual),
            _ => Err(UnknownConsistency),
        }
    }
}

/// Bodies that were read, on the local disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cache {
    /// Where.
    pub dir: PathBuf,
    /// What they may come to.
    pub size: ByteCount,
}

impl S3 {
    /// How to reach the bucket; the certificates are read now.
    ///
    /// # Errors
    /// What is wrong with the file of certificates.
    pub fn settings(&self) -> Result<S3Settings, String> {
        let ca = self.ca_file.as_deref().map(read_ca).transpose()?;
        Ok(S3Settings {
            region: self.region.clone(),
            path_style: self.path_style,
            ca,
            timeout: self.timeout,
            multipart_from: self.multipart_from.0,
            part: self.part_size.0,
            read_back: self.read_back,
            late: self.consistency == Consistency::Eventual,
            ..S3Settings::new(
                &self.endpoint,
                &self.bucket,
                self.access_key.expose(),
                self.secret_key.expose(),
            )
        })
    }
}

fn read_ca(path: &Path) -> Result<Vec<u8>, String> {
    let pem = fs::read(path).map_err(|error| unreadable("store.ca_file", path, &error))?;
    match S3Settings::is_ca(&pem) {
        true => Ok(pem),
        false => Err(format!(
            "store.ca_file: {} holds no certificate in PEM",
            path.display()
        )),
    }
}

/// `store.kind`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Filesystem,
    S3,
}

/// A name that stands for no kind of store.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("unknown kind of store; known are filesystem and s3")]
pub(super) struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        match text {
            "filesystem" => Ok(Self::Filesystem),
            "s3" => Ok(Self::S3),
            _ => Err(UnknownKind),
        }
    }
}

/// Keys that belong to one kind alone.
const S3_KEYS: [&str; 14] = [
    "bucket",
    "endpoint",
    "region",
    "path_style",
    "access_key",
    "access_key_file",
    "secret_key",
    "secret_key_file",
    "ca_file",
    "timeout",
    "multipart_from",
    "part_size",
    "read_back",
    "consistency",
];

/// Reads the section.
pub(super) fn read(root: &Table<'_>, data_dir: &Path) -> Store {
    let table = root.table("store");
    let source = table.source;
    let kind = table.get::<Kind>("kind");
    let folder = table.get::<PathBuf>("root");
    let wanted = kind.is_some_and(|it| it.value == Kind::S3);
    let s3 = read_s3(&table, data_dir, wanted);
    let filesystem = |folder: Option<Found<PathBuf>>| Store::Filesystem {
        root: folder.map_or_else(|| data_dir.join("mail"), |it| it.value),
    };
    match kind {
        Some(Found {
            value: Kind::S3, ..
        }) => {
            if let Some(folder) = folder {
                source.error(
                    Some(folder.at),
                    "store.root belongs to store.kind \"filesystem\", not \"s3\"",
                );
            }
            s3.map_or_else(|| filesystem(None), Store::S3)
        }
        // A kind that could not be read has its problem already; its keys are not doubted on top.
        None if table.has("kind") => filesystem(folder),
        _ => {
            let found = S3_KEYS.map(|key| table.value(key)).into_iter().flatten();
            let cache = table.table("cache");
            let kept = ["dir", "size"].map(|key| cache.value(key));
            for value in found.chain(kept.into_iter().flatten()) {
                let message = format!("{} belongs to store.kind \"s3\"", value.path);
                source.error(Some(value.at), message);
            }
            filesystem(folder)
        }
    }
}

/// Reads all keys, and says what is missing only if they are wanted.
fn read_s3(table: &Table<'_>, data_dir: &Path, wanted: bool) -> Option<S3> {
    let bucket = table.get::<String>("bucket");
    let endpoint = table.get::<String>("endpoint");
    let region = table.or("region", "us-east-1".to_owned());
    let path_style = table.or("path_style", false);
    let access_key = secret(table, "access_key");
    let secret_key = secret(table, "secret_key");
    let ca_file = table.get::<PathBuf>("ca_file");
    let seconds = Duration::from_secs;
    let timeout = table.within("timeout", seconds(20), seconds(1)..=seconds(600));
    let mebibytes = ByteCount::mebibytes;
    let multipart_from = table.within(
        "multipart_from",
        mebibytes(16),
        mebibytes(5)..=mebibytes(5 * 1024),
    );
    let part_size = table.within("part_size", mebibytes(8), mebibytes(5)..=mebibytes(1024));
    let read_back = table.or("read_back", false);
    let consistency = table.or("consistency", Consistency::Strong);
    let cache = read_cache(&table.table("cache"), data_dir);
    if !wanted {
        return None;
    }
    let source = table.source;
    if let Some(Found { value, at }) = &ca_file
        && let Err(message) = read_ca(value)
    {
        source.error(Some(*at), message);
    }
    for key in ["bucket", "endpoint"] {
        if !table.has(key) {
            source.error(table.at(), format!("store.{key} is missing"));
        }
    }
    for key in ["access_key", "secret_key"] {
        if !table.has(key) && !table.has(&format!("{key}_file")) {
            source.error(
                table.at(),
                format!("store.{key} (or store.{key}_file) is missing"),
            );
        }
    }
    if let Some(bucket) = bucket.as_ref().filter(|it| !is_bucket(&it.value)) {
        let message = "store.bucket: not the name of a bucket; 3 to 63 lower-case letters, digits, dots and hyphens";
        source.error(Some(bucket.at), message);
    }
    if let Some(endpoint) = endpoint.as_ref().filter(|it| !is_endpoint(&it.value)) {
        let message = "store.endpoint: must be a URL such as \"https://minio.example.com\"";
        source.error(Some(endpoint.at), message);
    }
    if let Some(endpoint) = endpoint.as_ref().filter(|it| is_in_clear(&it.value)) {
        let message = "store.endpoint: mail goes there in clear; use https://";
        source.warning(Some(endpoint.at), message);
    }
    Some(S3 {
        bucket: bucket?.value,
        endpoint: endpoint?.value,
        region,
        path_style,
        access_key: access_key?,
        secret_key: secret_key?,
        ca_file: ca_file.map(|it| it.value),
        timeout,
        multipart_from,
        part_size,
        read_back,
        consistency,
        cache,
    })
}

/// Off unless a size is given: bodies would lie on this machine, too, and longer than in the store.
fn read_cache(table: &Table<'_>, data_dir: &Path) -> Option<Cache> {
    let dir = table.get::<PathBuf>("dir");
    let most = ByteCount(1 << 50);
    let size = table.within("size", ByteCount(0), ByteCount(0)..=most);
    if let Some(dir) = dir.as_ref().filter(|_| !table.has("size")) {
        let message = "store.cache.dir: without store.cache.size nothing is kept there";
        table.source.warning(Some(dir.at), message);
    }
    let dir = dir.map_or_else(|| data_dir.join("cache"), |it| it.value);
    (size.0 > 0).then_some(Cache { dir, size })
}

/// Whether others could read what is sent to an endpoint.
fn is_in_clear(url: &str) -> bool {
    let Some(host) = url.strip_prefix("http://") else {
        return false;
    };
    let local = ["127.", "localhost", "[::1]"];
    !local.iter().any(|it| host.starts_with(it))
}

fn is_bucket(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    (3..=63).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.'])
        && !name.contains("..")
}

fn is_endpoint(url: &str) -> bool {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        !rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' '])
    })
}
