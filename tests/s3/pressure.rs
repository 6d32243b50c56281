//! A store that slows, refuses or stalls under load: who cannot be served hears "later", memory stays where it was, nothing is lost,
//! and all is as before soon after.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::house::{ADA, Running, message, store};
use crate::server::{Fault, Server};

/// Sessions that send.
const SENDERS: usize = 24;
/// Octets of a message, about.
const SIZE: usize = 200_000;
/// Above what bodies in flight may hold: what each session has of its own, and the allocator's slack.
const SLACK: u64 = 96 << 20;
/// How long it may take until mail is taken again: repetitions pause for three seconds at most.
const SOON: Duration = Duration::from_secs(30);

/// Senders that go on until they are told, and what they were told.
struct Load {
    stop: Arc<AtomicBool>,
    number: Arc<AtomicUsize>,
    taken: Arc<Mutex<BTreeSet<String>>>,
    later: Arc<AtomicUsize>,
    refused: Arc<Mutex<Vec<String>>>,
    senders: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(running: &Arc<Running>) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            number: Arc::default(),
            taken: Arc::default(),
            later: Arc::default(),
            refused: Arc::default(),
            senders: Vec::new(),
        };
        for _ in 0..SENDERS {
            let running = running.clone();
            let (stop, number) = (load.stop.clone(), load.number.clone());
            let (taken, later) = (load.taken.clone(), load.later.clone());
            let refused = load.refused.clone();
            load.senders.push(std::thread::spawn(move || {
                let mut smtp = running.smtp();
                while !stop.load(Ordering::SeqCst) {
                    let subject = format!("n{}n", number.fetch_add(1, Ordering::SeqCst));
                    let reply = smtp.send(ADA, &message(&subject, SIZE));
                    match reply.as_bytes().first() {
                        Some(b'2') => {
                            taken.lock().expect("no panic").insert(subject);
                        }
                        Some(b'4') => {
                            later.fetch_add(1, Ordering::SeqCst);
                            if reply.starts_with("421") {
                                smtp = running.smtp();
                            } else {
                                smtp.say("RSET");
                            }
                        }
                        _ => {
                            refused.lock().expect("no panic").push(reply);
                            smtp = running.smtp();
                        }
                    }
                }
            }));
        }
        load
    }

    fn taken(&self) -> usize {
        self.taken.lock().expect("no panic").len()
    }

    /// Waits until so many more were taken.
    fn takes(&self, more: usize, patience: Duration) -> bool {
        let (begun, wanted) = (Instant::now(), self.taken() + more);
        while self.taken() < wanted {
            if begun.elapsed() > patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// For senders whose server is gone: what was taken before.
    fn abandon(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::SeqCst);
        for sender in self.senders {
            // They find nobody to connect to.
            let _ = sender.join();
        }
        std::mem::take(&mut *self.taken.lock().expect("no panic while it is held"))
    }

    fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::SeqCst);
        for sender in self.senders {
            sender.join().expect("a sender");
        }
        let refused = self.refused.lock().expect("no panic");
        assert!(refused.is_empty(), "said no for good: {refused:?}");
        std::mem::take(&mut *self.taken.lock().expect("no panic"))
    }
}

fn running(server: &Server, answer: &str) -> Arc<Running> {
    let lines = store(server)
        + "timeout = \"1s\"\n[limits]\nmemory = \"32MiB\"\nexempt = [\"127.0.0.1/32\"]\n[deadlines]\nanswer = \""
        + answer
        + "\"\n[queues]\nstore_writes = 8\nstore_reads = 16\nstore_memory = \"4MiB\"\n";
    Arc::new(Running::start(&lines))
}

