//! What is in a tree. It may be written meanwhile: lists are read before the files that they list, and `new/` before `cur/`, where files go from there.
//!
//! **Invariants.** No symbolic link is followed: who runs this may read more than whose mail it is.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use super::{FileName, KeywordList, LIST_LIMIT, UidList, name, subscriptions};
use crate::moving::Note;

/// How often a folder is looked through for files that its list names.
const LOOKS: usize = 3;

/// A tree.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Its mailboxes, INBOX first.
    pub folders: Vec<Folder>,
    /// Mailboxes that are subscribed; none if nothing says so.
    pub subscriptions: Vec<String>,
    /// What is not taken.
    pub left_out: Vec<Note>,
    /// What is taken, but not as it stands.
    pub notes: Vec<Note>,
}

/// A mailbox.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Where.
    pub path: PathBuf,
    /// Its name here.
    pub mailbox: String,
    /// UIDVALIDITY and UIDNEXT; none if there is no list.
    pub numbers: Option<(u32, u32)>,
    /// Its keywords.
    pub keywords: KeywordList,
    /// Its messages: those with UIDs by UID, then those without by age.
    pub messages: Vec<Found>,
}

/// A message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Where, in `new/` or `cur/`.
    pub path: PathBuf,
    /// Its name.
    pub name: FileName,
    /// What tells it from all others of the mailbox.
    pub identity: Vec<u8>,
    /// Its UID.
    pub uid: Option<u32>,
    /// Its unique-id in POP3, where it is not the usual one.
    pub unique_id: Option<String>,
    /// Nobody has seen it in a list yet.
    pub recent: bool,
}

/// Looks through a tree.
///
/// # Errors
/// Of its root.
pub fn scan(root: &Path) -> io::Result<Tree> {
    let is_maildir = |path: &Path| ["cur", "new"].iter().any(|it| path.join(it).is_dir());
    if !is_maildir(root) {
        let what = "is no Maildir: it has no folder \"cur\" or \"new\"";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut tree = Tree::default();
    let mut names: Vec<Vec<u8>> = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().as_bytes().to_vec();
        let (path, kind) = (entry.path(), entry.file_type()?);
        let hidden = name.first() == Some(&b'.');
        match hidden {
            _ if [&b"cur"[..], b"new", b"tmp"].contains(&name.as_slice()) => {}
            true if kind.is_symlink() && path.is_dir() => {
                tree.leave(&path, "a symbolic link is not followed")
            }
            true if kind.is_dir() && is_maildir(&path) => names.push(name),
            false if kind.is_dir() && is_maildir(&path) => {
                tree.leave(&path, "a Maildir that is no folder of a Maildir++")
            }
            _ => {}
        }
    }
    names.sort();
    tree.add(root.to_owned(), "INBOX".to_owned());
    for name in names {
        let path = root.join(OsStr::from_bytes(&name));
        let (mut mailbox, mut exact) = name::mailbox_of(&name[1..]);
        if tree.folders.iter().any(|it| it.mailbox == mailbox.as_str()) {
            (mailbox, exact) = (name::made_up(&name[1..]), false);
        }
        if !exact {
            let what = format!(
                "becomes the mailbox {:?}: no mailbox can have its name, or another has it",
                mailbox.as_str()
            );
            tree.note(&path, what);
        }
        tree.add(path, mailbox.as_str().to_owned());
    }
    match read_list(&root.join("subscriptions")) {
        Ok(Some(text)) => tree.subscriptions = subscriptions::parse(&text),
        Ok(None) => {}
        Err(error) => tree.leave(&root.join("subscriptions"), error.to_string()),
    }
    Ok(tree)
}

impl Tree {
    /// Messages in all.
    pub fn messages(&self) -> u64 {
        self.folders.iter().map(|it| it.messages.len() as u64).sum()
    }

    fn leave(&mut self, path: &Path, what: impl Into<String>) {
        let (path, what) = (path.to_owned(), what.into());
        self.left_out.push(Note { path, what });
    }

    fn note(&mut self, path: &Path, what: impl Into<String>) {
        let (path, what) = (path.to_owned(), what.into());
        self.notes.push(Note { path, what });
    }

    fn add(&mut self, path: PathBuf, mailbox: String) {
        let list = self.uid_list(&path.join("dovecot-uidlist"));
        let keywords = self.keyword_list(&path.join("dovecot-keywords"));
        let mut files = self.files(&path);
        let listed = |files: &HashMap<Vec<u8>, Vec<(PathBuf, bool)>>| {
            list.as_ref()
                .is_none_or(|list| list.files.keys().all(|it| files.contains_key(it)))
        };
        // A file that is renamed while its folder is read may be passed over.
        for _ in 1..LOOKS {
            if listed(&files) {
                break;
            }
            for (base, more) in self.files(&path) {
                files.entry(base).or_insert(more);
            }
        }
        let mut messages = Vec::new();
        for (base, places) in files {
            let listed = list.as_ref().and_then(|it| it.files.get(&base));
            let (uid, unique_id) = match listed {
                Some(it) => (Some(it.uid), it.unique_id.clone()),
                None => (None, None),
            };
            // In `cur/` as well as in `new/`, or twice with different flags: the first is the message, others are messages of their own unless
            // they are the same file.
            for (nth, (place, recent)) in self.distinct(places).into_iter().enumerate() {
                let name = place.file_name().unwrap_or_default().as_bytes().to_vec();
                let identity = match nth {
                    0 => base.clone(),
                    _ => [&base[..], b"\0", &name].concat(),
                };
                messages.push(Found {
                    name: FileName::parse(&name),
                    path: place,
                    identity,
                    uid: uid.filter(|_| nth == 0),
                    unique_id: unique_id.clone().filter(|_| nth == 0),
                    recent,
                });
            }
        }
        let last = (u32::MAX, 0);
        messages.sort_by(|a, b| {
            let key = |it: &Found| it.uid.map_or((last.0, it.name.order()), |uid| (uid, 0));
            key(a)
                .cmp(&key(b))
                .then_with(|| a.identity.cmp(&b.identity))
        });
        self.folders.push(Folder {
            path,
            mailbox,
            numbers: list.map(|it| (it.uid_validity, it.uid_next)),
            keywords,
            messages,
        });
    }

