//! Reads a message of a Maildir as clients were sent it.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bytes::Bytes;
use postrider_protocol::line::octets_as_lines;
use postrider_protocol::message::{mime::Limits, summary::Summary};
use postrider_storage::blob::BlobWritten;
use postrider_storage::index::Timestamp;
use sha2::{Digest, Sha256};

use crate::moving::maildir::{self, Found};

/// Largest message, in octets.
const LARGEST: u64 = 1 << 30;
/// What files begin with that are not messages but need another program to be read, and what that is.
const ENCODED: [(&[u8], &str); 6] = [
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"Dovecot-LZ4", "LZ4"),
    (b"CRYPTED\x03\x07", "encryption"),
];

/// A message that was read.
pub(super) struct Taken {
    pub(super) octets: Bytes,
    pub(super) written: BlobWritten,
    pub(super) line_size: u64,
    pub(super) summary: Vec<u8>,
    pub(super) internal_date: Timestamp,
    pub(super) save_date: Timestamp,
    /// What is odd about it.
    pub(super) note: Option<&'static str>,
}

/// Reads a message, wherever it is by now. None if it went; an error is why it has to be left out.
pub(super) fn take(
    folder: &Path,
    found: &mut Found,
    limits: &Limits,
) -> Result<Option<Taken>, String> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let opened = match maildir::open_regular(&found.path) {
        Err(error) if gone(&error) => {
            let Some(path) = maildir::find_again(folder, &found.name.base) else {
                return Ok(None);
            };
            found.path = path;
            maildir::open_regular(&found.path)
        }
        opened => opened,
    };
    let (file, meta) = match opened {
        Ok(opened) => opened,
        Err(error) if gone(&error) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if meta.len() > LARGEST {
        return Err("it is larger than 1 GiB".to_owned());
    }
    let mut raw = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or_default());
    let read = file.take(LARGEST).read_to_end(&mut raw);
    read.map_err(|error| error.to_string())?;
    if let Some((_, by)) = ENCODED.iter().find(|(magic, _)| raw.starts_with(magic)) {
        return Err(format!(
            "it is written with {by}: have Dovecot write it plainly first"
        ));
    }
    let short = found.name.size().is_some_and(|it| it > raw.len() as u64);
    let note =
        short.then_some("it has fewer octets than its name says; they are taken as they are");
    let octets = as_sent(raw);
    let micros = |seconds: i64, nanos: i64| {
        Timestamp(
            seconds
                .saturating_mul(1_000_000)
                .saturating_add(nanos / 1_000),
        )
    };
    Ok(Some(Taken {
        written: BlobWritten {
            size: octets.len() as u64,
            sha256: Sha256::digest(&octets).into(),
        },
        line_size: octets_as_lines(&octets),
        summary: Summary::within(&octets, limits).encode(),
        octets: octets.into(),
        internal_date: micros(meta.mtime(), meta.mtime_nsec()),
        save_date: micros(meta.ctime(), meta.ctime_nsec()),
        note,
    }))
}

/// The octets that clients were sent: lines end in CRLF, and a NUL, which cannot be sent, is 0x80 as Dovecot makes it.
fn as_sent(raw: Vec<u8>) -> Vec<u8> {
    let bare = |at: &usize| raw[*at] == b'\n' && (*at == 0 || raw[*at - 1] != b'\r');
    let more = (0..raw.len()).filter(bare).count();
    if more == 0 && !raw.contains(&0) {
        return raw;
    }
    let mut sent = Vec::with_capacity(raw.len() + more);
    let mut before = 0;
    for octet in raw {
        match octet {
            b'\n' if before != b'\r' => sent.extend_from_slice(b"\r\n"),
            0 => sent.push(0x80),
            octet => sent.push(octet),
        }
        before = octet;
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::as_sent;

    #[test]
    fn lines_end_as_they_are_sent() {
        for (raw, sent) in [
            (&b"a\nb\n"[..], &b"a\r\nb\r\n"[..]),
            (b"a\r\nb\r\n", b"a\r\nb\r\n"),
            (b"\n\n\r\n", b"\r\n\r\n\r\n"),
            (b"a\0b", b"a\x80b"),
            (b"a\rb", b"a\rb"),
            (b"", b""),
        ] {
            assert_eq!(as_sent(raw.to_vec()), sent);
        }
    }
}
