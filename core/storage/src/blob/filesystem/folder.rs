//! Folders of the store: made once, their entries made durable, many at a time.
//!
//! **Invariants.** A folder that is noted as durable stands in its parent after a power cut, and so do all its parents up to
//! the root. [`Folders::sync`] returns after an fsync that began after it was called; callers that come while one runs share the next.
//! **Bounds.** At most [`REMEMBERED`] folders are remembered; then all are looked at again.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// Folders to remember, of about 200 octets each.
const REMEMBERED: usize = 1 << 16;

/// What is known of a folder.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Known {
    /// It is a folder and no symbolic link.
    Checked,
    /// And its entry in its parent is durable.
    Durable,
}

/// The folders below a root.
#[derive(Debug)]
pub(super) struct Folders {
    root: PathBuf,
    known: Mutex<HashMap<PathBuf, Known>>,
    /// Held by who makes folders: one that could not be made durable is taken away before anybody else relies on it.
    making: Mutex<()>,
    groups: Mutex<HashMap<PathBuf, Arc<Group>>>,
}

impl Folders {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            known: Mutex::default(),
            making: Mutex::default(),
            groups: Mutex::default(),
        }
    }

    /// Makes a Maildir folder with `cur`, `new` and `tmp` and all its parents, durably.
    pub(super) fn ensure(&self, folder: &Path) -> io::Result<()> {
        let cur = folder.join("cur");
        if self.known(&cur) == Some(Known::Durable) {
            return Ok(());
        }
        let below = folder.strip_prefix(&self.root).map_err(io::Error::other)?;
        let _making = lock(&self.making);
        let mut parent = self.root.clone();
        for component in below {
            let path = parent.join(component);
            if self.known(&path) != Some(Known::Durable) {
                self.make_durably(&parent, &[&path])?;
                self.note(&path, Known::Durable);
            }
            parent = path;
        }
        // A subfolder of Maildir++ holds this file, so that delivery programs know where they are.
        if below.components().count() > 3 {
            let marker = folder.join("maildirfolder");
            match super::create_new().open(marker) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        self.make_durably(folder, &[&folder.join("tmp"), &folder.join("new"), &cur])?;
        self.note(&cur, Known::Durable);
        Ok(())
    }

    /// Makes folders in one that is there. Those that were made and are not durable go again: an fsync that succeeds after one that failed
    /// says nothing of what the first was for, so whoever comes next has to make them anew.
    fn make_durably(&self, parent: &Path, folders: &[&Path]) -> io::Result<()> {
        let mut made = Vec::new();
        let done = folders.iter().try_for_each(|folder| {
            if make(folder)? {
                made.push(folder);
            }
            Ok(())
        });
        done.and_then(|()| self.sync(parent)).inspect_err(|_| {
            for folder in made {
                // One that stays, because the disk does not take this either, is empty.
                let _ = fs::remove_dir(folder);
            }
        })
    }

    /// Whether the way from the root to a folder is one of folders, without symbolic links.
    pub(super) fn check(&self, folder: &Path) -> io::Result<()> {
        if self.known(folder).is_some() {
            return Ok(());
        }
        let below = folder.strip_prefix(&self.root).map_err(io::Error::other)?;
        let mut path = self.root.clone();
        for component in below {
            path.push(component);
            if self.known(&path).is_none() {
                is_folder(&path)?;
                self.note(&path, Known::Checked);
            }
        }
        Ok(())
    }

    /// Forgets everything: somebody removed a folder.
    pub(super) fn forget(&self) {
        lock(&self.known).clear();
    }

    /// Makes the entries of a folder durable, together with whoever else waits for that.
    pub(super) fn sync(&self, folder: &Path) -> io::Result<()> {
        let group = {
            let mut groups = lock(&self.groups);
            groups.entry(folder.to_owned()).or_default().clone()
        };
        let outcome = group.sync(|| open_folder(folder)?.sync_all());
        let mut groups = lock(&self.groups);
        // The map's and ours: nobody else waits.
        if Arc::strong_count(&group) == 2 {
            groups.remove(folder);
        }
        outcome
    }

    fn known(&self, folder: &Path) -> Option<Known> {
        lock(&self.known).get(folder).copied()
    }

    fn note(&self, folder: &Path, state: Known) {
        let mut known = lock(&self.known);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let entry = known.entry(folder.to_owned()).or_insert(state);
        *entry = state.max(*entry);
    }
}

/// Makes a folder and its missing parents, durably: for the root alone.
pub(super) fn create_all(folder: &Path) -> io::Result<()> {
    if fs::metadata(folder).is_ok_and(|meta| meta.is_dir()) {
        return Ok(());
    }
    let parent = match folder.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(io::ErrorKind::NotFound.into()),
    };
    create_all(parent)?;
    make(folder)?;
    File::open(parent)?.sync_all().inspect_err(|_| {
        let _ = fs::remove_dir(folder);
    })
}

/// Makes a folder; whether it was not there before.
fn make(folder: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            is_folder(folder).map(|()| false)
        }
        Err(error) => Err(error),
    }
}

fn is_folder(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::NotADirectory,
        format!("{} is not a folder", path.display()),
    ))
}

