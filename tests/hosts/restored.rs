//! Attack 43: a PostgreSQL is brought back to a point in time. No UID that a client has seen comes to mean another message, and what was delivered
//! since comes back from the store.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_tests::daemon::{Daemon, House};

use super::company::{connect, deliver, lines, until};
use super::server::{FAST, Process};

const ADA: &str = "ada@back.test";
const PASSWORD: &str = "not to be guessed";

/// What a client may have kept: by UIDVALIDITY and UID, which message that is.
#[derive(Default)]
struct Known(BTreeMap<(u32, u32), String>);

impl Known {
    /// Looks at INBOX as a client does; its UIDVALIDITY and subjects.
    fn look(&mut self, server: &Daemon) -> (u32, Vec<String>) {
        let mut client = connect(server, "imap");
        client.ok(&format!("LOGIN {ADA} \"{PASSWORD}\""));
        let said = lines(&mut client, "SELECT INBOX").join("\n");
        let validity = said.split_once("[UIDVALIDITY ").expect("UIDVALIDITY").1;
        let validity: u32 = validity
            .split_once(']')
            .expect("its end")
            .0
            .parse()
            .expect("a number");
        let mut subjects = Vec::new();
        for line in lines(&mut client, "UID FETCH 1:* (UID ENVELOPE)") {
            let uid = line.split_once("UID ").expect("its UID").1;
            let uid: u32 = uid
                .split([' ', ')'])
                .next()
                .expect("a word")
                .parse()
                .expect("a number");
            let subject = line.split('"').find(|it| it.starts_with("subject-"));
            let subject = subject.expect("its subject").to_owned();
            let before = self.0.insert((validity, uid), subject.clone());
            assert!(
                before.as_ref().is_none_or(|before| *before == subject),
                "{validity} {uid} was {before:?} and is {subject}"
            );
            subjects.push(subject);
        }
        subjects.sort();
        (validity, subjects)
    }
}

fn host(folder: &std::path::Path, url: &str) -> House {
    let mut text = String::from("hostname = \"back.test\"\n");
    for service in ["smtp", "imap"] {
        text.push_str(&format!(
            "[[listener]]\nservice = \"{service}\"\nbind = \"127.0.0.1:0\"\n"
        ));
    }
    text.push_str("plaintext_login = true\n[auth]\nupgrade_hashes = false\n");
    text.push_str(&format!("[database]\nurl = \"{url}\"\npool_size = 4\n"));
    House::new(folder, &text)
}

#[test]
fn attack_43_a_restored_postgresql_gives_no_uid_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = [&[FAST][..], &Process::ARCHIVING].concat();
    let postgres = Process::start(&settings);
    postgres
        .sql("postgres", "CREATE DATABASE mail")
        .expect("a database");
    let house = host(folder.path(), &postgres.url("mail"));
    house.done(&["domain", "add", "back.test"], "");
    house.done(&["user", "add", ADA], &format!("{PASSWORD}\n"));
    let mut known = Known::default();
    let server = house.start();
    deliver(&server, ADA, "subject-before");
    postgres.back_up();
    deliver(&server, ADA, "subject-between");
    let (validity, _) = known.look(&server);
    postgres
        .sql("mail", "SELECT pg_create_restore_point('then')")
        .expect("a point in time");
    let reached = || {
        let mark = postgres.sql("mail", "SELECT value FROM counter WHERE name = 'mark'");
        mark.expect("a number").parse::<i64>().expect("a number")
    };
    let then = reached();
    for number in 1..=3 {
        deliver(&server, ADA, &format!("subject-lost-{number}"));
    }
    let wanted: Vec<_> = ["before", "between", "lost-1", "lost-2", "lost-3"]
        .map(|it| format!("subject-{it}"))
        .to_vec();
    assert_eq!(known.look(&server), (validity, wanted.clone()));
    until("what came last is marked", || {
        let mark = std::fs::read_to_string(house.data().join("database-mark"));
        let now = reached();
        (now > then && mark.ok()?.ends_with(&format!("{now:020}\n"))).then_some(())
    });
    server.stop();
    postgres
        .sql("postgres", "SELECT pg_switch_wal()")
        .expect("a log");
    let postgres = postgres.restored("then");

    // By itself, before anybody is served.
    let server = house.start();
    assert!(
        house.log().contains("has lost what it acknowledged"),
        "{}",
        house.log()
    );
    let (renewed, subjects) = known.look(&server);
    assert!(renewed > validity, "{renewed} after {validity}");
    assert_eq!(subjects, ["subject-before", "subject-between"]);
    // These would have had the UIDs of those that are lost.
    deliver(&server, ADA, "subject-new");
    known.look(&server);
    // Once, and not by every start.
    server.stop();
    let server = house.start();
    assert_eq!(known.look(&server).0, renewed);
    server.stop();

    // What a backup of the mark itself hides, an operator says.
    let said = house.done(&["fsck", "--repair", "--restored"], "");
    assert!(said.contains("new UIDVALIDITY"), "{said}");
    let server = house.start();
    let (last, subjects) = known.look(&server);
    assert!(last > renewed, "{last} after {renewed}");
    let mut all = wanted;
    all.push("subject-new".to_owned());
    all.sort();
    assert_eq!(subjects, all, "what was delivered since is there again");
    server.stop();
    assert!(house.done(&["fsck"], "").contains("they agree"));
    drop(postgres);
}

/// A failover that loses nothing begins a new timeline as well, and renews nothing.
#[test]
fn attack_43_a_failover_that_loses_nothing_renews_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let primary = Process::start(&[FAST, "wal_retrieve_retry_interval=200ms"]);
    primary
        .sql("postgres", "CREATE DATABASE mail")
        .expect("a database");
    let other = super::server::free_port();
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{other}/mail?target_session_attrs=read-write&connect_timeout=2",
        primary.port
    );
    let house = host(folder.path(), &url);
    house.done(&["domain", "add", "back.test"], "");
    house.done(&["user", "add", ADA], &format!("{PASSWORD}\n"));
    let standby = primary.standby(other, &[FAST]);
    until("the standby follows", || {
        let streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        (primary.sql("postgres", streams).as_deref() == Some("1")).then_some(())
    });
    for statement in [
        "ALTER SYSTEM SET synchronous_standby_names = '*'",
        "SELECT pg_reload_conf()",
    ] {
        primary
            .sql("postgres", statement)
            .expect("it is waited for");
    }
    let mut known = Known::default();
    let server = house.start();
    for number in 1..=3 {
        deliver(&server, ADA, &format!("subject-{number}"));
        std::thread::sleep(Duration::from_millis(700));
    }
    let before = known.look(&server);
    primary.tell("kill");
    let promoted = standby.sql("postgres", "SELECT pg_promote()");
    assert_eq!(promoted.as_deref(), Some("t"));
    until("it goes on", || {
        let mut smtp = connect(&server, "smtp");
        smtp.say("EHLO client.example");
        let reply = smtp.send(ADA, b"Subject: subject-4\r\n\r\nHello.\r\n");
        reply.starts_with("250").then_some(())
    });
    std::thread::sleep(Duration::from_millis(2500));
    let after = known.look(&server);
    assert_eq!(after.0, before.0, "{}", house.log());
    server.stop();
    let server = house.start();
    assert_eq!(known.look(&server).0, before.0);
    assert!(!house.log().contains("has lost what it acknowledged"));
    server.stop();
}
