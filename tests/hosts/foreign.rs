//! A company changes its tables with SQL of its own while its users are logged in.

use std::time::Instant;

use super::client::Client;
use super::company::{ADA, BOB, Company, PASSWORD, connect, deliver, imap, lines, until};

/// How a session ends that lost its right, before anything else would end it.
fn ends(mut client: Client, what: &str) {
    let began = Instant::now();
    while let Some(line) = client.try_line() {
        if line.starts_with("* BYE") {
            println!("{what}: after {:?}", began.elapsed());
            // What was remembered of logins, and idle sessions that look anyway, would take longer.
            assert!(began.elapsed().as_secs() < 20, "{what}");
            return;
        }
    }
    panic!("{what}: no BYE");
}

fn may_log_in(imapd: &postrider_tests::daemon::Daemon, email: &str, password: &str) -> bool {
    let mut client = connect(imapd, "imap");
    let (tagged, _) = client.imap(&format!("LOGIN {email} \"{password}\""));
    assert!(
        tagged.starts_with("OK") || tagged.starts_with("NO [AUTHENTICATIONFAILED]"),
        "{tagged}"
    );
    tagged.starts_with("OK")
}

#[test]
fn attack_31_sql_of_others_ends_sessions_and_what_was_remembered() {
    let company =
        Company::new("[auth.throttle]\nfailures_per_account = 1000\nfailures_per_ip = 1000\n");
    let (one, two) = (company.host("one"), company.host("two"));
    let (smtpd, imapd) = (one.start_daemon("smtpd"), two.start_daemon("imapd"));
    let idle = |email: &str| {
        let mut client = imap(&imapd, email);
        lines(&mut client, "SELECT INBOX");
        client.write(b"i IDLE\r\n");
        assert!(client.line().starts_with('+'));
        client
    };
    let change = |what: &str, email: &str| {
        let statement = format!("UPDATE virtual_users SET {what} WHERE email = '{email}'");
        company.ask(&statement);
    };

    let (ada, mut bob) = (idle(ADA), idle(BOB));
    change("password = '{PLAIN}another one'", ADA);
    ends(ada, "another password");
    assert!(!may_log_in(&imapd, ADA, PASSWORD), "the old one");
    assert!(may_log_in(&imapd, ADA, "another one"), "the new one");
    let hash = company.ask(&format!(
        "SELECT password FROM virtual_users WHERE email = '{BOB}'"
    ));
    change(&format!("password = '{hash}'"), ADA);
    until("the first one again", || {
        may_log_in(&imapd, ADA, PASSWORD).then_some(())
    });
    assert!(!may_log_in(&imapd, ADA, "another one"));

    let ada = idle(ADA);
    change("is_active = FALSE", ADA);
    ends(ada, "switched off");
    assert!(!may_log_in(&imapd, ADA, PASSWORD));
    change("is_active = TRUE", ADA);
    assert!(may_log_in(&imapd, ADA, PASSWORD));

    // An alias is there, and gone, with its row.
    let rcpt = |to: &str| {
        let mut smtp = connect(&smtpd, "smtp");
        smtp.say("EHLO client.example");
        smtp.say("MAIL FROM:<eve@remote.example>");
        smtp.say(&format!("RCPT TO:<{to}>"))
    };
    company.ask(&format!(
        "INSERT INTO virtual_aliases (source, destination, domain_id) \
         SELECT 'sales@hosts.test', email, domain_id FROM virtual_users WHERE email = '{BOB}'"
    ));
    assert!(rcpt("sales@hosts.test").starts_with("250"));
    deliver(&smtpd, "sales@hosts.test", "by an alias");
    while bob.line() != "* 1 EXISTS" {}
    company.ask("DELETE FROM virtual_aliases WHERE source = 'sales@hosts.test'");
    assert!(rcpt("sales@hosts.test").starts_with("550"));

    // Nobody else was disturbed until the whole domain goes.
    bob.write(b"DONE\r\n");
    while !bob.line().starts_with("i OK") {}
    bob.write(b"i IDLE\r\n");
    while !bob.line().starts_with('+') {}
    company.ask("UPDATE domains SET is_active = FALSE WHERE domain_name = 'hosts.test'");
    ends(bob, "domain switched off");
    assert!(!may_log_in(&imapd, BOB, PASSWORD));
    assert!(!rcpt(BOB).starts_with("250"));
    company.ask("UPDATE domains SET is_active = TRUE WHERE domain_name = 'hosts.test'");
    assert!(may_log_in(&imapd, BOB, PASSWORD));
    assert!(rcpt(BOB).starts_with("250"));
}

/// Somebody is hired, and the company's own program inserts a row: mail and logins work at once, wherever they come first.
#[test]
fn who_is_inserted_by_sql_of_others_gets_mail_at_once() {
    let company = Company::new("");
    let (one, two) = (company.host("one"), company.host("two"));
    let (smtpd, imapd, pop3d) = (
        one.start_daemon("smtpd"),
        two.start_daemon("imapd"),
        two.start_daemon("pop3d"),
    );
    let hire = |email: &str| {
        company.ask(&format!(
            "INSERT INTO virtual_users (email, password, domain_id) \
             SELECT '{email}', password, domain_id FROM virtual_users WHERE email = '{ADA}'"
        ));
    };
    // Mail first.
    hire("carol@hosts.test");
    deliver(&smtpd, "carol@hosts.test", "welcome");
    let mut carol = imap(&imapd, "carol@hosts.test");
    let selected = lines(&mut carol, "SELECT INBOX");
    assert!(selected.iter().any(|it| it == "* 1 EXISTS"), "{selected:?}");
    // A login first.
    hire("dave@hosts.test");
    let mut dave = imap(&imapd, "dave@hosts.test");
    let listed = lines(&mut dave, "LIST \"\" *");
    assert!(listed.iter().any(|it| it.ends_with("INBOX")), "{listed:?}");
    assert_eq!(listed.len(), 6, "{listed:?}");
    deliver(&smtpd, "dave@hosts.test", "welcome");
    hire("erin@hosts.test");
    let mut erin = connect(&pop3d, "pop3");
    for command in ["USER erin@hosts.test", &format!("PASS {PASSWORD}"), "STAT"] {
        erin.write(format!("{command}\r\n").as_bytes());
        let answer = erin.line();
        assert!(answer.starts_with("+OK"), "{command}: {answer}");
    }
    // Both at once, on both hosts.
    for round in 0..5 {
        let email = format!("new{round}@hosts.test");
        hire(&email);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| deliver(&smtpd, &email, "welcome"));
                scope.spawn(|| {
                    let mut client = imap(&imapd, &email);
                    lines(&mut client, "SELECT INBOX");
                });
            }
        });
        let mut client = imap(&imapd, &email);
        let status = lines(&mut client, "STATUS INBOX (MESSAGES)");
        assert_eq!(status, ["* STATUS INBOX (MESSAGES 2)"]);
    }
    let checked = one.done(&["fsck"], "");
    assert!(!checked.contains("quota"), "{checked}");
}
