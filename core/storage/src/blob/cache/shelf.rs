//! Which bodies lie in the cache, and which goes next.
//!
//! **Invariants.** The octets noted are at least those of the finished files; a file is noted before it gets its name and forgotten after it lost it.
//! A body that is removed while it is on its way here does not arrive.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use sha2::{Digest, Sha256};

use super::{
    SHARE, Tired,
    file::{self, Reading, Writing},
};
use crate::blob::{BlobKey, name::hex, tally};

/// Octets of a name's hash: enough that no two bodies meet.
const NAME: usize = 16;
/// Folder of files that are being written.
const FRESH: &str = "new";

type Name = [u8; NAME];

/// The folder, and what is known of it.
pub(super) struct Shelf {
    folder: PathBuf,
    room: u64,
    state: Mutex<State>,
    numbers: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Octets and place in the order of use.
    bodies: HashMap<Name, (u64, u64)>,
    /// The longest unused first.
    order: BTreeMap<u64, Name>,
    octets: u64,
    clock: u64,
    /// How many bring a body here, and whether it was removed meanwhile.
    coming: HashMap<Name, (usize, bool)>,
    tired: Tired,
}

impl State {
    fn touch(&mut self, name: &Name) -> bool {
        let Some((_, at)) = self.bodies.get_mut(name) else {
            return false;
        };
        self.clock += 1;
        self.order.remove(at);
        *at = self.clock;
        self.order.insert(*at, *name);
        true
    }

    fn note(&mut self, name: Name, octets: u64) {
        self.forget(&name);
        self.clock += 1;
        self.bodies.insert(name, (octets, self.clock));
        self.order.insert(self.clock, name);
        self.octets += octets;
        tally().came(octets);
    }

    fn forget(&mut self, name: &Name) -> bool {
        let Some((octets, at)) = self.bodies.remove(name) else {
            return false;
        };
        self.order.remove(&at);
        self.octets -= octets;
        tally().went(octets);
        true
    }
}

impl Drop for State {
    fn drop(&mut self) {
        tally().went(self.octets);
    }
}

/// Somebody reads a body from the store and may bring it here. Taken before it is read.
pub(super) struct Coming {
    shelf: Arc<Shelf>,
    name: Name,
}

impl Coming {
    /// Whether the body was removed meanwhile.
    fn is_removed(&self) -> bool {
        let state = self.shelf.state();
        state.coming.get(&self.name).is_some_and(|it| it.1)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let mut state = self.shelf.state();
        if let Some((count, _)) = state.coming.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                state.coming.remove(&self.name);
            }
        }
    }
}

