//! A file beside the database that servers lock, so that who copies it or repairs it knows whether one works on it.
//!
//! The lock is the system's and shared: it ends with the process, however that ends, and several servers may hold it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::Error;

/// The file, and our lock on it.
#[derive(Debug)]
pub(super) struct Serving {
    path: PathBuf,
    held: Mutex<Option<File>>,
}

impl Serving {
    /// That of a database.
    pub(super) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-serving");
        Self {
            path: path.into(),
            held: Mutex::default(),
        }
    }

    /// Locks it until this is dropped. Who looks meanwhile holds it for an instant, which is waited for.
    pub(super) fn begin(&self) -> Result<(), Error> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Ok(());
        }
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let locked = options.open(&self.path).and_then(|file| {
            file.lock_shared()?;
            Ok(file)
        });
        *held = Some(locked.map_err(|it| self.trouble(&it))?);
        Ok(())
    }

    /// Whether anybody has locked it.
    pub(super) fn goes_on(&self) -> Result<bool, Error> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.trouble(&error)),
        };
        match file.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(self.trouble(&error)),
        }
    }

    fn trouble(&self, error: &std::io::Error) -> Error {
        Error::Unavailable(format!("{}: {error}", self.path.display()))
    }
}
