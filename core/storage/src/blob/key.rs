//! Names of bodies: `<domain>/<user>/Maildir/[.Folder.Sub/]cur/<unique>`, safe on every file system and store.
//!
//! The unique part is a Maildir name, `<seconds>.M<micros>P<pid>R<random>.<host>,S=<size>,H=<hash>:2,`: unique over
//! processes and hosts by 128 random bits, and a rebuild of a lost index reads from it when the body was written, its size and
//! its checksum. So a key is made after the octets were hashed ([`super::BlobSource::digest`]), and a store refuses octets that do not fit their key.
//!
//! **Invariants.** A key is ASCII, and no component is empty, `.`, `..` or begins with a hyphen. Keys of different owners or
//! mailboxes differ (owners even where a file system folds case or Unicode forms); a key never leaves its owner's folder.
//! **Bounds.** At most [`KEY_LIMIT`] octets, each component at most 255.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{
    BlobWritten,
    name::{
        COMPONENT_LIMIT, Decoded, decode_mailbox, decode_owner, encode_mailbox, encode_owner, hex,
    },
};
use crate::{
    Error,
    index::{INBOX, Timestamp},
};

/// Longest key, in octets (the limit of S3).
pub const KEY_LIMIT: usize = 1024;
/// Longest host name in a key, in octets; a longer one is cut, since the random part alone makes a key unique.
const HOST_LIMIT: usize = 64;

const MAILDIR: &str = "Maildir";
const CUR: &str = "cur";

/// The name of a body in the store.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BlobKey(String);

impl BlobKey {
    /// The key of a message, which lies where its first mailbox does and never moves.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a name is empty or has an empty level.
    pub fn for_message(
        domain: &str,
        local_part: &str,
        mailbox: &str,
        unique: &Unique,
    ) -> Result<BlobKey, Error> {
        let mut key = Self::prefix(domain, local_part)?;
        if let Some(folder) = encode_mailbox(mailbox)? {
            key.push_str(&folder);
            key.push('/');
        }
        key.push_str(CUR);
        key.push('/');
        key.push_str(&unique.to_string());
        // Four components of at most 255 octets and the fixed ones stay below 1,024; checked all the same.
        if key.len() > KEY_LIMIT {
            return Err(Error::Invalid("the key of a body is too long"));
        }
        Ok(BlobKey(key))
    }

    /// What all keys of an account begin with.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a name is empty.
    pub fn prefix(domain: &str, local_part: &str) -> Result<String, Error> {
        let (domain, user) = (encode_owner(domain)?, encode_owner(local_part)?);
        Ok(format!("{domain}/{user}/{MAILDIR}/"))
    }