impl Shelf {
    /// Looks at what an earlier process left, and removes what it did not finish.
    pub(super) fn open(folder: &Path, room: u64) -> Self {
        let shelf = Self {
            folder: folder.to_owned(),
            room,
            state: Mutex::default(),
            numbers: AtomicU64::new(0),
        };
        if room == 0 {
            return shelf;
        }
        let mut builder = fs::DirBuilder::new();
        let made = builder
            .recursive(true)
            .mode(0o700)
            .create(folder.join(FRESH));
        if let Err(error) = made {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "the cache cannot be used for now");
            shelf.state().tired.gave_up();
        }
        for (path, _) in files(&folder.join(FRESH)) {
            let _ = fs::remove_file(path);
        }
        let mut found = Vec::new();
        for (path, metadata) in folders(folder).iter().flat_map(|it| files(it)) {
            match parse(&path) {
                Some(name) => {
                    let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    found.push((used, name, metadata.len()));
                }
                // Somebody else's: in a folder of ours nothing of worth.
                None => tracing::debug!(path = %path.display(), "no file of the cache"),
            }
        }
        found.sort_unstable();
        let mut state = shelf.state();
        for (_, name, octets) in found {
            state.note(name, octets);
        }
        drop(state);
        shelf.make_room(0);
        shelf
    }

    pub(super) fn octets(&self) -> u64 {
        self.state().octets
    }

    /// Whether a body of this size may be kept now.
    pub(super) fn takes(&self, size: u64) -> bool {
        file::length(size) <= self.room / SHARE && !self.state().tired.rests()
    }

    /// Whether a body may lie here; a look that does not touch the disk.
    pub(super) fn may_have(&self, key: &BlobKey) -> bool {
        self.state().bodies.contains_key(&name(key))
    }

    /// Opens a body that lies here.
    pub(super) fn read(&self, key: &BlobKey, size: u64) -> Option<Reading> {
        let name = name(key);
        if !self.state().touch(&name) {
            return None;
        }
        let reading = Reading::open(&self.path(&name), key, size);
        if reading.is_none() {
            // Somebody wiped the folder.
            self.remove(key);
        }
        reading
    }

    /// Notes that a body may come.
    pub(super) fn expect(self: &Arc<Self>, key: &BlobKey) -> Coming {
        let name = name(key);
        self.state().coming.entry(name).or_default().0 += 1;
        Coming {
            shelf: Arc::clone(self),
            name,
        }
    }

    /// Begins to write a body.
    pub(super) fn write(&self, key: &BlobKey, size: u64) -> Option<Writing> {
        if !self.takes(size) || self.may_have(key) {
            return None;
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let fresh = self.folder.join(FRESH);
        let path = fresh.join(format!("{}-{number}", std::process::id()));
        let writing = Writing::new(path.clone(), key, size).or_else(|_| {
            fs::create_dir_all(&fresh)?;
            Writing::new(path, key, size)
        });
        if writing.is_err() {
            self.state().tired.gave_up();
        }
        writing.ok()
    }

    /// Takes a body that was written.
    pub(super) fn finish(&self, coming: &Coming, writing: Writing) {
        if coming.is_removed() {
            return;
        }
        let (name, octets) = (coming.name, file::length(writing.size()));
        self.make_room(octets);
        self.state().note(name, octets);
        let path = self.path(&name);
        if let Some(folder) = path.parent() {
            let _ = fs::create_dir_all(folder);
        }
        if !writing.finish(&path) {
            let mut state = self.state();
            state.forget(&name);
            state.tired.gave_up();
        }
        // Who removed it may have looked before it had its name.
        if coming.is_removed() {
            self.discard(&name);
        }
    }

    /// Forgets a body and removes its file.
    pub(super) fn remove(&self, key: &BlobKey) {
        let name = name(key);
        if let Some((_, removed)) = self.state().coming.get_mut(&name) {
            *removed = true;
        }
        if self.may_have(key) {
            self.discard(&name);
        }
    }

    fn discard(&self, name: &Name) {
        let _ = fs::remove_file(self.path(name));
        self.state().forget(name);
    }

    /// Removes what was used longest ago until so many octets fit.
    fn make_room(&self, octets: u64) {
        loop {
            let mut state = self.state();
            if state.octets + octets <= self.room {
                return;
            }
            let Some((_, name)) = state.order.pop_first() else {
                return;
            };
            state.forget(&name);
            drop(state);
            let _ = fs::remove_file(self.path(&name));
        }
    }

    fn path(&self, name: &Name) -> PathBuf {
        let name = hex(name);
        self.folder.join(&name[..2]).join(&name[2..])
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(key: &BlobKey) -> Name {
    let mut name = [0; NAME];
    name.copy_from_slice(&Sha256::digest(key.as_str())[..NAME]);
    name
}

/// The name that a path of ours stands for.
fn parse(path: &Path) -> Option<Name> {
    let folder = path.parent()?.file_name()?.to_str()?;
    let digits = format!("{folder}{}", path.file_name()?.to_str()?);
    if digits.len() != NAME * 2 || !digits.is_ascii() {
        return None;
    }
    let mut name = [0; NAME];
    for (at, octet) in name.iter_mut().enumerate() {
        *octet = u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(name)
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let entries = entries.filter(|it| it.file_name() != FRESH);
    entries
        .map(|it| it.path())
        .filter(|it| it.is_dir())
        .collect()
}

fn files(folder: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter_map(|it| Some((it.path(), it.metadata().ok()?)));
    files.filter(|(_, metadata)| metadata.is_file()).collect()
}
