//! `dovecot-uidlist`: which file has which UID.
//!
//! A header `3 V<UIDVALIDITY> N<UIDNEXT> G<mailbox>`, then lines `<UID> [<letter><value> ...] :<file>` with rising UIDs. Version 1 has a header
//! `1 <UIDVALIDITY> <UIDNEXT>` and lines `<UID> <file>`. A file is named without its flags.

use std::collections::{HashMap, HashSet};

use super::BadLine;

/// What a list says of a file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Listed {
    /// Its UID.
    pub uid: u32,
    /// Its unique-id in POP3, where it is not the usual one.
    pub unique_id: Option<String>,
}

/// The list of a mailbox.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UidList {
    /// From 1.
    pub uid_validity: u32,
    /// Greater than all UIDs.
    pub uid_next: u32,
    /// By the file's name without flags.
    pub files: HashMap<Vec<u8>, Listed>,
}

impl UidList {
    /// Reads a list, and names the lines that make no sense: those of files that then count as not listed. None if there is no header.
    pub fn parse(text: &[u8]) -> (Option<UidList>, Vec<BadLine>) {
        let mut bad = Vec::new();
        let mut lines = text.split(|it| *it == b'\n');
        let header = lines.next().unwrap_or_default();
        let Some((version, uid_validity, uid_next)) = header_of(header) else {
            let why = "not the header of a list of UIDs";
            return (None, vec![BadLine { line: 1, why }]);
        };
        let mut list = UidList {
            uid_validity,
            uid_next: uid_next.max(1),
            files: HashMap::new(),
        };
        let mut last = 0;
        let mut own: HashSet<String> = HashSet::new();
        for (number, line) in (2..).zip(lines) {
            if line.is_empty() {
                continue;
            }
            let mut refuse = |why| bad.push(BadLine { line: number, why });
            let Some((file, mut listed)) = entry(version, line) else {
                refuse("not a UID and a file");
                continue;
            };
            if listed.uid <= last {
                refuse("its UID is not above the one before");
                continue;
            }
            if listed.uid == u32::MAX {
                refuse("there is no UID after it");
                continue;
            }
            last = listed.uid;
            if list.files.contains_key(file) {
                refuse("the file has a UID already");
                continue;
            }
            if let Some(unique_id) = &listed.unique_id {
                let good = (1..=70).contains(&unique_id.len())
                    && unique_id.bytes().all(|it| it.is_ascii_graphic());
                if !good || !own.insert(unique_id.clone()) {
                    refuse("its unique-id of POP3 cannot be used");
                    listed.unique_id = None;
                }
            }
            list.files.insert(file.to_vec(), listed);
        }
        list.uid_next = list.uid_next.max(last.saturating_add(1));
        (Some(list), bad)
    }

    /// Writes a list, with files by rising UID.
    pub fn write(&self, guid: &str) -> Vec<u8> {
        let mut out = format!("3 V{} N{}", self.uid_validity, self.uid_next).into_bytes();
        if !guid.is_empty() {
            out.extend_from_slice(format!(" G{guid}").as_bytes());
        }
        out.push(b'\n');
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_unstable_by_key(|(_, it)| it.uid);
        for (file, listed) in files {
            out.extend_from_slice(listed.uid.to_string().as_bytes());
            if let Some(unique_id) = &listed.unique_id {
                out.extend_from_slice(format!(" P{unique_id}").as_bytes());
            }
            out.extend_from_slice(b" :");
            out.extend_from_slice(file);
            out.push(b'\n');
        }
        out
    }
}

fn header_of(line: &[u8]) -> Option<(u8, u32, u32)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let version = words.next()?;
    let (mut uid_validity, mut uid_next) = (None, None);
    match version {
        "1" => {
            uid_validity = words.next()?.parse().ok();
            uid_next = words.next()?.parse().ok();
        }
        "3" => {
            for word in words {
                match word.split_at_checked(1) {
                    Some(("V", value)) => uid_validity = value.parse().ok(),
                    Some(("N", value)) => uid_next = value.parse().ok(),
                    _ => {}
                }
            }
        }
        _ => return None,
    }
    let version = version.as_bytes().first().copied()?;
    let uid_validity = uid_validity.filter(|it| *it > 0)?;
    // A UIDNEXT that is not there follows from the UIDs.
    Some((version, uid_validity, uid_next.unwrap_or(1)))
}

fn entry(version: u8, line: &[u8]) -> Option<(&[u8], Listed)> {
    let space = line.iter().position(|it| *it == b' ')?;
    let uid = std::str::from_utf8(&line[..space]).ok()?;
    // `parse` takes a sign too.
    if !uid.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let mut listed = Listed {
        uid: uid.parse().ok().filter(|it| *it > 0)?,
        unique_id: None,
    };
    let mut rest = &line[space + 1..];
    if version == b'3' {
        while rest.first() != Some(&b':') {
            let end = rest.iter().position(|it| *it == b' ')?;
            if let Some((b'P', value)) = rest[..end].split_first() {
                // What is not UTF-8 is not visible ASCII either, and is refused as that.
                listed.unique_id = Some(String::from_utf8_lossy(value).into_owned());
            }
            rest = &rest[end + 1..];
        }
        rest = &rest[1..];
    }
    // Flags do not belong to it, but some programs leave them.
    let base = rest.split(|it| *it == b':').next().unwrap_or_default();
    let good = !base.is_empty() && !base.contains(&b'/') && !base.contains(&0);
    good.then_some((base, listed))
}
