//! What a rebuild needs beside the octets, as extended attributes `user.postrider.*` where the file system has them.
//!
//! **On failure.** Nothing depends on attributes: where they cannot be written (no support, no room, names too long) the key
//! and the time of the file tell account, mailbox, date and checksum, and the put succeeds all the same.

use std::{
    fs::File,
    time::{Duration, SystemTime},
};

use xattr::FileExt;

use crate::blob::{BlobKey, BlobMeta, BlobWritten, name::hex};

const ACCOUNT: &str = "user.postrider.account";
const MAILBOX: &str = "user.postrider.mailbox";
const DATE: &str = "user.postrider.date";
const SENDER: &str = "user.postrider.sender";
const RECIPIENT: &str = "user.postrider.recipient";
const SHA256: &str = "user.postrider.sha256";

/// Notes everything on an open file; its time of change becomes the internal date, as Maildir programs expect.
pub(super) fn write(file: &File, meta: &BlobMeta, written: &BlobWritten) {
    let micros = Duration::from_micros(meta.internal_date.unsigned_abs());
    let date = if meta.internal_date < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(micros)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(micros)
    };
    if let Some(date) = date
        && let Err(error) = file.set_modified(date)
    {
        tracing::debug!(%error, "a body without its date");
    }
    let date = meta.internal_date.to_string();
    let sha256 = hex(&written.sha256);
    let values = [
        (SHA256, &sha256),
        (DATE, &date),
        (ACCOUNT, &meta.account),
        (MAILBOX, &meta.mailbox),
        (SENDER, &meta.sender),
        (RECIPIENT, &meta.recipient),
    ];
    for (name, value) in values {
        if value.is_empty() {
            continue;
        }
        if let Err(error) = file.set_xattr(name, value.as_bytes()) {
            tracing::trace!(name, %error, "a body without extended attributes");
            // The first refusal is the file system's; further ones would be the same.
            return;
        }
    }
}

/// Reads what was noted, and from the key what was not.
pub(super) fn read(file: &File, key: &BlobKey) -> BlobMeta {
    let text = |name| String::from_utf8(file.get_xattr(name).ok()??).ok();
    let known = BlobMeta::from_key(key);
    let modified = || {
        let since = file.metadata().ok()?.modified().ok()?;
        let since = since.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_micros()).ok()
    };
    BlobMeta {
        account: text(ACCOUNT).unwrap_or(known.account),
        mailbox: text(MAILBOX).unwrap_or(known.mailbox),
        internal_date: text(DATE)
            .and_then(|date| date.parse().ok())
            .or_else(modified)
            .unwrap_or(known.internal_date),
        sender: text(SENDER).unwrap_or_default(),
        recipient: text(RECIPIENT).unwrap_or_default(),
    }
}
