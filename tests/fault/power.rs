//! What a power cut would have left: the data folder again, made from a copy of it and the journal of all changes since.
//!
//! The rules are POSIX's, not those of one kind of file system. Octets are on the disk once an fsync of their file, begun after they were
//! written, has succeeded; a name once an fsync of its folder has. What no fsync has covered may be there or not, each write
//! by itself and cut at any sector. What an fsync failed on is gone, whatever the next fsync says.
//!
//! **Invariants.** The journal's layout is that of `shim.c`. What lies in a Maildir is never written in place, so the copy of that is links.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Octets that a disk writes or does not.
const SECTOR: usize = 512;

/// What becomes of what no fsync has covered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsynced {
    /// It is gone.
    Lost,
    /// It is there: the process alone died.
    Kept,
    /// The one or the other, by this seed.
    Either(u64),
}

/// A data folder before a server starts.
#[derive(Debug)]
pub struct Before {
    data: PathBuf,
    copy: PathBuf,
    /// Files by their number, and where they are in the copy.
    files: HashMap<u64, PathBuf>,
    names: BTreeMap<PathBuf, Node>,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Node {
    Folder,
    /// The n-th of the files.
    File(usize),
}

impl Before {
    /// Copies `data` to `copy`, which is emptied first. No server may run.
    pub fn copy(data: &Path, copy: &Path) -> io::Result<Self> {
        match fs::remove_dir_all(copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(copy)?,
        }
        let mut before = Self {
            data: data.canonicalize()?,
            copy: copy.to_owned(),
            files: HashMap::new(),
            names: BTreeMap::new(),
        };
        before.copy_folder(Path::new(""))?;
        Ok(before)
    }

    fn copy_folder(&mut self, below: &Path) -> io::Result<()> {
        for entry in fs::read_dir(self.data.join(below))? {
            let entry = entry?;
            let (name, meta) = (below.join(entry.file_name()), entry.metadata()?);
            let to = self.copy.join(&name);
            if meta.is_dir() {
                fs::create_dir(&to)?;
                self.names.insert(name.clone(), Node::Folder);
                self.copy_folder(&name)?;
                continue;
            }
            match name.starts_with("mail") {
                true => fs::hard_link(entry.path(), &to)?,
                false => drop(fs::copy(entry.path(), &to)?),
            }
            self.names.insert(name, Node::File(self.files.len()));
            self.files.insert(meta.ino(), to);
        }
        Ok(())
    }

    /// Puts into the place of the data folder what a power cut would have left of it; says how many changes were lost.
    pub fn cut_power(self, journal: &Path, unsynced: Unsynced) -> io::Result<usize> {
        let octets = match fs::read(journal) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let mut disk = Disk::new(&self);
        let mut rest = octets.as_slice();
        while let Some(record) = Record::take(&mut rest) {
            disk.note(&record);
        }
        let mut dice = match unsynced {
            Unsynced::Either(seed) => seed,
            _ => 0,
        };
        let mut stays = |fate: Fate| match (fate, unsynced) {
            (Fate::Durable, _) | (Fate::Open, Unsynced::Kept) => true,
            (Fate::Gone, _) | (Fate::Open, Unsynced::Lost) => false,
            (Fate::Open, Unsynced::Either(_)) => next(&mut dice).is_multiple_of(2),
        };
        let after = self.data.with_extension("after");
        fs::create_dir(&after)?;
        let lost = disk.write(&self, &after, &mut stays)?;
        fs::remove_dir_all(&self.data)?;
        fs::rename(&after, &self.data)?;
        Ok(lost)
    }
}

fn next(dice: &mut u64) -> u64 {
    *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*dice ^ (*dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)) >> 7
}

/// Whether a change is on the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Open,
    Durable,
    Gone,
}

/// A change of octets.
struct Edit<'a> {
    fate: Fate,
    at: u64,
    /// None: it was cut to `at` octets.
    octets: Option<&'a [u8]>,
}

/// A change of names, all of it or nothing.
struct Naming {
    fate: Fate,
    /// The folder whose fsync makes it durable.
    folder: PathBuf,
    gone: Option<PathBuf>,
    made: Option<(PathBuf, Node)>,
}

