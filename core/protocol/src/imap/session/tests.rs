//! What a session says when the mailbox changes under it, and where a broken command ends.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;
use crate::imap::ask::Opened;
use crate::imap::snapshot::{Changes, Entry, Snapshot};
use crate::imap::types::{Flags, ModSeq, Uid, UidValidity};
use crate::message::summary::{Kept, Summary};
use crate::sasl::Verdict;
use crate::sasl::exchange::PlaintextLogin;
use crate::tls::Tls;

pub(super) type Acts = Vec<Action<Ask>>;

pub(super) fn text(actions: &Acts) -> String {
    let written = actions.iter().filter_map(|action| match action {
        Action::Write(octets) => Some(String::from_utf8_lossy(octets).into_owned()),
        _ => None,
    });
    written.collect()
}

pub(super) fn line(session: &mut ImapSession, line: &str) -> Acts {
    session.on(Input::Line(line.as_bytes()))
}

/// A mailbox of these UIDs after so many changes.
fn synced(uids: &[u32], modseq: u64) -> Synced {
    let entry = |uid: &u32| Entry {
        uid: Uid(*uid),
        size: 1,
        modseq: ModSeq(1),
        flags: Flags::NONE,
        internal_date: 0,
    };
    let changes = Changes {
        highest_modseq: ModSeq(modseq),
        changed: uids.iter().map(entry).collect(),
        ..Changes::default()
    };
    Synced {
        snapshot: Arc::new(Snapshot::empty(UidValidity(1)).apply(&changes)),
        recent: 0..0,
    }
}

fn opened(uids: &[u32]) -> Answer {
    Answer::Opened(Box::new(Opened {
        synced: synced(uids, 2),
        mailbox_id: "M1".into(),
    }))
}

/// Greeted.
fn fresh() -> ImapSession {
    let mut session = ImapSession::new(Config {
        hostname: "mail.example.test".into(),
        tls: Tls::Implicit,
        plaintext_login: PlaintextLogin::Refused,
        limits: Limits::default(),
    });
    session.on(Input::Open);
    session
}

/// Logged in, with three messages selected.
pub(super) fn selected() -> ImapSession {
    let mut session = fresh();
    line(&mut session, "a LOGIN ada secret");
    let account = "ada@example.test".into();
    session.on(Input::Answer(Answer::Verdict(Verdict::Granted { account })));
    line(&mut session, "b SELECT INBOX");
    session.on(Input::Answer(opened(&[1, 2, 3])));
    assert_eq!(session.state(), State::Selected);
    session
}

#[test]
fn an_expunge_that_could_not_be_told_is_told_in_idle() {
    let mut session = selected();
    session.on(Input::Changed);
    line(&mut session, "c FETCH 1 FLAGS");
    let told = session.on(Input::Answer(Answer::Synced(synced(&[1, 3], 3))));
    assert!(!text(&told).contains("EXPUNGE"), "{told:?}");
    let asked = line(&mut session, "d IDLE");
    assert!(
        matches!(asked.last(), Some(Action::Ask(Ask::Sync { .. }))),
        "{asked:?}"
    );
    let told = session.on(Input::Answer(Answer::Synced(synced(&[1, 3], 3))));
    assert_eq!(text(&told), "* 2 EXPUNGE\r\n");
}

#[test]
fn who_has_a_deleted_mailbox_selected_hears_it() {
    for command in ["c NOOP", "c IDLE"] {
        let mut session = selected();
        session.on(Input::Changed);
        line(&mut session, command);
        let told = session.on(Input::Answer(Answer::Refused(Trouble::NonExistent)));
        assert!(
            text(&told).contains("* BYE the selected mailbox"),
            "{told:?}"
        );
        assert!(matches!(told.last(), Some(Action::Close)));
    }
}

