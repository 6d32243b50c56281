//! `[store]`: where message bodies lie.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use postrider_protocol::secret::Secret;

use super::{
    secret::secret,
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
const S3_KEYS: [&str; 8] = [
    "bucket",
    "endpoint",
    "region",
    "path_style",
    "access_key",
    "access_key_file",
    "secret_key",
    "secret_key_file",
];

/// Reads the section.
pub(super) fn read(root: &Table<'_>, data_dir: &Path) -> Store {
    let table = root.table("store");
    let source = table.source;
    let kind = table.get::<Kind>("kind");
    let folder = table.get::<PathBuf>("root");
    let s3 = read_s3(&table, kind.is_some_and(|it| it.value == Kind::S3));
    let filesystem = |folder: Option<Found<PathBuf>>| Store::Filesystem {
        root: folder.map_or_else(|| data_dir.join("mail"), |it| it.value),
    };
    match kind {
        Some(Found {
            value: Kind::S3,
            at,
        }) => {
            if let Some(folder) = folder {
                source.error(
                    Some(folder.at),
                    "store.root belongs to store.kind \"filesystem\", not \"s3\"",
                );
            }
            source.error(
                Some(at),
                "store.kind s3 is not available in this version; use \"filesystem\"",
            );
            s3.map_or_else(|| filesystem(None), Store::S3)
        }
        // A kind that could not be read has its problem already; its keys are not doubted on top.
        None if table.has("kind") => filesystem(folder),
        _ => {
            for key in S3_KEYS {
                if let Some(value) = table.value(key) {
                    let message = format!("store.{key} belongs to store.kind \"s3\"");
                    source.error(Some(value.at), message);
                }
            }
            filesystem(folder)
        }
    }
}

/// Reads all keys, and says what is missing only if they are wanted.
fn read_s3(table: &Table<'_>, wanted: bool) -> Option<S3> {
    let bucket = table.get::<String>("bucket");
    let endpoint = table.get::<String>("endpoint");
    let region = table.or("region", "us-east-1".to_owned());
    let path_style = table.or("path_style", false);
    let access_key = secret(table, "access_key");
    let secret_key = secret(table, "secret_key");
    if !wanted {
        return None;
    }
    let source = table.source;
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
    Some(S3 {
        bucket: bucket?.value,
        endpoint: endpoint?.value,
        region,
        path_style,
        access_key: access_key?,
        secret_key: secret_key?,
    })
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
