//! `postrider undelete` beside running daemons, on whatever host.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use postrider_tests::daemon::{Daemon, House};

use super::client::Client;
use super::company::{ADA, BOB, Company, deliver, imap, lines, until};

/// Bodies in the store.
fn bodies(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().is_ok_and(|it| it.is_dir()) {
            true => found.extend(bodies(&entry.path())),
            false => drop(found.insert(entry.path().display().to_string())),
        }
    }
    found
}

/// A company whose Ada has mail, and deleted some of it.
fn with_deleted(messages: u32) -> (Company, House, Daemon, Client) {
    let company = Company::new("");
    let host = company.host("one");
    let smtpd = host.start_daemon("smtpd");
    for number in 1..=messages {
        deliver(&smtpd, ADA, &format!("=?utf-8?q?caf=C3=A9?= {number}"));
    }
    let imapd = host.start_daemon("imapd");
    let mut client = imap(&imapd, ADA);
    lines(&mut client, "SELECT INBOX");
    (company, host, imapd, client)
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("one JSON document")
}

#[test]
fn deleted_mail_comes_back_where_it_was_and_clients_see_it() {
    let (company, host, imapd, mut client) = with_deleted(4);
    lines(&mut client, "CREATE Projects");
    lines(&mut client, "STORE 1 FLAGS (\\Seen \\Deleted $Work)");
    lines(&mut client, "EXPUNGE");
    lines(&mut client, "MOVE 3 Projects");
    lines(&mut client, "DELETE Projects");
    let before = bodies(&company.store());
    let watcher = company.host("two");
    let elsewhere = watcher.start_daemon("imapd");
    let mut idle = imap(&elsewhere, ADA);
    lines(&mut idle, "SELECT INBOX");
    idle.write(b"i IDLE\r\n");
    assert!(idle.line().starts_with('+'));

    let listed = host.done(&["undelete", ADA, "--list"], "");
    assert!(listed.starts_with("MAILBOX"), "{listed}");
    assert!(listed.contains("Projects (gone)"), "{listed}");
    assert!(listed.contains("eve@remote.example"), "{listed}");
    assert!(
        listed.contains("café 1") && listed.contains("café 4"),
        "{listed}"
    );
    assert!(!listed.contains("café 2"), "{listed}");
    let listed = json(&host.done(
        &["--json", "undelete", ADA, "--list", "--mailbox", "inbox"],
        "",
    ));
    let messages = listed["messages"].as_array().expect("a list");
    assert_eq!(messages.len(), 1, "{listed}");
    assert_eq!(messages[0]["uid"], 1);
    assert_eq!(messages[0]["subject"], "café 1");

    // INBOX, which an idle client of another host has open.
    let back = host.done(&["undelete", ADA, "--mailbox", "INBOX", "--uid", "1"], "");
    assert_eq!(back, format!("brought back 1 message of {ADA}: INBOX\n"));
    assert_eq!(idle.line(), "* 3 EXISTS");
    idle.write(b"DONE\r\n");
    while !idle.line().starts_with("i OK") {}
    let fetched = lines(
        &mut idle,
        "FETCH 3 (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])",
    );
    let fetched = fetched.join("\n");
    assert!(
        fetched.contains("UID 5 ") && fetched.contains(" 1"),
        "{fetched}"
    );
    assert!(
        fetched.contains("\\Seen") && fetched.contains("$Work"),
        "{fetched}"
    );
    assert!(!fetched.contains("\\Deleted"), "{fetched}");

    // A mailbox that is gone is made again.
    let back = json(&host.done(&["--json", "undelete", ADA, "--since", "1h"], ""));
    assert_eq!(back["brought_back"], 1, "{back}");
    assert_eq!(back["made"], serde_json::json!(["Projects"]));
    assert_eq!(
        back["messages"][0]["now"],
        serde_json::json!({ "mailbox": "Projects", "uid": 1 })
    );
    assert!(lines(&mut client, "EXAMINE Projects").contains(&"* 1 EXISTS".to_owned()));
    // Nothing is left, which is no success; and nothing was copied or moved.
    let again = host.control(&["undelete", ADA, "--all"], "");
    assert_eq!(again.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("no deleted message of ada@hosts.test")
    );
    assert_eq!(bodies(&company.store()), before);
    let fsck = host.done(&["fsck"], "");
    assert!(fsck.ends_with("they agree\n"), "{fsck}");
    drop(imapd);
}