#[test]
fn selecting_another_mailbox_closes_the_first() {
    let mut session = selected();
    let told = line(&mut session, "c SELECT Sent");
    assert!(text(&told).starts_with("* OK [CLOSED] "), "{told:?}");
    session.on(Input::Answer(Answer::Refused(Trouble::NonExistent)));
    assert_eq!(session.state(), State::Authenticated);
    let told = line(&mut session, "d SELECT Sent");
    assert!(!text(&told).contains("CLOSED"), "{told:?}");
}

/// A SELECT that fails leaves no mailbox selected, whatever it fails for (RFC 9051 section 6.3.2); one that is no command changes nothing.
#[test]
fn a_select_of_a_name_that_cannot_be_leaves_the_mailbox() {
    for command in ["c SELECT a//b", "c EXAMINE &AGE-"] {
        let mut session = selected();
        let told = line(&mut session, command);
        assert!(text(&told).starts_with("* OK [CLOSED] "), "{told:?}");
        assert!(matches!(told.last(), Some(Action::Ask(Ask::Leave))));
        let told = session.on(Input::Answer(Answer::Done));
        assert!(text(&told).starts_with("c NO [CANNOT] "), "{told:?}");
        assert_eq!(session.state(), State::Authenticated);
        let told = line(&mut session, command);
        assert!(text(&told).starts_with("c NO [CANNOT] "), "{told:?}");
    }
    let mut session = selected();
    let told = line(&mut session, "c SELECT a b");
    assert!(text(&told).starts_with("c BAD "), "{told:?}");
    assert_eq!(session.state(), State::Selected);
}

#[test]
fn octets_behind_a_broken_append_are_no_commands() {
    let received = || {
        let fault = None;
        Input::Received(Received { octets: 5, fault })
    };
    let mut session = selected();
    line(&mut session, "c APPEND INBOX {5+}");
    session.on(Input::Answer(Answer::Done));
    session.on(received());
    let told = line(&mut session, " (\\Seen) {20+}");
    assert!(
        matches!(told[..], [Action::Receive(Receive::Discard { octets: 20 })]),
        "{told:?}"
    );
    session.on(received());
    let told = line(&mut session, "");
    assert!(
        matches!(told[..], [Action::Ask(Ask::Sync { .. })]),
        "{told:?}"
    );
    let told = session.on(Input::Answer(Answer::Synced(synced(&[1, 2, 3], 2))));
    assert!(text(&told).starts_with("c BAD "), "{told:?}");

    let told = line(&mut session, "d UID APPEND INBOX {5+}");
    assert!(
        matches!(told[..], [Action::Receive(Receive::Literal { octets: 5 })]),
        "{told:?}"
    );
}

/// A line inside of a command announces octets like any other.
#[test]
fn octets_behind_a_wrong_line_inside_of_a_command_are_no_commands() {
    let received = || {
        let fault = None;
        Input::Received(Received { octets: 9, fault })
    };
    let mut session = selected();
    line(&mut session, "c IDLE");
    let told = line(&mut session, "DONE {9+}");
    assert!(
        matches!(told[..], [Action::Receive(Receive::Discard { octets: 9 })]),
        "{told:?}"
    );
    session.on(received());
    let told = line(&mut session, " {3+}");
    assert!(matches!(told[..], [Action::Receive(_)]), "{told:?}");
    session.on(received());
    assert_eq!(text(&line(&mut session, "")), "c BAD expected DONE\r\n");

    let mut session = fresh();
    line(&mut session, "a AUTHENTICATE PLAIN");
    let told = line(&mut session, "{9+}");
    assert!(
        matches!(told[..], [Action::Receive(Receive::Discard { octets: 9 })]),
        "{told:?}"
    );
    session.on(received());
    let told = line(&mut session, "");
    assert!(text(&told).starts_with("a BAD "), "{told:?}");
}