/// A disk with everything that was asked of it.
struct Disk<'a> {
    root: PathBuf,
    /// Where each file was in the copy, if it was, and what was done to it.
    files: Vec<(Option<PathBuf>, Vec<Edit<'a>>)>,
    /// Files by their number now.
    numbers: HashMap<u64, usize>,
    /// Names as programs see them.
    names: BTreeMap<PathBuf, Node>,
    namings: Vec<Naming>,
    /// Open fsyncs: how many changes of the file, and of names, were there when it began.
    syncs: HashMap<u64, (usize, usize)>,
}

impl<'a> Disk<'a> {
    fn new(before: &Before) -> Self {
        let mut files = Vec::new();
        files.resize_with(before.files.len(), || (None, Vec::new()));
        let mut numbers = HashMap::new();
        for (number, copy) in &before.files {
            let name = copy.strip_prefix(&before.copy).unwrap_or(copy);
            if let Some(Node::File(at)) = before.names.get(name) {
                files[*at].0 = Some(copy.clone());
                numbers.insert(*number, *at);
            }
        }
        Self {
            root: before.data.clone(),
            files,
            numbers,
            names: before.names.clone(),
            namings: Vec::new(),
            syncs: HashMap::new(),
        }
    }

    fn name(&self, path: &str) -> PathBuf {
        let path = Path::new(path);
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    fn note(&mut self, record: &Record<'a>) {
        let name = self.name(record.first);
        match record.kind {
            Kind::Write | Kind::Truncate => {
                let Some(at) = self.numbers.get(&record.inode) else {
                    return;
                };
                self.files[*at].1.push(Edit {
                    fate: Fate::Open,
                    at: record.number,
                    octets: (record.kind == Kind::Write).then_some(record.octets),
                });
            }
            Kind::Create => {
                self.files.push((None, Vec::new()));
                self.numbers.insert(record.inode, self.files.len() - 1);
                self.rename(None, Some((name, Node::File(self.files.len() - 1))));
            }
            Kind::Mkdir => self.rename(None, Some((name, Node::Folder))),
            Kind::Unlink => self.rename(Some(name), None),
            Kind::Rename => {
                if let Some(node) = self.names.get(&name).copied() {
                    let to = self.name(record.second);
                    self.rename(Some(name), Some((to, node)));
                }
            }
            Kind::SyncBegin => {
                let file = self.numbers.get(&record.inode);
                let edits = file.map_or(0, |at| self.files[*at].1.len());
                self.syncs
                    .insert(record.number, (edits, self.namings.len()));
            }
            Kind::SyncDone | Kind::SyncFailed => {
                let fate = match record.kind {
                    Kind::SyncDone => Fate::Durable,
                    _ => Fate::Gone,
                };
                let Some((edits, namings)) = self.syncs.remove(&record.number) else {
                    return;
                };
                let settle = |it: &mut Fate| {
                    if *it == Fate::Open {
                        *it = fate;
                    }
                };
                if let Some(at) = self.numbers.get(&record.inode) {
                    let edits = &mut self.files[*at].1[..edits];
                    edits.iter_mut().for_each(|it| settle(&mut it.fate));
                }
                let namings = self.namings[..namings].iter_mut();
                let here = namings.filter(|it| it.folder == name);
                here.for_each(|it| settle(&mut it.fate));
            }
        }
    }

    fn rename(&mut self, gone: Option<PathBuf>, made: Option<(PathBuf, Node)>) {
        if let Some(gone) = &gone {
            self.names.remove(gone);
        }
        if let Some((name, node)) = &made {
            self.names.insert(name.clone(), *node);
        }
        let decides = made.as_ref().map(|it| &it.0).or(gone.as_ref());
        let folder = decides.and_then(|it| it.parent()).unwrap_or(Path::new(""));
        self.namings.push(Naming {
            fate: Fate::Open,
            folder: folder.to_owned(),
            gone,
            made,
        });
    }

    /// Writes what is left to a folder; how many changes are not.
    fn write(
        &self,
        before: &Before,
        to: &Path,
        stays: &mut impl FnMut(Fate) -> bool,
    ) -> io::Result<usize> {
        let (mut names, mut lost) = (before.names.clone(), 0);
        for naming in &self.namings {
            if !stays(naming.fate) {
                lost += 1;
                continue;
            }
            if let Some(gone) = &naming.gone {
                names.remove(gone);
            }
            if let Some((name, node)) = &naming.made {
                names.insert(name.clone(), *node);
            }
        }
        for (name, node) in names {
            let path = to.join(&name);
            // Made anew at the next start; and a name in a folder whose own name was lost is lost with it.
            let shared = name.to_string_lossy().ends_with("-shm");
            if shared || !path.parent().is_some_and(Path::exists) {
                continue;
            }
            match node {
                Node::Folder => fs::create_dir(&path)?,
                Node::File(at) => {
                    let (base, edits) = &self.files[at];
                    match base {
                        Some(base) if edits.is_empty() => fs::hard_link(base, &path)?,
                        base => {
                            let octets = base.as_ref().map_or(Ok(Vec::new()), fs::read)?;
                            let (octets, more) = edited(octets, edits, stays);
                            lost += more;
                            fs::write(&path, octets)?;
                        }
                    }
                }
            }
        }
        Ok(lost)
    }
}

/// What is left of a file; how many changes are not.
fn edited(
    mut octets: Vec<u8>,
    edits: &[Edit<'_>],
    stays: &mut impl FnMut(Fate) -> bool,
) -> (Vec<u8>, usize) {
    let mut lost = 0;
    for edit in edits {
        let at = edit.at as usize;
        let Some(new) = edit.octets else {
            match stays(edit.fate) {
                true => octets.resize(at, 0),
                false => lost += 1,
            }
            continue;
        };
        if octets.len() < at + new.len() {
            octets.resize(at + new.len(), 0);
        }
        let mut complete = true;
        for (sector, part) in new.chunks(SECTOR).enumerate() {
            // Mostly whole writes stay or go; some are torn.
            let cut = sector == 0 || new.len() > SECTOR && sector.is_multiple_of(3);
            if cut {
                complete = stays(edit.fate);
                lost += usize::from(!complete);
            }
            if complete {
                let from = at + sector * SECTOR;
                octets[from..from + part.len()].copy_from_slice(part);
            }
        }
    }
    (octets, lost)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Write,
    Truncate,
    Create,
    Mkdir,
    Rename,
    Unlink,
    SyncBegin,
    SyncDone,
    SyncFailed,
}

const KINDS: [Kind; 9] = [
    Kind::Write,
    Kind::Truncate,
    Kind::Create,
    Kind::Mkdir,
    Kind::Rename,
    Kind::Unlink,
    Kind::SyncBegin,
    Kind::SyncDone,
    Kind::SyncFailed,
];

/// One entry of the journal.
struct Record<'a> {
    kind: Kind,
    inode: u64,
    number: u64,
    first: &'a str,
    second: &'a str,
    octets: &'a [u8],
}

impl<'a> Record<'a> {
    /// The next one; none at the end, also where the server died in the middle of it.
    fn take(rest: &mut &'a [u8]) -> Option<Self> {
        let (head, more) = rest.split_at_checked(32)?;
        let short = |at: usize| Some(u32::from_ne_bytes(head[at..at + 4].try_into().ok()?));
        let long = |at: usize| Some(u64::from_ne_bytes(head[at..at + 8].try_into().ok()?));
        let kind = *KINDS.get((short(0)? as usize).checked_sub(1)?)?;
        let (first, more) = more.split_at_checked(short(4)? as usize)?;
        let (second, more) = more.split_at_checked(short(8)? as usize)?;
        let (octets, more) = more.split_at_checked(short(12)? as usize)?;
        *rest = more;
        Some(Self {
            kind,
            inode: long(16)?,
            number: long(24)?,
            first: std::str::from_utf8(first).ok()?,
            second: std::str::from_utf8(second).ok()?,
            octets,
        })
    }
}
