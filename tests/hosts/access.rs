//! What an operator takes away on one host is gone on all of them: what they remember of logins, and sessions that live.

use postrider_tests::daemon::Daemon;

use super::client::Client;
use super::company::{ADA, BOB, Company, PASSWORD, connect, imap, lines};

const CHANGED: &str = "changed meanwhile";

/// What a login over IMAP hears.
fn login(imapd: &Daemon, email: &str, password: &str) -> String {
    let mut client = connect(imapd, "imap");
    client.write(format!("a LOGIN {email} \"{password}\"\r\n").as_bytes());
    client.line()
}

/// The session is ended, with a word.
fn ended(client: &mut Client) {
    while !client.line().starts_with("* BYE") {}
}

#[test]
fn attack_31_what_is_taken_away_on_one_host_is_gone_on_all() {
    let company = Company::new("");
    let (one, two) = (company.host("one"), company.host("two"));
    let (imapd, beside) = (two.start_daemon("imapd"), one.start_daemon("imapd"));
    // Both remember the success, and sessions live on both: one that waits for news, one between commands.
    let mut idle = imap(&imapd, ADA);
    lines(&mut idle, "SELECT INBOX");
    idle.write(b"i IDLE\r\n");
    assert!(idle.line().starts_with('+'));
    let mut silent = imap(&beside, ADA);
    for imapd in [&imapd, &beside] {
        assert!(login(imapd, ADA, PASSWORD).starts_with("a OK"));
    }
    let mut other = imap(&imapd, BOB);

    one.done(&["user", "passwd", ADA], &format!("{CHANGED}\n"));
    for imapd in [&imapd, &beside] {
        let said = login(imapd, ADA, PASSWORD);
        assert!(said.starts_with("a NO [AUTHENTICATIONFAILED]"), "{said}");
        assert!(login(imapd, ADA, CHANGED).starts_with("a OK"));
    }
    ended(&mut idle);
    ended(&mut silent);
    // Nobody else notices.
    lines(&mut other, "NOOP");

    one.done(&["user", "disable", BOB], "");
    ended(&mut other);
    let said = login(&imapd, BOB, PASSWORD);
    assert!(said.starts_with("a NO [AUTHENTICATIONFAILED]"), "{said}");
    one.done(&["user", "enable", BOB], "");
    assert!(login(&imapd, BOB, PASSWORD).starts_with("a OK"));

    let mut last = imap(&imapd, BOB);
    one.done(&["domain", "disable", "hosts.test"], "");
    ended(&mut last);
    for imapd in [&imapd, &beside] {
        let said = login(imapd, ADA, CHANGED);
        assert!(said.starts_with("a NO [AUTHENTICATIONFAILED]"), "{said}");
    }
}
