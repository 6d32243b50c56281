//! The files of an export: `tmp/`, written and synced, then renamed to `new/` or `cur/`.
//!
//! The name of a message is `<seconds>.M<micros>U<UID>V<UIDVALIDITY>.postrider,S=<size>`: by it an export knows what it wrote.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use postrider_storage::Error;
use postrider_storage::blob::BlobStream;
use postrider_storage::index::{BlobRef, Message};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::ExportError;
use crate::moving::maildir::{FileName, LIST_LIMIT, UidList, open_regular};

/// Says whose export this is.
const MARK: &str = "postrider-export";
/// The host in the names of messages.
const HOST: &[u8] = b".postrider,S=";

/// A folder that is exported to.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
}

/// A message that is there.
#[derive(Clone, Debug)]
pub(super) struct Present {
    pub(super) path: PathBuf,
    pub(super) size: u64,
}

/// The name of a message without its flags.
pub(super) fn base(message: &Message, uid_validity: u32) -> Vec<u8> {
    let at = message.internal_date.0.max(0);
    let (seconds, micros) = (at / 1_000_000, at % 1_000_000);
    let (uid, size) = (message.uid, message.size);
    format!("{seconds}.M{micros}U{uid}V{uid_validity}.postrider,S={size}").into_bytes()
}

fn is_ours(base: &[u8]) -> bool {
    base.windows(HOST.len()).any(|it| it == HOST)
}

