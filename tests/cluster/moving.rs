//! From the embedded default to PostgreSQL and a bucket, and back: an account is the same Maildir before and after, whatever was killed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use postrider_tests::daemon::{House, program};
use postrider_tests::postgres::{FAST, Process};

use crate::PASSWORD;
use crate::server::{ACCESS, BUCKET, REGION, SECRET, Server};
use crate::wire::Wire;

const ADA: &str = "ada@move.test";

/// A tree with gaps, flags, keywords, a hierarchy, and a unique-id of its own.
fn tree(at: &Path) {
    for folder in ["cur", "new", "tmp", ".Work.2026/cur", ".Entw&APw-rfe/cur"] {
        fs::create_dir_all(at.join(folder)).unwrap();
    }
    let mut list = "3 V1234567 N9000\n".to_owned();
    for number in 1..=300 {
        let flags = ["", "S", "FS", "RSa", "ab"][number % 5];
        let text = format!("Subject: {number}\r\n\r\n{}", "line\r\n".repeat(number));
        fs::write(at.join(format!("cur/{number}.x:2,{flags}")), &text).unwrap();
        fs::write(
            at.join(format!(".Work.2026/cur/{number}.y:2,{flags}")),
            &text,
        )
        .unwrap();
        let own = if number == 7 { " Pof-old" } else { "" };
        list.push_str(&format!("{}{own} :{number}.x\n", number * 3));
    }
    fs::write(at.join("dovecot-uidlist"), list).unwrap();
    fs::write(at.join("dovecot-keywords"), "0 $Forwarded\n1 later\n").unwrap();
    fs::write(at.join("subscriptions"), "Work.2026\n").unwrap();
}

fn files(at: &Path, below: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, below, found),
            false => {
                let name = path.strip_prefix(below).unwrap().display().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
}

/// Deletes mail: of INBOX, and two mailboxes of one name with all that is in them.
fn delete(port: u16) {
    let mut wire = Wire::connect(port).unwrap();
    wire.line().unwrap();
    let mut say = |command: &str| drop(wire.ok(command).unwrap());
    say(&format!("LOGIN {ADA} \"{PASSWORD}\""));
    for messages in ["301:420", "421:450"] {
        say("CREATE Gone");
        say("SELECT INBOX");
        say(&format!("UID MOVE {messages} Gone"));
        say("SELECT Gone");
        say("STORE 1:9 +FLAGS (\\Flagged only-there)");
        say("UNSELECT");
        say("DELETE Gone");
    }
    say("SELECT INBOX");
    say("UID STORE 451:900 +FLAGS (\\Deleted $Work)");
    say("EXPUNGE");
    say("LOGOUT");
}

/// What can be brought back of an account, in an order that says nothing of rows.
fn deleted(house: &House) -> Vec<String> {
    let listed = house.done(&["--json", "undelete", ADA, "--list"], "");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let listed = listed["messages"].as_array().unwrap();
    let mut listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
    listed.sort();
    listed
}

/// Brings back all that was deleted: the account's Maildir then. The numbers of a mailbox that is made again are new, and so are those of its keywords.
fn brought_back(house: &House, at: &Path) -> BTreeMap<String, Vec<u8>> {
    let said = house.done(&["undelete", ADA, "--all"], "");
    assert!(said.contains("made mailbox Gone again"), "{said}");
    assert!(said.contains("brought back 200 messages"), "{said}");
    assert_eq!(deleted(house), [""; 0]);
    assert!(house.done(&["fsck"], "").contains("they agree"));
    let mut files = exported(house, at);
    files.remove(".Gone/dovecot-uidlist").unwrap();
    let keywords = files.remove(".Gone/dovecot-keywords").unwrap();
    let keywords = String::from_utf8(keywords).unwrap();
    let keywords: Vec<&str> = keywords.lines().map(|it| &it[2..]).collect();
    let named = |(name, octets): (String, Vec<u8>)| {
        // A message that nobody has seen lies in `new`, and has no flags.
        let (base, flags) = name.split_once(":2,").unwrap_or((&name, ""));
        // The name has UIDVALIDITY behind the UID.
        let Some((uid, behind)) = base.rsplit_once('V').filter(|_| name.starts_with(".Gone/"))
        else {
            return (name, octets);
        };
        let (_, size) = behind.split_once('.').unwrap();
        let word = |flag: char| match flag.is_ascii_lowercase() {
            true => keywords[flag as usize - 'a' as usize].to_owned(),
            false => flag.to_string(),
        };
        let mut words: Vec<String> = flags.chars().map(word).collect();
        words.sort();
        (format!("{uid} {size} {words:?}"), octets)
    };
    files.into_iter().map(named).collect()
}

/// What an account is: its Maildir.
fn exported(house: &House, at: &Path) -> BTreeMap<String, Vec<u8>> {
    house.done(&["export", "maildir", ADA, at.to_str().unwrap()], "");
    let mut found = BTreeMap::new();
    files(at, at, &mut found);
    found
}