#[test]
fn nobody_sends_much_for_nothing_before_login() {
    let mut session = ImapSession::new(Config {
        hostname: "mail.example.test".into(),
        tls: Tls::Implicit,
        plaintext_login: PlaintextLogin::Refused,
        limits: Limits::default(),
    });
    session.on(Input::Open);
    let told = line(&mut session, "a LOGIN {100000000+}");
    assert!(matches!(told.last(), Some(Action::Close)), "{told:?}");
    let mut session = fresh();
    line(&mut session, "a AUTHENTICATE PLAIN");
    let told = line(&mut session, "{100000+}");
    assert!(matches!(told.last(), Some(Action::Close)), "{told:?}");
}

#[test]
fn a_failed_search_saves_nothing() {
    let mut session = selected();
    line(&mut session, "c SEARCH RETURN (SAVE) ALL");
    assert_eq!(session.selected.as_ref().unwrap().saved.len(), 3);
    line(&mut session, "d SEARCH RETURN (SAVE) TEXT x");
    let told = session.on(Input::Answer(Answer::Refused(Trouble::Unavailable)));
    assert!(text(&told).starts_with("d NO "), "{told:?}");
    assert!(session.selected.as_ref().unwrap().saved.is_empty());

    // NO leaves nothing, BAD what was there, and so does a search that saves nothing (RFC 5182 section 2.1).
    for (command, left) in [
        ("g SEARCH RETURN (SAVE) CHARSET X-NONE ALL", 0),
        ("g SEARCH RETURN (ALL) CHARSET X-NONE ALL", 3),
        ("g SEARCH RETURN (SAVE) CHARSET X-NONE", 3),
        ("g SEARCH RETURN (SAVE) FOO", 3),
        ("g SEARCH RETURN (SAVE) MODSEQ 1", 3),
        ("g SEARCH 1", 3),
    ] {
        line(&mut session, "f SEARCH RETURN (SAVE) ALL");
        line(&mut session, command);
        let saved = &session.selected.as_ref().unwrap().saved;
        assert_eq!(saved.len(), left, "{command}");
    }
}

#[test]
fn recent_ranges_that_touch_are_one() {
    let mut session = selected();
    let selected = session.selected.as_mut().unwrap();
    for recent in [1..2, 2..4, 4..4, 9..12] {
        selected.take_recent(recent);
    }
    assert_eq!(selected.recent, [1..4, 9..12]);
    let recent = (0..14).filter(|uid| selected.is_recent(Uid(*uid)));
    assert_eq!(recent.collect::<Vec<_>>(), [1, 2, 3, 9, 10, 11]);
}

/// The connection does nothing after a close, so a batch closes once and at its end.
#[test]
fn one_error_too_many_closes_once() {
    let mut session = ImapSession::new(Config {
        hostname: "mail.example.test".into(),
        tls: Tls::Implicit,
        plaintext_login: PlaintextLogin::Refused,
        limits: Limits::default(),
    });
    let _ = session.on(Input::Open);
    for _ in 1..Limits::default().errors_before_login {
        assert!(!text(&line(&mut session, "a NOOP x")).contains("BYE"));
    }
    let actions = line(&mut session, "a NOOP x");
    assert!(text(&actions).starts_with("a BAD") && text(&actions).contains("* BYE"));
    let closes = |action: &&Action<Ask>| matches!(action, Action::Close);
    assert_eq!(actions.iter().filter(closes).count(), 1);
    assert!(matches!(actions.last(), Some(Action::Close)));
}

