//! `subscriptions`: mailboxes the user subscribed to. Version 1: a line each, levels parted by dots. Version 2: `V\t2`, an empty line, then a line each,
//! levels parted by tabs.

use std::collections::HashSet;

use super::name;

/// What a line cannot say as it is, in version 2: `\001` and a letter.
const ESCAPES: [(u8, u8); 5] = [
    (b'0', 0),
    (b'1', 1),
    (b't', b'\t'),
    (b'r', b'\r'),
    (b'n', b'\n'),
];

/// Reads a list; names of mailboxes here, in the order they stand.
pub fn parse(text: &[u8]) -> Vec<String> {
    let second = text.starts_with(b"V\t2");
    let mut lines = text.split(|it| *it == b'\n');
    if second {
        lines.next();
    }
    let (mut names, mut there) = (Vec::new(), HashSet::new());
    for line in lines.filter(|it| !it.is_empty()) {
        let folder = match second {
            true => {
                let levels = line.split(|it| *it == b'\t').map(unescape);
                levels.collect::<Vec<_>>().join(&b'.')
            }
            false => line.to_vec(),
        };
        let name = match folder.eq_ignore_ascii_case(b"INBOX") {
            true => "INBOX".to_owned(),
            false => name::mailbox_of(&folder).0.as_str().to_owned(),
        };
        if there.insert(name.clone()) {
            names.push(name);
        }
    }
    names
}

/// Writes a list of version 2 of folders as they are named on disk, without their first dot.
pub fn write<'a>(folders: impl Iterator<Item = &'a str>) -> String {
    let mut text = "V\t2\n\n".to_owned();
    for folder in folders {
        text.push_str(&folder.replace('.', "\t"));
        text.push('\n');
    }
    text
}

fn unescape(level: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(level.len());
    let mut octets = level.iter();
    while let Some(octet) = octets.next() {
        let plain = match octet {
            1 => octets
                .next()
                .and_then(|it| ESCAPES.iter().find(|(letter, _)| letter == it)),
            _ => {
                out.push(*octet);
                continue;
            }
        };
        out.extend(plain.map(|(_, octet)| *octet));
    }
    out
}