/// Trouble under load, and what comes after it.
fn suffer(fault: Fault, lasts: Duration, mail_stops: bool) {
    let server = Server::start();
    let running = running(&server, "4s");
    let load = Load::start(&running);
    assert!(
        load.takes(SENDERS * 2, Duration::from_secs(120)),
        "{}",
        running.house.log()
    );
    let before = running.memory();
    let mut imap = running.imap();
    imap.ok("SELECT INBOX");
    imap.ok("UID FETCH 1 (BODY.PEEK[])");
    server.most();

    server.always(Some(fault));
    let begun = Instant::now();
    let mut most = 0;
    let mut narrowest = f64::MAX;
    while begun.elapsed() < lasts {
        std::thread::sleep(Duration::from_millis(200));
        most = most.max(running.memory());
        let permits = running.metric("postrider_store_permits{kind=\"write\"}");
        narrowest = narrowest.min(permits);
    }
    if mail_stops {
        // What needs no body is served as ever; what needs one is told to come again.
        let quick = Instant::now();
        imap.ok("NOOP");
        imap.ok("UID SEARCH SUBJECT n1n");
        assert!(
            quick.elapsed() < Duration::from_secs(20),
            "{:?}",
            quick.elapsed()
        );
        let (tagged, _) = imap.imap("UID FETCH 1 (BODY.PEEK[])");
        assert!(tagged.starts_with("NO [UNAVAILABLE]"), "{tagged}");
        assert!(
            load.later.load(Ordering::SeqCst) >= SENDERS / 2,
            "nobody was told to come later"
        );
    }
    assert!(
        narrowest < 8.0,
        "the store was asked as before: {narrowest}"
    );
    // Of those that stall the server does not notice that nobody waits any longer.
    assert!(
        server.most() <= 8 + 16 + 2 || fault == Fault::Stall,
        "permits hold"
    );

    server.always(None);
    assert!(
        load.takes(SENDERS * 2, SOON),
        "not back soon: {} taken",
        load.taken()
    );
    let grown = most.saturating_sub(before);
    println!(
        "{fault:?}: {} MiB more, permits down to {narrowest}",
        grown >> 20
    );
    assert!(grown < (32 << 20) + SLACK, "{grown} octets more");
    let taken = load.stop();
    imap.ok("UID FETCH 1 (BODY.PEEK[])");

    nothing_is_lost(&running, &taken);
}

/// Every message that was taken is there and can be read.
fn nothing_is_lost(running: &Running, taken: &BTreeSet<String>) {
    let mut imap = running.imap();
    imap.ok("SELECT INBOX");
    for subject in taken {
        let (tagged, octets) = imap.imap(&format!("UID SEARCH SUBJECT {subject}"));
        assert!(tagged.starts_with("OK"), "{tagged}");
        // "* SEARCH" with a number.
        let log = || running.house.log();
        assert!(
            octets > "* SEARCH\r\n".len(),
            "{subject} is lost\n{}",
            log()
        );
    }
    imap.ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
    imap.ok("UID FETCH 1:20 (BODY.PEEK[])");
    let output = running.house.control(&["--json", "fsck"], "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("\"objects\""), "{said}");
    assert!(
        !said.contains("\"missing\"") && !said.contains("\"damaged\""),
        "{said}"
    );
}

#[test]
fn attack_44_a_store_that_refuses_under_load() {
    suffer(
        Fault::Refuse(503, "SlowDown"),
        Duration::from_secs(12),
        true,
    );
}

#[test]
fn attack_44_a_store_that_stalls_under_load() {
    suffer(Fault::Stall, Duration::from_secs(12), true);
}

#[test]
fn attack_44_a_store_that_takes_two_seconds_under_load() {
    // Longer than a request may take here: repeated, and done all the same where there is time.
    suffer(
        Fault::DelayAfter(Duration::from_millis(900)),
        Duration::from_secs(10),
        false,
    );
}

#[test]
fn attack_44_sockets_are_not_read_while_the_store_stalls() {
    let server = Server::start();
    let running = running(&server, "60s");
    let mut smtp = running.smtp();
    assert!(smtp.send(ADA, &message("before", 1000)).starts_with('2'));
    server.always(Some(Fault::Stall));
    for command in [
        "MAIL FROM:<eve@remote.example>",
        "RCPT TO:<ada@s3.test>",
        "DATA",
    ] {
        smtp.say(command);
    }
    let before = running.memory();
    assert!(smtp.write(&message("stalled", 1000)) && smtp.write(b".\r\n"));
    let patience = Some(Duration::from_secs(3));
    smtp.socket().set_write_timeout(patience).expect("a socket");
    let commands = "NOOP\r\n".repeat(10_000);
    let mut taken = 0;
    while smtp.write(commands.as_bytes()) {
        taken += commands.len();
        assert!(
            taken < 64 << 20,
            "the socket is read though nobody can be served"
        );
    }
    let grown = running.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} octets more, of {taken} sent");
    // Others, who need no body, do not notice.
    running.imap().ok("SELECT INBOX");
    server.always(None);
    assert!(
        running
            .smtp()
            .send(ADA, &message("after", 1000))
            .starts_with('2')
    );
}

#[test]
fn attack_45_a_server_that_is_killed_has_lost_nothing_it_took() {
    let server = Server::start();
    let running = running(&server, "20s");
    let load = Load::start(&running);
    assert!(
        load.takes(SENDERS, Duration::from_secs(120)),
        "{}",
        running.house.log()
    );
    let killed = std::process::Command::new("kill")
        .args(["-9", &running.daemon.pid().to_string()])
        .status();
    assert!(killed.is_ok_and(|it| it.success()));
    let taken = load.abandon();
    let Ok(running) = Arc::try_unwrap(running) else {
        panic!("a sender goes on");
    };
    let running = running.again();
    nothing_is_lost(&running, &taken);
    assert!(
        running
            .smtp()
            .send(ADA, &message("after", 1000))
            .starts_with('2')
    );
}
