//! Whole bodies, many at once: small ones cost less to read than to find.
//!
//! Neighbours mostly lie in one folder, so the way there is walked once for all of them, and they are read into one piece of memory.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt},
};

use bytes::{Bytes, BytesMut};
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{Inner, unavailable};
use crate::{
    Error,
    blob::{BlobKey, beyond_end},
};

/// How a body is opened: no symbolic link, and a fifo must not make a reader wait for a writer.
const BODY: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
/// How its folder is: only to find bodies in it.
const FOLDER: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Inner {
    /// Reads bodies of these sizes, each with an outcome of its own.
    pub(super) fn read_all(
        &self,
        bodies: &[(BlobKey, u64)],
    ) -> Result<Vec<Result<Bytes, Error>>, Error> {
        self.mounted()?;
        let sizes = bodies.iter().map(|(_, size)| *size);
        let octets = sizes.fold(0u64, u64::saturating_add);
        let octets = usize::try_from(octets)
            .map_err(|_| Error::Invalid("bodies too large to read at once"))?;
        let mut room = BytesMut::zeroed(octets);
        let mut open: Option<(&str, io::Result<OwnedFd>)> = None;
        let mut read = Vec::with_capacity(bodies.len());
        for (key, size) in bodies {
            let (folder, name) = key.place();
            if open.as_ref().is_none_or(|(open, _)| *open != folder) {
                open = Some((folder, self.open_folder(folder)));
            }
            // Their sum is one, so each is.
            let mut octets = room.split_to(*size as usize);
            let done = match &open {
                Some((_, Ok(folder))) => read_into(folder, name, &mut octets),
                Some((_, Err(error))) => Err(Trouble::Open(io::Error::new(
                    error.kind(),
                    error.to_string(),
                ))),
                None => Err(Trouble::Open(io::ErrorKind::NotFound.into())),
            };
            read.push(match done {
                Ok(()) => Ok(octets.freeze()),
                Err(trouble) => Err(trouble.with(key, *size)),
            });
        }
        Ok(read)
    }

    fn open_folder(&self, folder: &str) -> io::Result<OwnedFd> {
        let cur = self.root.join(folder).join("cur");
        self.folders.check(&cur)?;
        Ok(openat(CWD, &cur, FOLDER, Mode::empty())?)
    }
}

/// Why a body was not read.
enum Trouble {
    Open(io::Error),
    /// It is open, and what lies there is no file.
    NoFile,
    /// It is a file of so many octets.
    Read(io::Error, u64),
}

impl Trouble {
    fn with(self, key: &BlobKey, size: u64) -> Error {
        match self {
            Self::Open(error) if error.kind() == io::ErrorKind::NotFound => Error::NotFound("body"),
            Self::NoFile => Error::Corrupt(format!("{key} is not a file")),
            Self::Read(_, there) if there < size => beyond_end(key, &(0..size), there),
            Self::Open(error) | Self::Read(error, _) => {
                unavailable(&format!("cannot read {key}"), &error)
            }
        }
    }
}

fn read_into(folder: &OwnedFd, name: &str, octets: &mut [u8]) -> Result<(), Trouble> {
    let opened = openat(folder, name, BODY, Mode::empty());
    let file = File::from(opened.map_err(|error| Trouble::Open(error.into()))?);
    // Of an empty body nothing would be read, whatever it is.
    let read = match octets.is_empty() {
        true => Err(io::ErrorKind::InvalidInput.into()),
        false => file.read_exact_at(octets, 0),
    };
    let Err(error) = read else {
        return Ok(());
    };
    match file.metadata() {
        Ok(meta) if !meta.is_file() => Err(Trouble::NoFile),
        Ok(_) if octets.is_empty() => Ok(()),
        Ok(meta) => Err(Trouble::Read(error, meta.len())),
        Err(error) => Err(Trouble::Open(error)),
    }
}
