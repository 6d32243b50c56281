//! Opening index and store of a configured server.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use postrider::{
    admin::Admin,
    config::{Config, DatabaseUrl, Store},
};
use postrider_storage::{
    blob::{BlobStore, FilesystemStore},
    index::{Hearing, Index, PostgresIndex, PostgresSettings, SqliteIndex},
};

use crate::Failure;

/// Whether a command may make the database, or only work on one that is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Missing {
    /// It is made.
    Make,
    /// It is an error: a listing of nothing would hide a slip in a path.
    Refuse,
}

/// Acts on the index of this server.
///
/// # Errors
/// A database that is not there or cannot be opened.
pub async fn admin(config: &Config, missing: Missing) -> Result<Admin, Failure> {
    Ok(Admin::new(index(config, missing).await?))
}

/// The index of this server.
///
/// # Errors
/// A database that is not there or cannot be opened.
pub async fn index(config: &Config, missing: Missing) -> Result<Arc<dyn Index>, Failure> {
    if let Some(mut settings) = config.database.postgres() {
        // These commands do one thing after the other.
        settings.pool_size = 2;
        settings.hearing = Hearing::Nobody;
        let index = PostgresIndex::open(&settings).await;
        return Ok(Arc::new(index.map_err(|error| unreachable(&error))?));
    }
    let path = file(config)?;
    match missing {
        Missing::Make => make_folders(config, &path)?,
        Missing::Refuse if path.exists() => {}
        Missing::Refuse => {
            let message = format!("there is no database at {}", path.display());
            return Err(Failure::new(message)
                .hint("name another with --config or --data, or make it with: postrider migrate"));
        }
    }
    // One reader: these commands read one thing after the other.
    let index = SqliteIndex::open(text(&path)?, 1).await;
    Ok(Arc::new(index.map_err(|error| cannot_open(&path, error))?))
}

/// Brings the schema up to date; what was applied.
///
/// # Errors
/// A database that cannot be opened, or is of a newer version.
pub async fn migrate(config: &Config) -> Result<(String, Vec<String>), Failure> {
    if let Some(settings) = config.database.postgres() {
        let applied = PostgresIndex::migrate(&settings).await;
        let applied = applied.map_err(|error| unreachable(&error))?;
        return Ok((place(&settings), applied));
    }
    let path = file(config)?;
    make_folders(config, &path)?;
    let applied = SqliteIndex::migrate(text(&path)?).await;
    let applied = applied.map_err(|error| cannot_open(&path, error))?;
    Ok((path.display().to_string(), applied))
}

/// The store of this server, if it is there.
///
/// # Errors
/// A store that cannot be opened.
pub async fn store(config: &Config) -> Result<Option<Arc<dyn BlobStore>>, Failure> {
    match &config.store {
        Store::Filesystem { root } if root.exists() => {
            Ok(Some(Arc::new(FilesystemStore::open(root).await?)))
        }
        Store::Filesystem { .. } => Ok(None),
        Store::S3(s3) => {
            let opened = postrider::blob::look_into_s3(s3);
            Ok(Some(Arc::new(opened.map_err(Failure::new)?)))
        }
    }
}

/// The store of this server, made if it is not there.
///
/// # Errors
/// A store that cannot be opened.
pub async fn store_to_write(config: &Config) -> Result<Arc<dyn BlobStore>, Failure> {
    match (&config.store, store(config).await?) {
        (_, Some(store)) => Ok(store),
        (Store::Filesystem { root }, None) => Ok(Arc::new(FilesystemStore::open(root).await?)),
        (Store::S3(_), None) => Err(Failure::new("there is no store")),
    }
}

fn file(config: &Config) -> Result<PathBuf, Failure> {
    match &config.database.url {
        DatabaseUrl::Sqlite(path) => Ok(path.clone()),
        DatabaseUrl::Postgres(_) => Err(Failure::new("the database is no file")),
    }
}

/// Where a database is, without who logs in and how.
fn place(settings: &PostgresSettings) -> String {
    let url = settings.url.split('?').next().unwrap_or_default();
    match url.rsplit_once('@') {
        Some((_, place)) => format!("postgres://{place}"),
        None => url.to_owned(),
    }
}

fn unreachable(error: &postrider_storage::Error) -> Failure {
    Failure::new(format!("cannot open the database: {error}"))
}

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str()
        .ok_or_else(|| Failure::new(format!("{} is not UTF-8", path.display())))
}

fn cannot_open(path: &Path, error: postrider_storage::Error) -> Failure {
    Failure::new(format!("cannot open {}: {error}", path.display()))
}

/// Data of users is nobody else's: the folders are made for the owner alone.
fn make_folders(config: &Config, database: &Path) -> Result<(), Failure> {
    for folder in [Some(config.data_dir.as_path()), database.parent()] {
        let Some(folder) = folder.filter(|it| !it.as_os_str().is_empty()) else {
            continue;
        };
        if fs::metadata(folder).is_ok_and(|it| it.is_dir()) {
            continue;
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
    }
    Ok(())
}