#[test]
fn what_is_asked_for_must_be_named() {
    let (_company, host, _imapd, mut client) = with_deleted(3);
    lines(&mut client, "STORE 1:3 FLAGS (\\Deleted)");
    lines(&mut client, "EXPUNGE");
    let code = |output: Output| output.status.code();
    for wrong in [
        &["undelete", ADA][..],
        &["undelete", ADA, "--into", "Recovered"],
        &["undelete", ADA, "--uid", "1"],
        &["undelete", ADA, "--all", "--since", "1h"],
        &["undelete", ADA, "--list", "--into", "Recovered"],
        &["undelete", ADA, "--since", "yesterday"],
    ] {
        assert_eq!(code(host.control(wrong, "")), Some(2), "{wrong:?}");
    }
    for wrong in [
        &["undelete", "nobody@hosts.test", "--all"][..],
        &["undelete", BOB, "--all"],
        &["undelete", ADA, "--mailbox", "Elsewhere"],
        &["undelete", ADA, "--mailbox", "INBOX", "--uid", "4"],
        &["undelete", ADA, "--since", "2099-01-01"],
    ] {
        assert_eq!(code(host.control(wrong, "")), Some(1), "{wrong:?}");
    }
    // What has no room stays where it is, all of it.
    host.done(&["user", "quota", ADA, "200"], "");
    let full = host.control(&["undelete", ADA, "--all"], "");
    let said = String::from_utf8_lossy(&full.stderr).into_owned();
    assert_eq!(full.status.code(), Some(1), "{said}");
    assert!(said.contains("has room for 200 octets"), "{said}");
    assert!(!lines(&mut client, "NOOP").join(" ").contains("EXISTS"));
    host.done(&["user", "quota", ADA, "unlimited"], "");
    let into = host.done(&["undelete", ADA, "--all", "--into", "Recovered/March"], "");
    assert!(into.contains("brought back 3 messages"), "{into}");
    assert!(lines(&mut client, "EXAMINE Recovered/March").contains(&"* 3 EXISTS".to_owned()));
}

/// Operators on two hosts at once, some of them killed in the middle: each message comes back once.
#[test]
fn attack_45_two_at_once_and_one_killed_bring_back_each_message_once() {
    const MESSAGES: u32 = 12;
    let (company, host, _imapd, mut client) = with_deleted(MESSAGES);
    lines(&mut client, "CREATE Gone");
    lines(&mut client, "MOVE 1:6 Gone");
    lines(&mut client, "STORE 1:6 FLAGS (\\Deleted)");
    lines(&mut client, "EXPUNGE");
    lines(&mut client, "DELETE Gone");
    let two = company.host("two");
    std::thread::scope(|scope| {
        for nth in 0..6 {
            let (host, two) = (&host, &two);
            scope.spawn(move || {
                let host = if nth % 2 == 0 { host } else { two };
                if nth < 2 {
                    // Killed between any two of its steps.
                    host.control_killed(&["undelete", ADA, "--all"], 20 * (nth + 1));
                } else {
                    host.control(&["undelete", ADA, "--all"], "");
                }
            });
        }
    });
    // Whoever was killed has left the rest to be asked for.
    let left = || json(&host.done(&["--json", "undelete", ADA, "--list"], ""));
    until("all are back", || {
        if left()["messages"]
            .as_array()
            .is_some_and(|it| it.is_empty())
        {
            return Some(());
        }
        host.control(&["undelete", ADA, "--all"], "");
        None
    });
    let mut subjects = BTreeSet::new();
    let mut count = 0;
    for mailbox in ["INBOX", "Gone"] {
        lines(&mut client, &format!("EXAMINE {mailbox}"));
        let fetched = lines(
            &mut client,
            "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])",
        );
        let own = fetched.into_iter().filter(|it| it.starts_with("Subject: "));
        for subject in own {
            count += 1;
            subjects.insert(subject);
        }
    }
    assert_eq!(
        (count, subjects.len()),
        (MESSAGES as usize, MESSAGES as usize)
    );
    assert!(host.done(&["fsck"], "").ends_with("they agree\n"));
}
