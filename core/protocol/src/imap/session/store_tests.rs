//! What a client knows of flags after STORE, when another session changed them too.

use super::tests::{line, selected, text};
use super::*;
use crate::imap::snapshot::{Changes, Entry, Snapshot};
use crate::imap::types::{Flags, ModSeq, Uid, UidValidity};

const WORK: Flags = Flags(1 << 5);
const HOME: Flags = Flags(1 << 6);

/// The answer to a STORE after which the three messages have these flags.
fn stored(flags: [Flags; 3]) -> Input<'static, Answer> {
    let entry = |(at, flags): (usize, Flags)| Entry {
        uid: Uid(at as u32 + 1),
        size: 1,
        modseq: ModSeq(9),
        flags,
        internal_date: 0,
    };
    let changes = Changes {
        highest_modseq: ModSeq(9),
        changed: flags.into_iter().enumerate().map(entry).collect(),
        keywords: vec!["Work".into(), "Home".into()],
        ..Changes::default()
    };
    let synced = Synced {
        snapshot: std::sync::Arc::new(Snapshot::empty(UidValidity(1)).apply(&changes)),
        recent: 0..0,
    };
    Input::Answer(Answer::Stored {
        synced,
        modified: Vec::new(),
    })
}

/// The FETCH responses that a STORE brings to a client which knows of no flag.
fn told(store: &str, flags: [Flags; 3]) -> Vec<String> {
    let mut session = selected();
    line(&mut session, &format!("c {store}"));
    let told = text(&session.on(stored(flags)));
    assert!(told.ends_with("c OK STORE completed\r\n"), "{told}");
    let fetch = told.lines().filter(|line| line.contains(" FETCH "));
    fetch.map(str::to_owned).collect()
}

/// RFC 9051 section 6.4.6: the flags are determinate without a race, whatever the suffix.
#[test]
fn silence_is_for_what_the_client_did_itself() {
    const NONE: Flags = Flags::NONE;
    let (seen, draft) = (Flags::SEEN, Flags::DRAFT);
    for (store, flags, wanted) in [
        (
            "STORE 1:2 +FLAGS.SILENT (\\Seen)",
            [seen, seen, NONE],
            &[][..],
        ),
        // Another session was there before.
        (
            "STORE 1:2 +FLAGS.SILENT (\\Seen)",
            [seen, seen | draft, NONE],
            &["* 2 FETCH (FLAGS (\\Seen \\Draft))"],
        ),
        // Another session took it back at once: as the client knew it, and not as it thinks.
        (
            "STORE 1:2 +FLAGS.SILENT (\\Seen)",
            [seen, NONE, NONE],
            &["* 2 FETCH (FLAGS ())"],
        ),
        // What nobody named is told as ever, and once.
        (
            "STORE 1 +FLAGS.SILENT (\\Seen)",
            [seen, draft, NONE],
            &["* 2 FETCH (FLAGS (\\Draft))"],
        ),
        (
            "STORE 1 FLAGS.SILENT (\\Seen work)",
            [seen | WORK, NONE, NONE],
            &[],
        ),
        (
            "STORE 1 FLAGS.SILENT (\\Seen work)",
            [seen | WORK | HOME, NONE, NONE],
            &["* 1 FETCH (FLAGS (\\Seen Work Home))"],
        ),
        (
            "STORE 1 -FLAGS.SILENT (\\Seen Home)",
            [NONE, NONE, NONE],
            &[],
        ),
        (
            "STORE 1 -FLAGS.SILENT (\\Seen Home)",
            [HOME, NONE, NONE],
            &["* 1 FETCH (FLAGS (Home))"],
        ),
        (
            "UID STORE 1:3 +FLAGS.SILENT (\\Seen)",
            [seen | HOME, seen, seen],
            &["* 1 FETCH (UID 1 FLAGS (\\Seen Home))"],
        ),
        // Without the suffix all are told, once.
        (
            "STORE 1:2 +FLAGS (\\Seen)",
            [seen, seen | draft, NONE],
            &[
                "* 1 FETCH (FLAGS (\\Seen))",
                "* 2 FETCH (FLAGS (\\Seen \\Draft))",
            ],
        ),
    ] {
        assert_eq!(told(store, flags), wanted, "{store} {flags:?}");
    }
}

#[test]
fn a_message_that_is_gone_has_no_flags_to_tell() {
    let mut session = selected();
    line(&mut session, "c STORE 1:3 +FLAGS.SILENT (\\Seen)");
    let changes = Changes {
        highest_modseq: ModSeq(9),
        changed: vec![Entry {
            uid: Uid(3),
            size: 1,
            modseq: ModSeq(9),
            flags: Flags::SEEN,
            internal_date: 0,
        }],
        ..Changes::default()
    };
    let snapshot = std::sync::Arc::new(Snapshot::empty(UidValidity(1)).apply(&changes));
    let synced = Synced {
        snapshot,
        recent: 0..0,
    };
    let asked = session.on(Input::Answer(Answer::Stored {
        synced: synced.clone(),
        modified: Vec::new(),
    }));
    assert_eq!(text(&asked), "");
    let told = text(&session.on(Input::Answer(Answer::Synced(synced))));
    assert_eq!(told, "c OK [EXPUNGEISSUED] STORE completed\r\n");
}
