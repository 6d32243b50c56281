//! The formats, broken ones too, and that what is written is read back.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::keywords::is_keyword;
use super::*;

fn uid_list(text: &str) -> (Option<UidList>, Vec<usize>) {
    let (list, bad) = UidList::parse(text.as_bytes());
    (list, bad.iter().map(|it| it.line).collect())
}

fn uids(list: &UidList) -> BTreeMap<String, u32> {
    let of = |(file, it): (&Vec<u8>, &Listed)| (String::from_utf8_lossy(file).into_owned(), it.uid);
    list.files.iter().map(of).collect()
}

#[test]
fn a_list_of_uids() {
    let text = "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n\
        25006 P10023 :1276528487.M364837P9451.kurkku,S=1355,W=1394\n\
        25017 W2481 S2400 Oorder :1276533073.M242911P3632.kurkku:2,F\n\
        25018 :x\n";
    let (list, bad) = uid_list(text);
    let list = list.expect("a header");
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!((list.uid_validity, list.uid_next), (1_275_660_208, 25_022));
    let first = &list.files[&b"1276528487.M364837P9451.kurkku,S=1355,W=1394"[..]];
    assert_eq!(
        (first.uid, first.unique_id.as_deref()),
        (25_006, Some("10023"))
    );
    assert_eq!(
        list.files[&b"1276533073.M242911P3632.kurkku"[..]].uid,
        25_017
    );
    assert_eq!(list.files.len(), 3);
    let (old, bad) = uid_list("1 1173189136 7\n1 a\n6 b\n");
    let old = old.expect("a header");
    assert_eq!(
        (old.uid_validity, old.uid_next, bad),
        (1_173_189_136, 7, vec![])
    );
    assert_eq!(uids(&old), [("a".into(), 1), ("b".into(), 6)].into());
}

#[test]
fn a_broken_list_of_uids_names_its_lines() {
    let text = "3 V5 N3\n1 :a\nx :b\n1 :c\n2 :\n-3 :d\n+3 :d\n3 :d/e\n3 Pö :f\n4 PA :g\n5 PA :h\n6 :a\n\n4294967295 :i\n7\n7 W1\n99999999999 :j\n8 :k";
    let (list, bad) = uid_list(text);
    let list = list.expect("a header");
    let want = [("a", 1), ("f", 3), ("g", 4), ("h", 5), ("k", 8)];
    assert_eq!(
        uids(&list),
        want.map(|(file, uid)| (file.to_owned(), uid)).into()
    );
    assert_eq!(list.uid_next, 9, "above all, whatever the header says");
    assert_eq!(bad, [3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17]);
    assert_eq!(list.files[&b"f"[..]].unique_id, None);
    assert_eq!(list.files[&b"g"[..]].unique_id.as_deref(), Some("A"));
    for none in [
        "", "\n", "2 V1 N1", "3 N5", "3 V0 N5", "3 Vx", "1 5", "1 x 3", "\u{0}",
    ] {
        let (list, bad) = uid_list(none);
        assert_eq!((list, bad), (None, vec![1]), "{none:?}");
    }
}

