//! What a rebuild needs beside the octets: the time of the file, and one extended attribute where the file system has them.
//!
//! Only what neither the key nor the time of the file says is noted, in one attribute that is small enough to lie in the file's inode: a file
//! system spends a block, and a place in its journal, on what does not fit there. Each line is a letter, `=`, and a value:
//!
//! | | |
//! | --- | --- |
//! | `s` | envelope sender |
//! | `r` | envelope recipient |
//! | `a` | account, where its name is too long for the key |
//! | `m` | mailbox at birth, likewise |
//! | `d` | internal date in microseconds, where it is before 1970 or the file did not take it |
//!
//! Bodies that earlier versions wrote have an attribute for each, `user.postrider.account` and so on; they are read as ever.
//!
//! **On failure.** Nothing depends on attributes: where they cannot be written (no support, no room, names too long) the key
//! and the time of the file tell account, mailbox, date and checksum, and the put succeeds all the same.

use std::{
    fs::File,
    time::{Duration, SystemTime},
};

use xattr::FileExt;

use crate::blob::{BlobKey, BlobMeta};

/// The attribute.
const META: &str = "user.postrider";

/// What earlier versions wrote.
const ACCOUNT: &str = "user.postrider.account";
const MAILBOX: &str = "user.postrider.mailbox";
const DATE: &str = "user.postrider.date";
const SENDER: &str = "user.postrider.sender";
const RECIPIENT: &str = "user.postrider.recipient";

/// Notes everything on an open file; its time of change becomes the internal date, as Maildir programs expect.
pub(super) fn write(file: &File, key: &BlobKey, meta: &BlobMeta) {
    let dated = match time(meta.internal_date).map(|date| file.set_modified(date)) {
        // What lies before 1970 is not read back.
        Some(Ok(())) => meta.internal_date >= 0,
        Some(Err(error)) => {
            tracing::debug!(%key, %error, "a body without its date");
            false
        }
        None => false,
    };
    let text = text(key, meta, dated);
    if !text.is_empty()
        && let Err(error) = file.set_xattr(META, text.as_bytes())
    {
        tracing::trace!(%key, %error, "a body without extended attributes");
    }
}

/// Reads what was noted, and from the key and the time of the file what was not.
pub(super) fn read(file: &File, key: &BlobKey) -> BlobMeta {
    let attribute = |name| String::from_utf8(file.get_xattr(name).ok()??).ok();
    let noted = attribute(META);
    let field = |letter: &str, earlier| match &noted {
        Some(noted) => value(noted, letter).map(str::to_owned),
        None => attribute(earlier),
    };
    let modified = || {
        let since = file.metadata().ok()?.modified().ok()?;
        let since = since.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_micros()).ok()
    };
    let known = BlobMeta::from_key(key);
    BlobMeta {
        account: field("a", ACCOUNT).unwrap_or(known.account),
        mailbox: field("m", MAILBOX).unwrap_or(known.mailbox),
        internal_date: field("d", DATE)
            .and_then(|date| date.parse().ok())
            .or_else(modified)
            .unwrap_or(known.internal_date),
        sender: field("s", SENDER).unwrap_or_default(),
        recipient: field("r", RECIPIENT).unwrap_or_default(),
    }
}

fn time(internal_date: i64) -> Option<SystemTime> {
    let micros = Duration::from_micros(internal_date.unsigned_abs());
    match internal_date < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(micros),
        false => SystemTime::UNIX_EPOCH.checked_add(micros),
    }
}

/// The value of the attribute; empty where there is nothing to note.
fn text(key: &BlobKey, meta: &BlobMeta, dated: bool) -> String {
    let known = BlobMeta::from_key(key);
    let date = match dated {
        true => String::new(),
        false => meta.internal_date.to_string(),
    };
    let unless = |same: bool, value| if same { "" } else { value };
    let fields = [
        ("s", meta.sender.as_str()),
        ("r", &meta.recipient),
        ("a", unless(known.account == meta.account, &meta.account)),
        ("m", unless(known.mailbox == meta.mailbox, &meta.mailbox)),
        ("d", &date),
    ];
    let mut text = String::new();
    for (letter, value) in fields {
        // No address and no name of a mailbox holds a line end; one that did would say something else.
        if value.is_empty() || value.contains('\n') {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.extend([letter, "=", value]);
    }
    text
}

/// What stands behind a letter.
fn value<'a>(text: &'a str, letter: &str) -> Option<&'a str> {
    let mut lines = text.split('\n');
    lines.find_map(|line| line.strip_prefix(letter)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{
        blob::{BlobWritten, Unique},
        index::Timestamp,
    };

    const NOW: i64 = 1_700_000_000_123_456;

    fn key(mailbox: &str) -> BlobKey {
        let written = BlobWritten {
            size: 5,
            sha256: [7; 32],
        };
        let unique = Unique::new("mx.a.test", Timestamp(NOW), &written).unwrap();
        BlobKey::for_message("a.test", "ada", mailbox, &unique).unwrap()
    }

    fn meta(mailbox: &str) -> BlobMeta {
        BlobMeta {
            account: "ada@a.test".to_owned(),
            mailbox: mailbox.to_owned(),
            internal_date: NOW,
            ..BlobMeta::default()
        }
    }

    #[test]
    fn only_what_is_not_known_anyway_is_noted() {
        let appended = meta("Projects/2026");
        assert_eq!(text(&key("Projects/2026"), &appended, true), "");
        let delivered = BlobMeta {
            sender: "bob@b.test".to_owned(),
            recipient: "ada+x@a.test".to_owned(),
            ..meta("INBOX")
        };
        let noted = text(&key("INBOX"), &delivered, true);
        assert_eq!(noted, "s=bob@b.test\nr=ada+x@a.test");
        // An inode of 256 octets has room for 60 of them.
        assert!(noted.len() <= 60);
        let long = format!("{}/{}", "x".repeat(200), "y".repeat(200));
        assert_eq!(
            text(&key(&long), &meta(&long), false),
            format!("m={long}\nd={NOW}")
        );
    }

    #[test]
    fn values_are_found_behind_their_letters() {
        let text = "s=a=b@c\nr=r=\nd=-5";
        assert_eq!(value(text, "s"), Some("a=b@c"));
        assert_eq!(value(text, "r"), Some("r="));
        assert_eq!(value(text, "d"), Some("-5"));
        assert_eq!(value(text, "a"), None);
        let sneaky = BlobMeta {
            sender: "x\nm=Trash".to_owned(),
            ..meta("INBOX")
        };
        assert_eq!(super::text(&key("INBOX"), &sneaky, true), "");
    }
}