/// A structure may be longer than a batch: one message at a time, and what is named twice once.
#[test]
fn attack_5_long_structures_go_out_in_batches() {
    let mut session = selected();
    let mut message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned();
    message.push_str(&"--b\r\nContent-ID: <a-long-one@example.test>\r\n\r\n\r\n".repeat(990));
    let summary = Kept::new(&Summary::of(message.as_bytes()).encode()).expect("it was encoded");
    let items = ["BODYSTRUCTURE"; 200].join(" ");
    let actions = line(&mut session, &format!("a FETCH 1:3 ({items})"));
    let Some(Action::Ask(Ask::Summaries { uids, .. })) = actions.last() else {
        panic!("{actions:?}");
    };
    let answer = uids.iter().map(|uid| (*uid, summary.clone())).collect();
    let mut actions = session.on(Input::Answer(Answer::Summaries {
        found: answer,
        rest: Vec::new(),
        damaged: Vec::new(),
    }));
    for _ in 0..2 {
        let said = text(&actions);
        assert_eq!(
            said.matches("BODYSTRUCTURE").count(),
            1,
            "{} octets",
            said.len()
        );
        assert!(matches!(actions.last(), Some(Action::Resume)));
        actions = session.on(Input::Resume);
    }
    assert_eq!(text(&actions).matches("BODYSTRUCTURE").count(), 1);
    assert!(text(&actions).contains("a OK"));
}

/// What was too much to be read at once is asked for alone, before the others, and nothing is told to be gone.
#[test]
fn attack_05_large_summaries_are_asked_for_in_parts() {
    let message = "Subject: s\r\n\r\n";
    let summary = Kept::new(&Summary::of(message.as_bytes()).encode()).expect("it was encoded");
    for (command, said) in [
        ("FETCH 1:3 ENVELOPE", "* 3 FETCH"),
        ("SEARCH SUBJECT s", "1 2 3"),
    ] {
        let mut session = selected();
        let mut actions = line(&mut session, &format!("a {command}"));
        let mut all = String::new();
        for left in [3, 2, 1] {
            while matches!(actions.last(), Some(Action::Resume)) {
                all += &text(&actions);
                actions = session.on(Input::Resume);
            }
            let Some(Action::Ask(Ask::Summaries { uids, .. })) = actions.last() else {
                panic!("{actions:?}");
            };
            assert_eq!(uids.len(), left);
            let found = vec![(uids[0], summary.clone())];
            let rest = uids[1..].to_vec();
            all += &text(&actions);
            actions = session.on(Input::Answer(Answer::Summaries {
                found,
                rest,
                damaged: Vec::new(),
            }));
        }
        all += &text(&actions);
        while matches!(actions.last(), Some(Action::Resume)) {
            actions = session.on(Input::Resume);
            all += &text(&actions);
        }
        assert!(all.contains(said), "{all}");
        assert!(
            all.contains("a OK") && !all.contains("EXPUNGEISSUED"),
            "{all}"
        );
    }
}

/// What a change of all messages brings is told a batch at a time, and all of it.
#[test]
fn attack_05_news_of_a_large_mailbox_go_out_in_batches() {
    const MESSAGES: u32 = 100_000;
    let all: Vec<u32> = (1..=MESSAGES).collect();
    let mut session = selected();
    line(&mut session, "c SELECT INBOX");
    session.on(Input::Answer(Answer::Opened(Box::new(Opened {
        synced: synced(&all, 3),
        mailbox_id: "M1".into(),
    }))));
    let told = |session: &mut ImapSession, answer: Answer, what: &str| {
        let (mut actions, mut count) = (session.on(Input::Answer(answer)), 0);
        loop {
            let said = text(&actions);
            assert!(said.len() < 2 * crate::session::BATCH, "{}", said.len());
            count += said.matches(what).count();
            if !matches!(actions.last(), Some(Action::Resume)) {
                assert!(said.contains(" OK "), "{said}");
                return count;
            }
            actions = session.on(Input::Resume);
        }
    };
    line(&mut session, "d STORE 1:* +FLAGS (\\Seen)");
    let stored = Answer::Stored {
        synced: synced(&all, 4),
        modified: Vec::new(),
    };
    assert_eq!(told(&mut session, stored, "FETCH (FLAGS"), all.len());
    line(&mut session, "e EXPUNGE");
    let expunged = Answer::Synced(synced(&[], 5));
    assert_eq!(told(&mut session, expunged, " EXPUNGE\r\n"), all.len());
}