/// Copies, and is killed so many times before.
fn copy(from: &Path, to: &Path, kills: u32) {
    let config = |of: &Path| of.join("postrider.toml");
    let mut killed = 0;
    let began = Instant::now();
    loop {
        let mut child = Command::new(program())
            .arg("copy")
            .arg("--from")
            .arg(config(from))
            .arg("--to")
            .arg(config(to))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if killed < kills {
            std::thread::sleep(Duration::from_millis(300 + 250 * u64::from(killed)));
            let _ = child.kill();
            killed += 1;
            if !child.wait().unwrap().success() {
                continue;
            }
            return;
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(began.elapsed() < Duration::from_secs(600));
        return;
    }
}

/// A copy that is refused because a server works on its source or its target; the server stays as it was.
fn refused(from: &Path, to: &Path, whose: &str) {
    let said = Command::new(program())
        .arg("copy")
        .arg("--from")
        .arg(from.join("postrider.toml"))
        .arg("--to")
        .arg(to.join("postrider.toml"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "{errors}");
    let wanted = format!("a server works on the {whose}");
    assert!(errors.contains(&wanted), "{errors}");
    assert!(said.stdout.is_empty(), "nothing was begun");
}

#[test]
fn from_the_embedded_default_to_postgresql_and_a_bucket_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let at = folder.path().join(name);
        fs::create_dir(&at).unwrap();
        at
    };
    let listener = "[[listener]]\nservice = \"metrics\"\nbind = \"127.0.0.1:0\"\n";
    let imap = "[[listener]]\nservice = \"imap\"\nbind = \"127.0.0.1:0\"\nplaintext_login = true\n";
    let first = House::new(&place("first"), &(listener.to_owned() + imap));
    first.done(&["migrate"], "");
    first.done(&["domain", "add", "move.test"], "");
    first.done(&["user", "add", ADA], "not to be guessed\n");
    first.done(&["alias", "add", "info@move.test", ADA], "");
    tree(&place("tree"));
    let tree = folder.path().join("tree");
    first.done(&["import", "maildir", tree.to_str().unwrap(), ADA], "");
    let server = first.start();
    delete(server.port("imap"));
    server.stop();
    let gone = deleted(&first);
    assert_eq!(gone.len(), 200);
    let wanted = exported(&first, &folder.path().join("first-tree"));
    assert!(wanted.len() > 400, "{}", wanted.len());

    let postgres = Process::start(&[FAST]);
    postgres.sql("postgres", "CREATE DATABASE mail").unwrap();
    let store = Server::start();
    let lines = format!(
        "[database]\nurl = \"{}\"\n[store]\nkind = \"s3\"\nendpoint = \"{}\"\nbucket = \"{BUCKET}\"\nregion = \"{REGION}\"\npath_style = true\naccess_key = \"{ACCESS}\"\nsecret_key = \"{SECRET}\"\n",
        postgres.url("mail"),
        store.endpoint()
    );
    let second = House::new(&place("second"), &(lines + listener));
    // While a server works on the source a copy is not even begun; one that was killed works on nothing.
    let at = |name: &str| folder.path().join(name);
    let server = first.start();
    refused(&at("first"), &at("second"), "source");
    assert!(second.done(&["domain", "list"], "").contains("no domains"));
    server.kill();
    copy(
        &folder.path().join("first"),
        &folder.path().join("second"),
        4,
    );
    let there = exported(&second, &folder.path().join("second-tree"));
    assert!(there == wanted, "the copy is another Maildir");
    assert_eq!(deleted(&second), gone);
    assert!(second.done(&["fsck"], "").contains("they agree"));

    let third = House::new(&place("third"), listener);
    // Nor on PostgreSQL, on whatever host.
    let server = second.start();
    refused(&at("second"), &at("third"), "source");
    refused(&at("third"), &at("second"), "target");
    server.stop();
    copy(
        &folder.path().join("second"),
        &folder.path().join("third"),
        2,
    );
    let back = exported(&third, &folder.path().join("third-tree"));
    assert!(back == wanted, "what came back is another Maildir");
    assert_eq!(deleted(&third), gone);
    assert!(third.done(&["fsck"], "").contains("they agree"));
    for question in [
        &["alias", "list", "--json"][..],
        &["user", "show", ADA, "--json"],
    ] {
        assert_eq!(third.done(question, ""), first.done(question, ""));
    }
    let bring = |house, name| brought_back(house, &folder.path().join(name));
    let wanted = bring(&first, "first-brought");
    assert!(wanted.len() > 600, "{}", wanted.len());
    for (house, name) in [(&second, "second-brought"), (&third, "third-brought")] {
        let got = bring(house, name);
        let of = |one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>| {
            let differs = one.iter().filter(|(name, it)| other.get(*name) != Some(it));
            differs.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(of(&got, &wanted), [""; 0], "{name}");
        assert_eq!(of(&wanted, &got), [""; 0], "{name}");
    }
}