impl Disk {
    /// Takes a folder for the export of an account. One that has something else in it is refused.
    pub(super) fn claim(path: PathBuf, email: &str) -> Result<Self, ExportError> {
        let disk = Self { path };
        let mark = disk.path.join(MARK);
        let said = disk.told(&mark, read(&mark).map(Some).or_else(absent))?;
        match said {
            Some(said) if said.trim_ascii_end() == email.as_bytes() => return Ok(disk),
            Some(_) => return Err(disk.occupied("it is an export of another account")),
            None => {}
        }
        let entries = disk.told(
            &disk.path,
            fs::read_dir(&disk.path).map(Some).or_else(absent),
        )?;
        // All that a run that was killed before its mark stood can have left.
        let mark_to_be = format!("{MARK}.{MARK}");
        let ours = |entry: io::Result<fs::DirEntry>| {
            entry.is_ok_and(|it| it.file_name() == mark_to_be.as_str())
        };
        if entries.is_some_and(|mut it| !it.all(ours)) {
            return Err(disk.occupied("it is not empty, and no export"));
        }
        disk.make(&disk.path)?;
        disk.list(MARK, format!("{email}\n").as_bytes())?;
        Ok(disk)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of a mailbox, made if it is not there; without a name that of INBOX.
    pub(super) fn folder(&self, name: &str) -> Result<Self, ExportError> {
        let path = match name {
            "" => self.path.clone(),
            name => self.path.join(name),
        };
        let folder = Self { path };
        for place in ["", "cur", "new", "tmp"] {
            let path = match place {
                // A slash behind its name would follow a link.
                "" => folder.path.clone(),
                place => folder.path.join(place),
            };
            folder.make(&path)?;
            // Who runs this may write where the owner of the tree may not.
            let link = place.is_empty() && name.is_empty();
            if !link
                && folder
                    .told(&path, fs::symlink_metadata(&path))?
                    .is_symlink()
            {
                return Err(
                    folder.occupied("a folder of it is a symbolic link, which is not followed")
                );
            }
        }
        if !name.is_empty() {
            folder.list("maildirfolder", b"")?;
        }
        Ok(folder)
    }

    /// What is there by its name without flags. What another program wrote is refused.
    pub(super) fn present(&self) -> Result<HashMap<Vec<u8>, Present>, ExportError> {
        let list = self.path.join("dovecot-uidlist");
        let text = self.told(&list, read(&list).map(Some).or_else(absent))?;
        let list = text.and_then(|it| UidList::parse(&it).0);
        let foreign = |list: UidList| {
            let mut files = list.files.into_keys();
            files.any(|it| !is_ours(&it))
        };
        let used = "another program delivered to it since it was exported; take an empty folder";
        if list.is_some_and(foreign) {
            return Err(self.occupied(used));
        }
        let mut present = HashMap::new();
        for place in ["cur", "new"] {
            let folder = self.path.join(place);
            for entry in self.told(&folder, fs::read_dir(&folder))? {
                let entry = self.told(&folder, entry)?;
                let base = FileName::parse(entry.file_name().as_bytes()).base;
                if !is_ours(&base) {
                    return Err(self.occupied(used));
                }
                let size = self.told(&entry.path(), entry.metadata())?.len();
                let path = entry.path();
                present.insert(base, Present { path, size });
            }
        }
        // Of a run that was stopped.
        let folder = self.path.join("tmp");
        for entry in self.told(&folder, fs::read_dir(&folder))? {
            let entry = self.told(&folder, entry)?;
            if is_ours(entry.file_name().as_bytes()) {
                self.told(&entry.path(), fs::remove_file(entry.path()))?;
            }
        }
        Ok(present)
    }

    /// Folders of mailboxes that are there, but for these.
    pub(super) fn others(&self, folders: &[String]) -> Result<Vec<PathBuf>, ExportError> {
        let mut others = Vec::new();
        for entry in self.told(&self.path, fs::read_dir(&self.path))? {
            let entry = self.told(&self.path, entry)?;
            let name = entry.file_name();
            let known = folders.iter().any(|it| name == it.as_str());
            if !known && name.as_bytes().starts_with(b".") {
                others.push(entry.path());
            }
        }
        Ok(others)
    }

    pub(super) fn remove(&self, gone: &Present) -> Result<(), ExportError> {
        self.told(&gone.path, fs::remove_file(&gone.path))
    }

    /// Gives a message that is there the name it has to have now.
    pub(super) fn rename(
        &self,
        here: &Present,
        name: &FileName,
        recent: bool,
    ) -> Result<(), ExportError> {
        let to = self.place(name, recent);
        match to == here.path {
            true => Ok(()),
            false => self.told(&to, fs::rename(&here.path, &to)),
        }
    }

    fn place(&self, name: &FileName, recent: bool) -> PathBuf {
        match recent {
            true => self.path.join("new").join(OsStr::from_bytes(&name.base)),
            false => self.path.join("cur").join(OsStr::from_bytes(&name.write())),
        }
    }

    /// Writes a message; why it cannot be, if its octets are not those that were stored.
    pub(super) async fn write(
        &self,
        name: &FileName,
        recent: bool,
        message: &Message,
        body: &BlobRef,
        mut chunks: BlobStream,
    ) -> Result<Option<String>, ExportError> {
        let temporary = self.path.join("tmp").join(OsStr::from_bytes(&name.base));
        let file = self.told(&temporary, create(&temporary))?;
        let mut file = tokio::fs::File::from_std(file);
        let mut hash = Sha256::new();
        let mut broken = None;
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(octets) => {
                    hash.update(&octets);
                    self.told(&temporary, file.write_all(&octets).await)?;
                }
                Err(Error::Unavailable(text)) => return Err(Error::Unavailable(text).into()),
                Err(error) => {
                    broken = Some(error.to_string());
                    break;
                }
            }
        }
        self.told(&temporary, file.flush().await)?;
        if broken.is_none() && hash.finalize()[..] != body.sha256 {
            broken = Some("its octets are not those that were stored".to_owned());
        }
        if broken.is_some() {
            self.told(&temporary, fs::remove_file(&temporary))?;
            return Ok(broken);
        }
        let to = self.place(name, recent);
        let (from, at) = (temporary.clone(), time(message.internal_date.0));
        let file = file.into_std().await;
        let work = move || {
            file.set_modified(at)?;
            file.sync_all()?;
            fs::rename(&from, &to)
        };
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|error| Error::Unavailable(error.to_string()))?;
        self.told(&temporary, done)?;
        Ok(None)
    }

    /// Writes a file that lists something, if it is not what is there.
    pub(super) fn list(&self, name: &str, text: &[u8]) -> Result<(), ExportError> {
        let path = self.path.join(name);
        if read(&path).is_ok_and(|before| before == text) {
            return Ok(());
        }
        let temporary = self.path.join(format!("{MARK}.{name}"));
        let write = || {
            let mut file = create(&temporary)?;
            file.write_all(text)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        self.told(&path, write())
    }

    /// What was renamed stays so over a power failure.
    pub(super) fn sync(&self) -> Result<(), ExportError> {
        for place in ["cur", "new", ""] {
            let folder = self.path.join(place);
            self.told(&folder, File::open(&folder).and_then(|it| it.sync_all()))?;
        }
        Ok(())
    }

    /// What Dovecot calls the mailbox: always the same for the same one.
    pub(super) fn guid(&self, uid_validity: u32) -> String {
        let name = self.path.file_name().map_or(&b""[..], OsStr::as_bytes);
        let name = if name.starts_with(b".") { name } else { b"" };
        let digest = Sha256::digest([name, &uid_validity.to_be_bytes()].concat());
        digest[..16].iter().map(|it| format!("{it:02x}")).collect()
    }

    fn make(&self, path: &Path) -> Result<(), ExportError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        self.told(path, made)
    }

    fn occupied(&self, why: &'static str) -> ExportError {
        let path = self.path.display().to_string();
        ExportError::Occupied { path, why }
    }

    fn told<T>(&self, path: &Path, result: io::Result<T>) -> Result<T, ExportError> {
        result.map_err(|error| ExportError::Disk {
            path: path.display().to_string(),
            error,
        })
    }
}

/// What a regular file holds.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let (file, _) = open_regular(path)?;
    let mut text = Vec::new();
    file.take(LIST_LIMIT).read_to_end(&mut text)?;
    Ok(text)
}

/// What is not there is none.
fn absent<T>(error: io::Error) -> io::Result<Option<T>> {
    match error.kind() {
        ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    }
}

/// A new file for the owner alone; one that a stopped run left goes.
fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Microseconds since 1970 as the file system has it.
fn time(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    let time = match micros < 0 {
        true => UNIX_EPOCH.checked_sub(distance),
        false => UNIX_EPOCH.checked_add(distance),
    };
    time.unwrap_or(UNIX_EPOCH)
}
