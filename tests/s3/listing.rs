//! Listings that are not what the bucket holds: the check of index and store believes what can be read, and nobody who reads notices.

use crate::house::{ADA, Running, store};
use crate::server::Server;

const MESSAGES: usize = 6;

/// Keys of mail.
fn keys(server: &Server) -> Vec<String> {
    let bucket = server.bucket();
    let mail = bucket
        .objects
        .keys()
        .filter(|key| key.contains("/Maildir/"));
    mail.cloned().collect()
}

/// How many octets a client reads of all messages.
fn read(running: &Running) -> usize {
    let mut imap = running.imap();
    imap.ok("SELECT INBOX");
    imap.ok("UID FETCH 1:* (BODY.PEEK[])")
}

#[test]
fn attack_44_a_stale_listing_loses_and_invents_nothing() {
    let server = Server::start();
    let running = Running::start(&store(&server));
    let mut smtp = running.smtp();
    for number in 0..MESSAGES {
        let text = format!("From: eve@remote.example\r\nSubject: {number}\r\n\r\nHello.\r\n");
        let reply = smtp.send(ADA, text.as_bytes());
        assert!(reply.starts_with("250"), "{reply}");
    }
    let all = keys(&server);
    assert_eq!(all.len(), MESSAGES);
    let before = read(&running);
    {
        let mut bucket = server.bucket();
        // Some that are there are not listed, and what is listed beside the others was deleted long ago.
        bucket.unlisted.extend(all[..3].iter().cloned());
        let (folder, name) = all[5].rsplit_once('/').expect("in a folder");
        bucket.ghosts.insert(format!("{folder}/0{name}"), 77);
    }
    for more in [&["fsck"][..], &["fsck", "--repair"], &["fsck"]] {
        let output = running.house.control(more, "");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{more:?}: {said}");
        assert!(said.ends_with("they agree\n"), "{more:?}: {said}");
    }
    assert_eq!(read(&running), before);
    // What is not listed and cannot be read either is missing.
    let lost = all[0].clone();
    server.bucket().objects.remove(&lost);
    let output = running.house.control(&["fsck"], "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(&format!("missing: {lost}")), "{said}");
    assert_eq!(said.matches("missing: ").count(), 1, "{said}");
    assert_eq!(running.daemon.stop().code(), Some(0));
}