    fn uid_list(&mut self, path: &Path) -> Option<UidList> {
        let text = match read_list(path) {
            Ok(text) => text?,
            Err(error) => {
                self.leave(path, format!("UIDs are lost: {error}"));
                return None;
            }
        };
        let (list, bad) = UidList::parse(&text);
        for it in bad {
            self.note(path, format!("line {}: {}", it.line, it.why));
        }
        list
    }

    fn keyword_list(&mut self, path: &Path) -> KeywordList {
        match read_list(path) {
            Ok(Some(text)) => {
                let (list, bad) = KeywordList::parse(&text);
                for it in bad {
                    self.note(path, format!("line {}: {}", it.line, it.why));
                }
                list
            }
            Ok(None) => KeywordList::default(),
            Err(error) => {
                self.leave(path, format!("keywords are lost: {error}"));
                KeywordList::default()
            }
        }
    }

    /// Files of a folder by their names without flags, and whether they are new.
    fn files(&mut self, folder: &Path) -> HashMap<Vec<u8>, Vec<(PathBuf, bool)>> {
        let mut files: HashMap<Vec<u8>, Vec<(PathBuf, bool)>> = HashMap::new();
        for (place, recent) in [("new", true), ("cur", false)] {
            let path = folder.join(place);
            let entries = fs::symlink_metadata(&path).and_then(|it| match it.is_dir() {
                true => fs::read_dir(&path),
                false => Err(io::Error::other("a symbolic link is not followed")),
            });
            let entries = match entries {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.leave_once(&path, error.to_string());
                    continue;
                }
            };
            for entry in entries {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        self.leave_once(&path, error.to_string());
                        break;
                    }
                };
                let name = entry.file_name();
                if name.as_bytes().first() == Some(&b'.') {
                    continue;
                }
                match entry.file_type() {
                    Ok(kind) if kind.is_file() => {
                        let base = FileName::parse(name.as_bytes()).base;
                        files.entry(base).or_default().push((entry.path(), recent));
                    }
                    Ok(kind) if kind.is_symlink() => {
                        self.leave_once(&entry.path(), "a symbolic link is not followed".to_owned())
                    }
                    Ok(_) => self.leave_once(&entry.path(), "not a regular file".to_owned()),
                    Err(error) => self.leave_once(&entry.path(), error.to_string()),
                }
            }
        }
        files
    }

    fn leave_once(&mut self, path: &Path, what: String) {
        if !self.left_out.iter().any(|it| it.path == path) {
            self.leave(path, what);
        }
    }

    /// The places of one name that are different files; the one in `cur/` first. One that is gone meanwhile moved on.
    fn distinct(&mut self, mut places: Vec<(PathBuf, bool)>) -> Vec<(PathBuf, bool)> {
        if places.len() < 2 {
            return places;
        }
        places.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        let mut seen = Vec::new();
        places.retain(|(path, _)| match fs::symlink_metadata(path) {
            Ok(meta) if !seen.contains(&(meta.dev(), meta.ino())) => {
                seen.push((meta.dev(), meta.ino()));
                true
            }
            _ => false,
        });
        places
    }
}

/// Where a message is now that is no longer where it was seen: its flags changed, or somebody looked into the mailbox. None if it went.
pub fn find_again(folder: &Path, base: &[u8]) -> Option<PathBuf> {
    for place in ["new", "cur", "cur"] {
        for entry in fs::read_dir(folder.join(place)).ok()?.flatten() {
            if FileName::parse(entry.file_name().as_bytes()).base == base {
                return Some(entry.path());
            }
        }
    }
    None
}

/// Opens a file that is no symbolic link and nothing else but a file.
///
/// # Errors
/// Those of the system, and for what is no regular file.
pub fn open_regular(path: &Path) -> io::Result<(File, fs::Metadata)> {
    let seen = fs::symlink_metadata(path)?;
    if !seen.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let file = File::open(path)?;
    let meta = file.metadata()?;
    match (meta.dev(), meta.ino()) == (seen.dev(), seen.ino()) {
        true => Ok((file, meta)),
        false => Err(io::Error::other("it was replaced meanwhile")),
    }
}

/// Reads a file that lists something; none if it is not there.
fn read_list(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match open_regular(path) {
        Ok((file, _)) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(LIST_LIMIT + 1).read_to_end(&mut text)?;
    match text.len() as u64 > LIST_LIMIT {
        true => Err(io::Error::other("it is too long")),
        false => Ok(Some(text)),
    }
}