    /// Reads a key. Its unique part may be a name that another program gave.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what [`BlobKey::for_message`] cannot make, but for the unique part.
    pub fn parse(text: &str) -> Result<BlobKey, Error> {
        let good = text.len() <= KEY_LIMIT
            && parts(text).is_some_and(|parts| {
                decode_owner(parts.domain).is_some()
                    && decode_owner(parts.user).is_some()
                    && parts.folder.is_none_or(|it| decode_mailbox(it).is_some())
                    && is_file_name(parts.file)
            });
        if !good {
            return Err(Error::Invalid("not the key of a body"));
        }
        Ok(BlobKey(text.to_owned()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Address of the account, `None` if it was too long to stand in the key.
    pub fn account(&self) -> Option<String> {
        let parts = self.parts();
        match (decode_owner(parts.user)?, decode_owner(parts.domain)?) {
            (Decoded::Name(user), Decoded::Name(domain)) => Some(format!("{user}@{domain}")),
            _ => None,
        }
    }

    /// Mailbox at birth, `None` if its name was too long to stand in the key.
    pub fn mailbox(&self) -> Option<String> {
        match self.parts().folder.map(decode_mailbox) {
            None => Some(INBOX.to_owned()),
            Some(Some(Decoded::Name(name))) => Some(name),
            Some(_) => None,
        }
    }

    /// The unique part, `None` if another program gave the name.
    pub fn unique(&self) -> Option<Unique> {
        Unique::parse(self.parts().file)
    }

    /// Whether these octets may lie under this key.
    pub fn fits(&self, written: &BlobWritten) -> bool {
        self.unique().is_none_or(|unique| unique.fits(written))
    }

    /// Everything before `cur/`, and the unique part.
    pub(super) fn place(&self) -> (&str, &str) {
        let file = self.parts().file;
        let folder = self.0.len() - file.len() - "/cur/".len();
        (&self.0[..folder], file)
    }

    fn parts(&self) -> Parts<'_> {
        parts(&self.0).expect("every constructor makes the layout")
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct Parts<'a> {
    domain: &'a str,
    user: &'a str,
    folder: Option<&'a str>,
    file: &'a str,
}

fn parts(text: &str) -> Option<Parts<'_>> {
    let mut components = text.split('/');
    let (domain, user) = (components.next()?, components.next()?);
    let maildir = components.next()?;
    let next = components.next()?;
    let (folder, cur) = if next == CUR {
        (None, next)
    } else {
        (Some(next), components.next()?)
    };
    let file = components.next()?;
    (maildir == MAILDIR && cur == CUR && components.next().is_none()).then_some(Parts {
        domain,
        user,
        folder,
        file,
    })
}

fn is_file_name(file: &str) -> bool {
    let (Some(first), true) = (file.bytes().next(), file.len() <= COMPONENT_LIMIT) else {
        return false;
    };
    first != b'.' && first != b'-' && file.bytes().all(|octet| matches!(octet, b'!'..=b'~'))
}

/// The last component of a key: what makes it unique, and what a rebuild needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unique {
    made: Timestamp,
    process: u32,
    random: u128,
    host: String,
    size: u64,
    checksum: [u8; 8],
}

impl Unique {
    /// A new one, made now, for these octets. The age of a body counts from here, whatever its INTERNALDATE says.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the system has no random octets.
    pub fn new(host: &str, now: Timestamp, written: &BlobWritten) -> Result<Unique, Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| Error::Unavailable(format!("no random octets: {error}")))?;
        let mut checksum = [0; 8];
        checksum.copy_from_slice(&written.sha256[..8]);
        Ok(Unique {
            made: Timestamp(now.0.max(0)),
            process: std::process::id(),
            random: u128::from_be_bytes(random),
            host: host_part(host),
            size: written.size,
            checksum,
        })
    }

    /// One for octets that come from elsewhere: the same each time the same octets come from the same source, so that what was interrupted finds
    /// its own again and leaves nothing over.
    pub fn derived(host: &str, made: Timestamp, source: &[u8], written: &BlobWritten) -> Unique {
        let mut checksum = [0; 8];
        checksum.copy_from_slice(&written.sha256[..8]);
        Unique {
            made: Timestamp(made.0.max(0)),
            process: 0,
            random: Unique::derivation(source),
            host: host_part(host),
            size: written.size,
            checksum,
        }
    }

    /// What [`Unique::derived`] has of a source.
    pub fn derivation(source: &[u8]) -> u128 {
        let digest = Sha256::digest(source);
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        u128::from_be_bytes(first)
    }

    /// Whether it was [derived](Unique::derived) from what the octets were read from: then it says nothing of when that was.
    pub fn is_derived(&self) -> bool {
        self.process == 0
    }

    /// What makes it unique.
    pub fn random(&self) -> u128 {
        self.random
    }

    /// When it was made; not before 1970.
    pub fn made(&self) -> Timestamp {
        self.made
    }

    /// Octets of the body.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// First octets of the body's SHA-256.
    pub fn checksum(&self) -> [u8; 8] {
        self.checksum
    }

    /// Whether these are the octets that the name was made for.
    pub fn fits(&self, written: &BlobWritten) -> bool {
        self.size == written.size && self.checksum == written.sha256[..8]
    }

    fn parse(text: &str) -> Option<Unique> {
        let (seconds, rest) = text.split_once(".M")?;
        let (micros, rest) = rest.split_once('P')?;
        let (process, rest) = rest.split_once('R')?;
        let (random, rest) = rest.split_once('.')?;
        let (host, rest) = rest.split_once(",S=")?;
        let (size, rest) = rest.split_once(",H=")?;
        let checksum = u64::from_str_radix(rest.strip_suffix(":2,")?, 16).ok()?;
        let micros: i64 = micros.parse().ok().filter(|it| *it < 1_000_000)?;
        let seconds: i64 = seconds.parse().ok()?;
        let unique = Unique {
            made: Timestamp(seconds.checked_mul(1_000_000)?.checked_add(micros)?),
            process: process.parse().ok()?,
            random: u128::from_str_radix(random, 16).ok()?,
            host: host.to_owned(),
            size: size.parse().ok()?,
            checksum: checksum.to_be_bytes(),
        };
        // Signs, leading zeros, capitals: what we did not write means nothing.
        (host_part(host) == host && unique.to_string() == text).then_some(unique)
    }
}

impl fmt::Display for Unique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = self.made.0;
        write!(
            f,
            "{}.M{}P{}R{:032x}.{},S={},H={}:2,",
            made / 1_000_000,
            made % 1_000_000,
            self.process,
            self.random,
            self.host,
            self.size,
            hex(&self.checksum),
        )
    }
}

/// A host name without what has a meaning in Maildir names.
fn host_part(host: &str) -> String {
    let safe = |octet: u8| match octet.to_ascii_lowercase() {
        safe @ (b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-') => char::from(safe),
        _ => '_',
    };
    if host.is_empty() {
        return "localhost".to_owned();
    }
    host.bytes().take(HOST_LIMIT).map(safe).collect()
}

#[cfg(test)]
mod tests;
