//! Walking the store: all bodies for `fsck`, left-overs for the sweep.
//!
//! **Bounds.** A listing holds one open folder a level (at most six) and one page of entries.

use std::{
    fs::{self, DirEntry, ReadDir},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{PROBE, unavailable};
use crate::{Error, blob::BlobKey};

/// Entries found between two visits of a blocking thread.
const PAGE: usize = 256;
/// Folders between the root and a body: domain, user, Maildir, folder, cur.
const DEPTH: usize = 5;

/// A listing under way.
#[derive(Debug)]
pub(super) struct Walk {
    prefix: String,
    /// Open folders from the root down, each with its part of the key and a slash.
    open: Vec<(String, ReadDir)>,
}

impl Walk {
    pub(super) fn new(root: &Path, prefix: String) -> Result<Self, Error> {
        let entries = fs::read_dir(root)
            .map_err(|error| unavailable(&format!("cannot list {}", root.display()), &error))?;
        Ok(Self {
            prefix,
            open: vec![(String::new(), entries)],
        })
    }

    /// Some more bodies; none at the end.
    pub(super) fn next_page(&mut self) -> Result<Option<Vec<(BlobKey, u64)>>, Error> {
        let mut page = Vec::new();
        while let Some((above, entries)) = self.open.last_mut() {
            let Some(entry) = entries.next() else {
                self.open.pop();
                continue;
            };
            let above = above.clone();
            match self.visit(&above, entry) {
                Ok(found) => page.extend(found),
                // Delivered and deleted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unavailable(&format!("cannot list {above}"), &error)),
            }
            if page.len() == PAGE {
                return Ok(Some(page));
            }
        }
        Ok((!page.is_empty()).then_some(page))
    }

    fn visit(
        &mut self,
        above: &str,
        entry: io::Result<DirEntry>,
    ) -> io::Result<Option<(BlobKey, u64)>> {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            return Ok(None);
        };
        let meta = fs::symlink_metadata(entry.path())?;
        let mut key = format!("{above}{name}");
        if meta.is_dir() {
            key.push('/');
            let on_the_way = key.starts_with(&self.prefix) || self.prefix.starts_with(&key);
            let beside = name == "tmp" || name == "new";
            // A user may be called `new`: only within a Maildir are these not what we look for.
            let in_maildir = self.open.len() > 3;
            if on_the_way && self.open.len() <= DEPTH && !(in_maildir && beside) {
                self.open.push((key, fs::read_dir(entry.path())?));
            }
            return Ok(None);
        }
        if !meta.is_file() || !key.starts_with(&self.prefix) {
            return Ok(None);
        }
        Ok(BlobKey::parse(&key).ok().map(|key| (key, meta.len())))
    }
}

/// Removes files from every `tmp/`, and probes, that nobody touched for so long.
pub(super) fn sweep(root: &Path, now: SystemTime, kept: Duration) -> Result<u64, Error> {
    let stale = now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut removed = 0;
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let swept = sweep_folder(&folder, depth, stale, &mut folders, &mut removed);
        match swept {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unavailable(
                    &format!("cannot sweep {}", folder.display()),
                    &error,
                ));
            }
            _ => {}
        }
    }
    Ok(removed)
}

fn sweep_folder(
    folder: &Path,
    depth: usize,
    stale: SystemTime,
    folders: &mut Vec<(PathBuf, usize)>,
    removed: &mut u64,
) -> io::Result<()> {
    let is_tmp = depth > 3 && folder.file_name().is_some_and(|name| name == "tmp");
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let bodies = depth >= 3 && (name == "cur" || name == "new");
            if !bodies && depth < DEPTH {
                folders.push((entry.path(), depth + 1));
            }
            continue;
        }
        let is_probe = depth == 0 && name.to_string_lossy().starts_with(PROBE);
        if kind.is_file() && (is_tmp || is_probe) && is_stale(&entry, stale)? {
            fs::remove_file(entry.path())?;
            *removed += 1;
        }
    }
    Ok(())
}

/// By the time of the last change of any kind: a body being written may bear the date of an old message.
fn is_stale(entry: &DirEntry, stale: SystemTime) -> io::Result<bool> {
    let meta = fs::symlink_metadata(entry.path())?;
    let seconds = u64::try_from(meta.ctime()).unwrap_or(0);
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) < stale)
}
