//! Folders and mailboxes: `.Projects.2026` is `Projects/2026`; names are in modified UTF-7 (RFC 3501 section 5.1.3).

use bytes::BytesMut;
use postrider_protocol::imap::syntax::{mailbox::MailboxName, utf7};
use sha2::{Digest, Sha256};

/// Where mailboxes come whose own name none can have.
const ELSEWHERE: &str = "Imported";
/// Longest name of a folder, in octets (the limit of common file systems).
pub const FOLDER_LIMIT: usize = 255;

/// The mailbox of a folder's name without its first dot; and whether it is what the folder says.
pub fn mailbox_of(folder: &[u8]) -> (MailboxName, bool) {
    let mut levels = Vec::new();
    for level in folder.split(|it| *it == b'.') {
        match level_of(level) {
            Some(level) => levels.push(level),
            None => return (made_up(folder), false),
        }
    }
    match MailboxName::new(&levels.join("/")) {
        Ok(name) if !name.is_inbox() => (name, true),
        _ => (made_up(folder), false),
    }
}

/// A level in modified UTF-7, in UTF-8, or as it stands. None if it has a delimiter of ours, which would make two of it.
fn level_of(level: &[u8]) -> Option<String> {
    let text = utf7::decode(level).or_else(|| lenient(level));
    let text = text.or_else(|| String::from_utf8(level.to_vec()).ok())?;
    (!text.contains('/')).then_some(text)
}

/// Modified UTF-7 that shifts what need not be, as names of our own store do with a dot.
fn lenient(level: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut rest = std::str::from_utf8(level).ok().filter(|it| it.is_ascii())?;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        let (shift, tail) = rest[at + 1..].split_once('-')?;
        rest = tail;
        match shift {
            "" => text.push('&'),
            "AC4" => text.push('.'),
            _ => text.push_str(&utf7::decode(format!("&{shift}-").as_bytes())?),
        }
    }
    text.push_str(rest);
    Some(text)
}

/// A name for a mailbox that cannot have its own: as much of it as can be, and what makes it unique.
pub fn made_up(folder: &[u8]) -> MailboxName {
    let digest = Sha256::digest(folder);
    let mut name: String = String::from_utf8_lossy(folder)
        .chars()
        .map(|it| match it {
            '/' | '\u{fffd}' | '\u{2028}' | '\u{2029}' => '_',
            it if it.is_control() => '_',
            it => it,
        })
        .take(60)
        .collect();
    name.push_str(&format!(
        "-{:02x}{:02x}{:02x}{:02x}",
        digest[0], digest[1], digest[2], digest[3]
    ));
    let name = MailboxName::new(&format!("{ELSEWHERE}/{name}"));
    name.unwrap_or_else(|_| MailboxName::inbox())
}

/// The folder of a mailbox, and whether another program reads the same name from it; none for INBOX. A dot in a level has no form of its own.
pub fn folder_of(mailbox: &str) -> Option<(String, bool)> {
    if mailbox == "INBOX" {
        return None;
    }
    let exact = !mailbox.contains('.');
    let mut folder = encoded(mailbox);
    if folder.len() <= FOLDER_LIMIT {
        return Some((folder, exact));
    }
    let digest = Sha256::digest(mailbox.as_bytes());
    let mark: String = digest[..8].iter().map(|it| format!("{it:02x}")).collect();
    // Whole characters: a shift that is cut would mean something else, and one may be all that the name has.
    let mut kept = mailbox.to_owned();
    while folder.len() > FOLDER_LIMIT - mark.len() - 1 {
        kept.pop();
        folder = encoded(&kept);
    }
    let folder = folder.trim_end_matches('.');
    Some((format!("{folder}-{mark}"), false))
}

/// A mailbox's name as that of a folder, however long.
fn encoded(mailbox: &str) -> String {
    let mut wire = BytesMut::new();
    for level in mailbox.split('/') {
        wire.extend_from_slice(b".");
        utf7::encode(&level.replace('.', "_"), &mut wire);
    }
    String::from_utf8_lossy(&wire).into_owned()
}