fn open_folder(folder: &Path) -> io::Result<File> {
    fs::OpenOptions::new()
        .read(true)
        .custom_flags(super::no_follow())
        .open(folder)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who waits for the entries of one folder to be durable.
#[derive(Debug, Default)]
struct Group {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Rounds begun.
    begun: u64,
    /// Rounds ended.
    ended: u64,
    /// The last round that failed, and why. A later success says nothing of what an earlier failure lost.
    failed: Option<(u64, io::ErrorKind, String)>,
}

impl Group {
    fn sync(&self, fsync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = lock(&self.state);
        // The first round that begins after now.
        let mine = state.begun + 1;
        // One that is under way may take our entry with it: should it fail the entry is lost, whatever the next one says.
        let least = match state.begun > state.ended {
            true => mine - 1,
            false => mine,
        };
        while state.ended < mine {
            state.fails_since(least)?;
            if state.begun > state.ended {
                state = self
                    .done
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.begun += 1;
            let round = state.begun;
            drop(state);
            let outcome = fsync();
            state = lock(&self.state);
            state.ended = round;
            if let Err(error) = &outcome {
                state.failed = Some((round, error.kind(), error.to_string()));
            }
            self.done.notify_all();
            return outcome;
        }
        state.fails_since(least)
    }
}

impl State {
    /// The failure of this round or a later one.
    fn fails_since(&self, least: u64) -> io::Result<()> {
        match &self.failed {
            Some((round, kind, text)) if *round >= least => {
                Err(io::Error::new(*kind, text.clone()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        sync::{
            atomic::{AtomicU64, Ordering},
            mpsc,
        },
        thread,
    };

    use super::*;

    #[test]
    fn waiters_share_the_next_round_and_its_failure() {
        let group = Arc::new(Group::default());
        let rounds = Arc::new(AtomicU64::new(0));
        let (started, wait_started) = mpsc::channel();
        let (go, wait_go) = mpsc::channel::<()>();
        let first = thread::spawn({
            let (group, rounds) = (group.clone(), rounds.clone());
            move || {
                group.sync(|| {
                    rounds.fetch_add(1, Ordering::SeqCst);
                    started.send(()).unwrap();
                    wait_go.recv().unwrap();
                    Ok(())
                })
            }
        });
        wait_started.recv().unwrap();
        let waiting: Vec<_> = (0..16)
            .map(|_| {
                let (group, rounds) = (group.clone(), rounds.clone());
                thread::spawn(move || {
                    group.sync(|| {
                        rounds.fetch_add(1, Ordering::SeqCst);
                        Err(io::Error::from(io::ErrorKind::StorageFull))
                    })
                })
            })
            .collect();
        // All sixteen hold their ticket before the first round ends: each holds a reference and then waits for `done`.
        while Arc::strong_count(&group) < 18 {
            thread::yield_now();
        }
        thread::sleep(std::time::Duration::from_millis(50));
        go.send(()).unwrap();
        assert!(first.join().unwrap().is_ok());
        for waiter in waiting {
            assert_eq!(
                waiter.join().unwrap().unwrap_err().kind(),
                io::ErrorKind::StorageFull
            );
        }
        assert_eq!(rounds.load(Ordering::SeqCst), 2);
        // The failure is the past's.
        assert!(group.sync(|| Ok(())).is_ok());
    }

    /// An fsync that fails loses what is new by then, also that of who came while it was under way.
    #[test]
    fn attack_44_who_waits_behind_a_failure_has_failed_too() {
        let group = Arc::new(Group::default());
        let (started, wait_started) = mpsc::channel();
        let (go, wait_go) = mpsc::channel::<()>();
        let first = thread::spawn({
            let group = group.clone();
            move || {
                group.sync(|| {
                    started.send(()).unwrap();
                    wait_go.recv().unwrap();
                    Err(io::Error::from(io::ErrorKind::StorageFull))
                })
            }
        });
        wait_started.recv().unwrap();
        let second = thread::spawn({
            let group = group.clone();
            move || group.sync(|| Ok(()))
        });
        while Arc::strong_count(&group) < 3 {
            thread::yield_now();
        }
        thread::sleep(std::time::Duration::from_millis(50));
        go.send(()).unwrap();
        assert!(first.join().unwrap().is_err());
        assert!(second.join().unwrap().is_err());
        // Whoever comes now has an entry that is younger.
        assert!(group.sync(|| Ok(())).is_ok());
    }

    #[test]
    fn attack_44_folders_that_are_not_durable_go_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let folders = Folders::new(root.clone());
        // Stands for a disk that takes the folder and not its entry: the parent cannot be synced.
        let nowhere = root.join("nowhere");
        let (one, two) = (root.join("one"), root.join("two"));
        fs::create_dir(&two).unwrap();
        assert!(folders.make_durably(&nowhere, &[&one, &two]).is_err());
        assert!(!one.exists(), "it was made, and has to be made again");
        assert!(two.exists(), "it was there before");
        assert!(folders.make_durably(&root, &[&one, &two]).is_ok() && one.exists());
    }

    #[test]
    fn folders_are_made_once_and_links_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let folders = Folders::new(root.clone());
        let folder = root.join("d/u/Maildir/.Sent");
        folders.ensure(&folder).unwrap();
        for made in ["cur", "new", "tmp", "maildirfolder"] {
            assert!(folder.join(made).exists(), "{made}");
        }
        assert!(!root.join("d/u/Maildir/maildirfolder").exists());
        fs::remove_dir_all(root.join("d")).unwrap();
        assert!(
            folders.ensure(&folder).is_ok() && !folder.exists(),
            "it is remembered"
        );
        folders.forget();
        folders.ensure(&folder).unwrap();
        assert!(folder.join("cur").exists());

        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join("evil")).unwrap();
        for outcome in [
            folders.ensure(&root.join("evil/u/Maildir")),
            folders.check(&root.join("evil/u/Maildir/cur")),
        ] {
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::NotADirectory);
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert_eq!(
            folders.check(&root.join("nobody/u")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
