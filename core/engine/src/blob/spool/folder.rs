//! The folder of this process's spool files.
//!
//! Several processes share a data directory, so each has a folder of its own, `<number>.<random>`, and holds a lock on the
//! file `<number>.<random>.lock` beside it. Who starts removes the folders whose lock nobody holds: the left-overs of processes that died.
//!
//! **Invariants.** A folder is made after its lock is held and removed before its lock file is, so a folder without lock
//! file, or with one that can be locked, has no owner. Files are 0600 and folders 0700.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

const LOCK: &str = "lock";
/// How often a new folder is tried when a sweeper comes between making a lock file and locking it.
const ATTEMPTS: usize = 16;

/// A folder that goes away with its last user.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock_path: PathBuf,
    next: AtomicU64,
    /// Held as long as this lives.
    _lock: File,
}

impl Folder {
    /// Makes a folder below `parent`, which is made too, and removes those that have no owner.
    pub(super) fn open(parent: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
        sweep(parent)?;
        for _ in 0..ATTEMPTS {
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
            let name = format!("{}.{:016x}", std::process::id(), u64::from_be_bytes(random));
            let (path, lock_path) = (parent.join(&name), parent.join(format!("{name}.{LOCK}")));
            let lock = new_file(&lock_path)?;
            lock.lock()?;
            if !is_at(&lock, &lock_path) {
                continue;
            }
            DirBuilder::new().mode(0o700).create(&path)?;
            return Ok(Self {
                path,
                lock_path,
                next: AtomicU64::new(1),
                _lock: lock,
            });
        }
        Err(io::Error::other(
            "the lock of a new spool folder is taken again and again",
        ))
    }

    /// A new empty file.
    pub(super) fn create(&self) -> io::Result<SpoolFile> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(number.to_string());
        Ok(SpoolFile {
            file: new_file(&path)?,
            path: RemovedOnDrop(path),
        })
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Files still open elsewhere are gone with it; nobody can finish them without this folder's owner.
        let removed =
            fs::remove_dir_all(&self.path).and_then(|()| fs::remove_file(&self.lock_path));
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "a spool folder stays until the next start");
        }
    }
}

/// A file being written.
#[derive(Debug)]
pub(super) struct SpoolFile {
    pub(super) file: File,
    pub(super) path: RemovedOnDrop,
}

/// The path of a file that goes away with this value.
#[derive(Debug)]
pub(super) struct RemovedOnDrop(PathBuf);

impl RemovedOnDrop {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RemovedOnDrop {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "a spool file stays until the next start");
        }
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Whether the file at a path is still this one.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

/// Removes what has no owner.
fn sweep(parent: &Path) -> io::Result<()> {
    let (mut locks, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == LOCK) {
            locks.push(path);
        } else if path.is_dir() {
            folders.push(path);
        }
    }
    for lock_path in locks {
        let Ok(lock) = OpenOptions::new().read(true).write(true).open(&lock_path) else {
            continue;
        };
        if lock.try_lock().is_err() || !is_at(&lock, &lock_path) {
            continue;
        }
        remove_folder(&lock_path.with_extension(""))?;
        ignore_missing(fs::remove_file(&lock_path))?;
    }
    for folder in folders {
        // Looked for after the folder was seen, and made before it: without it the folder has no owner.
        let mut lock_path = folder.clone().into_os_string();
        lock_path.push(".");
        lock_path.push(LOCK);
        if fs::symlink_metadata(lock_path).is_err_and(|it| it.kind() == io::ErrorKind::NotFound) {
            remove_folder(&folder)?;
        }
    }
    Ok(())
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        tracing::info!(path = %folder.display(), "spool of an earlier life removed");
    }
    ignore_missing(fs::remove_dir_all(folder))
}

fn ignore_missing(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{io::Write, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_folder_lives_as_long_as_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let parent = dir.path().join("spool");
        let one = Folder::open(&parent).unwrap();
        let mut file = one.create().unwrap();
        file.file.write_all(b"octets").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&parent), mode(&one.path), mode(file.path.path())),
            (0o700, 0o700, 0o600)
        );

        // A second process starts: the first is alive.
        let two = Folder::open(&parent).unwrap();
        assert_ne!(one.path, two.path);
        assert!(file.path.path().exists());
        let path = file.path.path().to_owned();
        drop(file);
        assert!(!path.exists());
        drop((one, two));
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
    }

    #[test]
    fn what_the_dead_left_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        for left in ["1.dead", "2.unlocked"] {
            fs::create_dir(dir.path().join(left)).unwrap();
            fs::write(dir.path().join(left).join("1"), b"left over").unwrap();
        }
        fs::write(dir.path().join("1.dead.lock"), b"").unwrap();
        fs::write(dir.path().join("3.early.lock"), b"").unwrap();
        fs::write(dir.path().join("a file of somebody"), b"").unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let own = folder
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            names,
            [
                own.clone(),
                format!("{own}.lock"),
                "a file of somebody".to_owned()
            ]
        );
    }
}