#[test]
fn a_list_of_keywords() {
    let (list, bad) = KeywordList::parse(b"0 $Forwarded\n2 later\n");
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(list.name(b'a'), Some("$Forwarded"));
    assert_eq!((list.name(b'b'), list.name(b'c')), (None, Some("later")));
    assert_eq!(
        (list.name(b'z'), list.name(b'A'), list.name(b'{')),
        (None, None, None)
    );
    assert_eq!(list.letter("later"), Some(b'c'));
    assert_eq!(list.all(), ["$Forwarded", "later"]);
    let text = b"0 a\nx b\n26 c\n1 A\n0 d\n2 (\n3\n4 \xff\n+5 e\n25 z";
    let (list, bad) = KeywordList::parse(text);
    let bad: Vec<_> = bad.iter().map(|it| it.line).collect();
    assert_eq!(bad, [2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(list.all(), ["a", "z"]);
    // A line that is refused leaves nothing behind.
    let (list, bad) = KeywordList::parse(b"1 later\n3 Later\n");
    assert_eq!(bad.len(), 1);
    assert_eq!(KeywordList::parse(list.write().as_bytes()).0, list);
}

#[test]
fn names_of_files() {
    let parse = |name: &str| FileName::parse(name.as_bytes());
    let name = parse("1.M2P3.host,S=42,W=43:2,FRSac");
    assert_eq!(name.base, b"1.M2P3.host,S=42,W=43");
    assert_eq!((name.flags, name.letters.as_slice()), (0b111, &b"ac"[..]));
    assert_eq!((name.size(), name.order()), (Some(42), 1));
    for (broken, flags, letters) in [
        ("x", 0, ""),
        ("x:", 0, ""),
        ("x:1,S", 0, ""),
        ("x:2,", 0, ""),
        ("x:2,SSTT", 0b1001, ""),
        ("x:2,PDaa?é", 0b10000, "a"),
        ("x:2,S,junk", 1, ""),
    ] {
        let name = parse(broken);
        let found = (
            name.flags,
            String::from_utf8_lossy(&name.letters).into_owned(),
        );
        assert_eq!(found, (flags, letters.to_owned()), "{broken}");
    }
    assert_eq!(parse("x,S=abc").size(), None);
}

#[test]
fn names_of_folders() {
    for (folder, mailbox, exact) in [
        ("Sent", "Sent", true),
        ("Projects.2026", "Projects/2026", true),
        ("Entw&APw-rfe", "Entwürfe", true),
        ("Entwürfe", "Entwürfe", true),
        ("a &- b", "a & b", true),
        ("R&D", "R&D", true),
        ("a&AC4-b", "a.b", true),
        ("inbox.sub", "INBOX/sub", true),
        ("INBOX", "Imported/INBOX-9c9d3b7d", false),
        ("a..b", "Imported/a..b-e77eb5a1", false),
        ("", "Imported/-e3b0c442", false),
        ("a\u{7}b", "Imported/a_b-d84bfa27", false),
    ] {
        let (name, it) = name::mailbox_of(folder.as_bytes());
        let (made_up, _) = name
            .as_str()
            .rsplit_once('-')
            .unwrap_or((name.as_str(), ""));
        let (want, _) = mailbox
            .rsplit_once('-')
            .filter(|_| !exact)
            .unwrap_or((mailbox, ""));
        let found = if exact { name.as_str() } else { made_up };
        assert_eq!((found, it), (want, exact), "{folder:?}");
    }
    let long = "x".repeat(600);
    let (name, exact) = name::mailbox_of(long.as_bytes());
    assert!(!exact && name.as_str().len() < 100, "{name}");
    assert_eq!(name::folder_of("INBOX"), None);
    let folder = |mailbox: &str| name::folder_of(mailbox).expect("not INBOX");
    assert_eq!(folder("Projects/2026"), (".Projects.2026".to_owned(), true));
    assert_eq!(
        folder("Entwürfe & mehr"),
        (".Entw&APw-rfe &- mehr".to_owned(), true)
    );
    assert_eq!(folder("v1.0"), (".v1_0".to_owned(), false));
    for long in ["x".repeat(400), "ü".repeat(250), "ü/".repeat(19) + "ü"] {
        let (folder, _) = folder(&long);
        assert!(folder.len() <= name::FOLDER_LIMIT, "{folder}");
        // Also where all of it is one shift: what does not begin with a dot is no folder.
        assert!(folder.starts_with('.'), "{folder}");
        assert!(utf7_is_whole(&folder), "{folder}");
    }
}

fn utf7_is_whole(folder: &str) -> bool {
    folder.matches('&').count() <= folder.matches('-').count()
}

#[test]
fn lists_of_subscriptions() {
    let first = subscriptions::parse(b"INBOX\nProjects.2026\nEntw&APw-rfe\n\nProjects.2026\n");
    assert_eq!(first, ["INBOX", "Projects/2026", "Entwürfe"]);
    let second = subscriptions::parse(b"V\t2\n\ninbox\nProjects\t2026\nEntw&APw-rfe\n");
    assert_eq!(second, first);
    let written = subscriptions::write(["INBOX", "Projects.2026", "Entw&APw-rfe"].into_iter());
    assert_eq!(subscriptions::parse(written.as_bytes()), first);
    assert_eq!(subscriptions::parse(b""), [""; 0]);
    subscriptions::parse(b"V\t2\n\x01\n\x01x\n\xff\n");
}

fn base() -> impl Strategy<Value = Vec<u8>> {
    "[0-9A-Za-z_.,=][0-9A-Za-z_.,= -]{0,30}".prop_map(String::into_bytes)
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        files in prop::collection::hash_map(base(), prop::option::of("[!-~]{1,70}"), 0..40),
        uid_validity in 1..=u32::MAX,
        gaps in prop::collection::vec(1u32..1000, 40),
    ) {
        let mut last = 0;
        let mut own = std::collections::HashSet::new();
        let files: HashMap<_, _> = files.into_iter().zip(gaps).map(|((file, unique_id), gap)| {
            last += gap;
            let unique_id = unique_id.filter(|it| own.insert(it.clone()));
            (file, Listed { uid: last, unique_id })
        }).collect();
        let list = UidList { uid_validity, uid_next: last + 7, files };
        let (read, bad) = UidList::parse(&list.write("abc"));
        prop_assert_eq!(bad, vec![]);
        prop_assert_eq!(read, Some(list));
    }

    #[test]
    fn names_are_read_back(base in base(), flags in 0u64..32, letters in prop::collection::btree_set(b'a'..=b'z', 0..26)) {
        let name = FileName { base, flags, letters: letters.into_iter().collect() };
        prop_assert_eq!(FileName::parse(&name.write()), name);
    }

    #[test]
    fn keywords_are_read_back(names in prop::collection::vec("[!-~]{1,20}", 0..40)) {
        let mut names: Vec<String> = names.into_iter().filter(|it| is_keyword(it)).collect();
        names.sort_by_key(|it| it.to_ascii_lowercase());
        names.dedup_by_key(|it| it.to_ascii_lowercase());
        let list = KeywordList::of(&names);
        let (read, bad) = KeywordList::parse(list.write().as_bytes());
        prop_assert_eq!(bad, vec![]);
        prop_assert_eq!(&read, &list);
        for (number, name) in (0u8..26).zip(&names) {
            prop_assert_eq!(read.name(b'a' + number), Some(name.as_str()));
        }
    }

    #[test]
    fn no_octets_make_a_reader_fail(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = UidList::parse(&octets);
        let _ = UidList::parse(&[b"3 V1 N1\n", octets.as_slice()].concat());
        let _ = KeywordList::parse(&octets);
        let _ = FileName::parse(&octets);
        let _ = subscriptions::parse(&octets);
        let (mailbox, _) = name::mailbox_of(&octets);
        prop_assert!(!mailbox.is_inbox());
    }

    #[test]
    fn folders_lead_back_to_their_mailboxes(mailbox in "[a-zäö& ~-]{1,20}(/[A-Zß0-9 ]{1,9}){0,3}") {
        let (folder, exact) = name::folder_of(&mailbox).expect("not INBOX");
        prop_assert!(exact);
        let (back, exact) = name::mailbox_of(&folder.as_bytes()[1..]);
        prop_assert_eq!((back.as_str(), exact), (mailbox.as_str(), true));
    }
}
