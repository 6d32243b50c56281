//! libFuzzer target: the files of a Maildir that comes from another server: lists of UIDs, keywords and subscriptions, names of messages and folders.
//!
//! What is read keeps the promises of its type, what is written is read as the same, and no name leads out of its folder. Every reader gets the
//! whole input: one that is meant for another is as good a broken one.
#![no_main]

use std::collections::HashSet;

use postrider::moving::maildir::{
    BadLine, FileName, KeywordList, UidList,
    name::{self, FOLDER_LIMIT},
    subscriptions,
};
use postrider_protocol::imap::syntax::mailbox::MailboxName;

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("maildir"), |octets: &[u8]| {
    let lines = octets.split(|octet| *octet == b'\n').count();
    uids(octets, lines);
    keywords(octets, lines);
    subscribed(octets, lines);
    for line in octets.split(|octet| *octet == b'\n').take(8) {
        file(line);
        folder(line);
    }
});

/// Each line at most once, and in the file.
fn are_lines(bad: &[BadLine], lines: usize) {
    let numbers: HashSet<usize> = bad.iter().map(|it| it.line).collect();
    assert!(numbers.iter().all(|it| (1..=lines).contains(it)), "{bad:?}");
    // A line may be refused for its unique-id alone, or for all of it.
    assert_eq!(numbers.len(), bad.len(), "{bad:?}");
}

fn uids(octets: &[u8], lines: usize) {
    let (list, bad) = UidList::parse(octets);
    are_lines(&bad, lines);
    let Some(list) = list else {
        assert_eq!(bad.len(), 1);
        return;
    };
    assert!(list.uid_validity > 0 && list.uid_next > 0);
    assert!(list.files.len() < lines);
    let (mut uids, mut own) = (HashSet::new(), HashSet::new());
    for (base, listed) in &list.files {
        assert!(listed.uid > 0 && listed.uid < list.uid_next && uids.insert(listed.uid));
        assert!(!base.is_empty() && !base.iter().any(|it| b":/\n\0".contains(it)));
        if let Some(unique_id) = &listed.unique_id {
            let visible = unique_id.bytes().all(|it| it.is_ascii_graphic());
            assert!(visible && (1..=70).contains(&unique_id.len()) && own.insert(unique_id));
        }
    }
    for guid in ["", "0123456789abcdef"] {
        let (again, bad) = UidList::parse(&list.write(guid));
        assert_eq!((again.as_ref(), bad.as_slice()), (Some(&list), &[][..]));
    }
}

fn keywords(octets: &[u8], lines: usize) {
    let (list, bad) = KeywordList::parse(octets);
    are_lines(&bad, lines);
    let all = list.all();
    assert!(all.len() <= KeywordList::LIMIT && all.len() <= lines);
    for letter in 0..=u8::MAX {
        if let Some(name) = list.name(letter) {
            assert!(letter.is_ascii_lowercase() && all.iter().any(|it| it == name));
            assert_eq!(list.letter(name), Some(letter));
        }
    }
    let (again, bad) = KeywordList::parse(list.write().as_bytes());
    assert_eq!((&again, bad.as_slice()), (&list, &[][..]));
}

fn subscribed(octets: &[u8], lines: usize) {
    let names = subscriptions::parse(octets);
    assert!(names.len() <= lines);
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "one twice");
    let mut folders = Vec::new();
    for name in &names {
        let kept = MailboxName::new(name).expect("a mailbox can have it");
        assert_eq!(kept.as_str(), name, "a second spelling");
        match name::folder_of(name) {
            None => assert_eq!(name, "INBOX"),
            Some((folder, true)) => folders.push((name, folder)),
            Some((_, false)) => {}
        }
    }
    let text = subscriptions::write(folders.iter().map(|(_, folder)| &folder[1..]));
    let again = subscriptions::parse(text.as_bytes());
    assert!(again.iter().eq(folders.iter().map(|(name, _)| *name)), "{again:?}");
}

fn file(line: &[u8]) {
    let name = FileName::parse(line);
    assert!(!name.base.contains(&b':') && line.starts_with(&name.base));
    assert!(name.letters.is_sorted_by(|a, b| a < b));
    assert!(name.letters.iter().all(u8::is_ascii_lowercase));
    assert_eq!(FileName::parse(&name.write()), name);
    let _ = (name.size(), name.order());
}

fn folder(line: &[u8]) {
    let (mailbox, _) = name::mailbox_of(line);
    let made_up = name::made_up(line);
    for mailbox in [mailbox.as_str(), made_up.as_str(), &String::from_utf8_lossy(line)] {
        let Ok(mailbox) = MailboxName::new(mailbox) else {
            continue;
        };
        let Some((folder, exact)) = name::folder_of(mailbox.as_str()) else {
            assert!(mailbox.is_inbox());
            continue;
        };
        assert!(folder.len() <= FOLDER_LIMIT && folder.starts_with('.') && folder.is_ascii());
        assert!(!folder.contains('/') && folder.bytes().all(|it| it >= b' ' && it != 0x7f));
        assert!(folder.len() > 1 && folder != ".." && !folder.ends_with('.'), "{folder:?}");
        if exact {
            let (read, whole) = name::mailbox_of(&folder.as_bytes()[1..]);
            assert_eq!((read.as_str(), whole), (mailbox.as_str(), true));
        }
    }
}
