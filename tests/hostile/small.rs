//! A house with one place for everything: whoever comes is served in turn, or told to come back; nothing hangs and nothing is lost.

use std::thread;

use crate::server::{ADA, Server};

#[test]
fn one_place_for_everything_serves_everybody_in_turn() {
    let server = Server::start(
        "[queues]\nmailbox = 1\nmailboxes = 1\nindex = 1\nstore_writes = 1\nstore_reads = 1\n\
         store_memory = \"1MiB\"\nhasher = 1\nfilter = 1\nthreads = 4\n",
    );
    // Twelve at a time.
    let taken: usize = thread::scope(|scope| {
        let senders: Vec<_> = (0..12)
            .map(|_| {
                let mut smtp = server.connect("smtp");
                scope.spawn(move || {
                    smtp.say("EHLO a");
                    let replies =
                        (0..5).map(|_| smtp.send(ADA, b"Subject: small\r\n\r\nHello.\r\n"));
                    let replies: Vec<_> = replies.collect();
                    let good = |it: &String| it.starts_with("250") || it.starts_with('4');
                    assert!(replies.iter().all(good), "{replies:?}");
                    replies.iter().filter(|it| it.starts_with("250")).count()
                })
            })
            .collect();
        let taken = senders.into_iter().map(|it| it.join().expect("no panic"));
        taken.sum()
    });
    assert!(taken > 0);
    let mut imap = server.imap();
    imap.ok("SELECT INBOX");
    let found = imap.ok("UID SEARCH SUBJECT small");
    // Each UID is a number and a space at least.
    assert!(
        found > 2 * taken,
        "{taken} were taken, {found} octets of UIDs are there"
    );
    imap.ok("CREATE other");
    // The one open mailbox is open: another one has to wait until it is closed.
    let mut second = server.imap();
    let (tagged, _) = second.imap("SELECT other");
    assert!(tagged.starts_with("NO [UNAVAILABLE]"), "{tagged}");
    assert!(server.reached("mailboxes") > 0);
    second.ok("SELECT INBOX");
    server.serves_others();
}
