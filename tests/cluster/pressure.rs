//! A store that slows, stalls or refuses while mail comes in by SMTP, LMTP and IMAP and is read by IMAP (E2): who cannot be served hears
//! "later", sockets are no longer read, memory stays in its budget, and when the store is back so is the throughput; nothing is lost.
//!
//! Each trouble lasts some seconds, with deadlines to match; with `CLUSTER_FULL=1` a minute.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::house::agree;
use crate::keeper::check;
use crate::ledger::{ACCOUNTS, Ledger};
use crate::letter::Letter;
use crate::random::Random;
use crate::server::Fault;
use crate::site::Site;
use crate::wire::{End, Wire};
use crate::{PASSWORD, number};

/// What bodies in flight may hold.
const BUDGET: u64 = 32 << 20;
/// Above that: what each session has of its own, and the allocator's slack.
const SLACK: u64 = 96 << 20;
/// Clients that send, by protocol, and that read.
const SENDERS: [(Way, u64); 3] = [(Way::Smtp, 12), (Way::Lmtp, 4), (Way::Append, 4)];
const READERS: u64 = 6;
/// How long it may take until mail is taken as fast as before: repetitions pause for three seconds at most.
const SOON: Duration = Duration::from_secs(30);

/// How mail comes in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Smtp,
    Lmtp,
    Append,
}

/// Clients that go on until they are told to end.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    ledger: Ledger,
    /// Answers "later", and connections that ended.
    later: AtomicUsize,
    gone: AtomicUsize,
    read: AtomicUsize,
    not_now: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// One client, again and again.
    fn run(&self, mut session: impl FnMut() -> Result<(), End>) {
        while self.goes_on() {
            match session() {
                Ok(()) => {}
                Err(End::Later(_)) => {
                    self.later.fetch_add(1, Ordering::SeqCst);
                }
                Err(End::Gone) => {
                    self.gone.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(End::Wrong(why)) => self.wrong.lock().unwrap().push(why),
            }
        }
    }

    /// A session that sends until somebody says something else than yes.
    fn send(&self, site: &Reach, way: Way, writer: u64, number: &mut u64) -> Result<(), End> {
        let account = (writer % 2) as usize;
        let service = match way {
            Way::Smtp => "smtp",
            Way::Lmtp => "lmtp",
            Way::Append => "imap",
        };
        let mut wire = match way {
            Way::Append => Wire::inbox(site.port(service), ACCOUNTS[account], PASSWORD)?.0,
            _ => {
                let mut wire = Wire::connect(site.port(service))?;
                wire.expect("the connection", "220")?;
                let hello = if way == Way::Smtp { "EHLO" } else { "LHLO" };
                wire.smtp(&format!("{hello} client.elsewhere.test"), "250")?;
                wire
            }
        };
        while self.goes_on() {
            *number += 1;
            let letter = Letter {
                round: 1,
                writer,
                number: *number,
                // About 200 KiB, and small ones between them.
                lines: if number.is_multiple_of(3) { 20 } else { 3500 },
            };
            self.ledger.send(account, letter);
            let text = letter.text();
            let uid = match way {
                Way::Append => Some(wire.append("INBOX", &text)?),
                _ => {
                    wire.smtp("MAIL FROM:<writer@elsewhere.test>", "250")?;
                    wire.smtp(&format!("RCPT TO:<{}>", ACCOUNTS[account]), "250")?;
                    wire.smtp("DATA", "354")?;
                    wire.write(text.replace("\r\n.", "\r\n..").as_bytes())?;
                    wire.write(b".\r\n")?;
                    wire.expect("the message", "250")?;
                    None
                }
            };
            self.ledger.yes(account, letter, uid);
        }
        Ok(())
    }

    /// A session that reads the newest message again and again.
    fn read(&self, site: &Reach, reader: u64) -> Result<(), End> {
        let account = ACCOUNTS[(reader % 2) as usize];
        let (mut wire, _) = Wire::inbox(site.port("imap"), account, PASSWORD)?;
        while self.goes_on() {
            let ask = b"UID FETCH * (UID BODY.PEEK[])";
            let (_, tagged) = wire.imap(ask, |_, octets| Letter::of(&octets).map(drop))?;
            match &tagged {
                it if it.starts_with("OK") => self.read.fetch_add(1, Ordering::SeqCst),
                it if it.starts_with("NO [UNAVAILABLE]") => {
                    self.not_now.fetch_add(1, Ordering::SeqCst)
                }
                it => return Err(End::Wrong(format!("FETCH was answered {it}"))),
            };
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn answered(&self) -> usize {
        self.ledger.answered()
    }
}

/// Where the site is.
type Reach = postrider_tests::door::Door;

/// Starts all clients.
fn clients(load: &Arc<Load>, site: &Site) -> Vec<JoinHandle<()>> {
    let ways = SENDERS
        .iter()
        .flat_map(|(way, count)| (0..*count).map(|_| *way));
    let mut threads = Vec::new();
    for (writer, way) in ways.enumerate() {
        let (load, door) = (load.clone(), site.door.clone());
        threads.push(std::thread::spawn(move || {
            let mut number = 0;
            load.run(|| load.send(&door, way, writer as u64, &mut number));
        }));
    }
    for reader in 0..READERS {
        let (load, door) = (load.clone(), site.door.clone());
        threads.push(std::thread::spawn(move || {
            load.run(|| load.read(&door, reader));
        }));
    }
    threads
}

/// Waits until so many more were taken; how long that took.
fn takes(load: &Load, more: usize, patience: Duration) -> Option<Duration> {
    let (begun, wanted) = (Instant::now(), load.answered() + more);
    while load.answered() < wanted {
        if begun.elapsed() > patience {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Some(begun.elapsed())
}

/// What a daemon held and did at most.
#[derive(Debug, Default)]
struct Most {
    resident: u64,
    in_flight: f64,
    waiting: f64,
    narrowest: f64,
}

impl Most {
    fn look(&mut self, site: &Site, daemon: &str) {
        let host = &site.hosts[0];
        self.resident = self.resident.max(host.memory(daemon));
        let text = host.http(daemon, "/metrics");
        let number = |name: &str| {
            let line = text.lines().find_map(|it| it.strip_prefix(name));
            line.and_then(|it| it.trim().parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        self.in_flight = self
            .in_flight
            .max(number("postrider_memory_in_flight_bytes "));
        self.waiting = self.waiting.max(number("postrider_store_waiting "));
        let permits = number("postrider_store_permits{kind=\"write\"} ");
        self.narrowest = match self.narrowest {
            0.0 => permits,
            narrowest => narrowest.min(permits),
        };
    }
}

/// A client that does not wait for its answer: how many octets are taken from it before nobody reads them any longer.
fn hasty(site: &Site) -> Result<usize, End> {
    let mut wire = Wire::connect(site.door.port("smtp"))?;
    wire.line()?;
    let letter = Letter {
        round: 2,
        writer: 99,
        number: 1,
        lines: 100,
    };
    for (command, wanted) in [
        ("EHLO hasty.test", "250"),
        ("MAIL FROM:<a@b.test>", "250"),
        (&format!("RCPT TO:<{}>", ACCOUNTS[0]), "250"),
        ("DATA", "354"),
    ] {
        wire.smtp(command, wanted)?;
    }
    let text = letter.text().replace("\r\n.", "\r\n..");
    wire.write(format!("{text}.\r\n").as_bytes())?;
    wire.patience(Duration::from_millis(500));
    let commands = "NOOP\r\n".repeat(4096);
    let (begun, mut taken) = (Instant::now(), 0);
    // Until the socket is full, and well before the message has to be answered.
    while begun.elapsed() < Duration::from_secs(2) && wire.write(commands.as_bytes()).is_ok() {
        taken += commands.len();
    }
    if taken > 32 << 20 {
        let said = wire.reply();
        return Err(End::Wrong(format!(
            "{taken} octets are taken, and {said:?} is said"
        )));
    }
    Ok(taken)
}

#[test]
fn attack_44_a_store_that_slows_stalls_or_refuses_under_full_load() {
    let is_full = number("CLUSTER_FULL", 0) > 0;
    let (lasts, answer, timeout) = match is_full {
        true => (
            Duration::from_secs(60),
            "answer = \"20s\"",
            "timeout = \"10s\"",
        ),
        false => (
            Duration::from_secs(8),
            "answer = \"4s\"",
            "timeout = \"3s\"",
        ),
    };
    let lines = [
        ("limits", "memory = \"32MiB\""),
        ("deadlines", answer),
        ("store", timeout),
        ("queues", "store_writes = 8"),
        ("queues", "store_reads = 16"),
        ("queues", "store_memory = \"4MiB\""),
    ];
    let mut site = Site::start(1, false, &lines);
    let load = Arc::new(Load::default());
    let threads = clients(&load, &site);
    let daemons = ["smtpd", "imapd"];
    takes(&load, 60, Duration::from_secs(120))
        .unwrap_or_else(|| panic!("{}\n\nno mail is taken", site.log()));
    let mut random = Random::new(crate::seed());
    let before: Vec<u64> = daemons.iter().map(|it| site.hosts[0].memory(it)).collect();

    for fault in [
        Fault::DelayAfter(Duration::from_secs(2)),
        Fault::Stall,
        Fault::Refuse(503, "SlowDown"),
    ] {
        // As fast as it goes, before and after.
        let some = 40 + random.below(3) as usize;
        let usual = takes(&load, some, Duration::from_secs(120)).expect("mail is taken");
        let (taken, later, gone) = (
            load.answered(),
            load.later.load(Ordering::SeqCst),
            load.gone.load(Ordering::SeqCst),
        );
        let not_now = load.not_now.load(Ordering::SeqCst);
        site.store.always(Some(fault));
        let begun = Instant::now();
        let mut most = [Most::default(), Most::default()];
        let mut hurried = None;
        while begun.elapsed() < lasts {
            std::thread::sleep(Duration::from_millis(150));
            for (most, daemon) in most.iter_mut().zip(daemons) {
                most.look(&site, daemon);
            }
            if fault == Fault::Stall && hurried.is_none() && begun.elapsed() > lasts / 8 {
                hurried = Some(hasty(&site));
            }
        }
        let told = load.later.load(Ordering::SeqCst) - later;
        let not_now = load.not_now.load(Ordering::SeqCst) - not_now;
        let ready = site.hosts[0].http("smtpd", "/health/ready");
        site.store.always(None);
        let over = Instant::now();
        // What is answered now was waiting; what counts is when mail goes on as before.
        let mut best = f64::MAX;
        while best > 3.0 {
            assert!(
                over.elapsed() < SOON,
                "{fault:?}: not as fast as before after {SOON:?}\n{}",
                site.log()
            );
            let Some(took) = takes(&load, some / 2, SOON) else {
                continue;
            };
            best = took.as_secs_f64() * 2.0 / usual.as_secs_f64();
        }
        println!(
            "{fault:?}: {some} in {usual:.1?} before, as fast again after {:.1?} (a factor {best:.1}); meanwhile {} taken, {told} senders and \
             {not_now} readers told to come later, {} connections ended; {most:?}",
            over.elapsed(),
            load.answered() - taken,
            load.gone.load(Ordering::SeqCst) - gone,
        );
        let is_slow = matches!(fault, Fault::DelayAfter(_));
        if !is_slow {
            assert!(told > 0, "{fault:?}: no sender was told to come later");
            assert!(not_now > 0, "{fault:?}: no reader was told to come later");
            assert!(
                most[0].narrowest < 8.0,
                "{fault:?}: the store was asked as before"
            );
            assert!(ready.starts_with("HTTP/1.1 503"), "{fault:?}: {ready}");
        }
        if fault == Fault::Stall {
            let taken = hurried.expect("it was tried");
            let taken = taken.unwrap_or_else(|end| panic!("{}\n\n{end:?}", site.log()));
            println!("a client that did not wait for its answer: {taken} octets went into sockets");
        }
        assert!(
            most[0].waiting > 0.0,
            "{fault:?}: nobody waited for a permit"
        );
        for ((most, daemon), before) in most.iter().zip(daemons).zip(&before) {
            let grown = most.resident.saturating_sub(*before);
            assert!(
                grown < BUDGET + SLACK,
                "{fault:?}: {daemon} grew by {grown} octets"
            );
            assert!(
                most.in_flight <= BUDGET as f64,
                "{fault:?}: {daemon}: {most:?}"
            );
        }
    }
    load.stop.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().unwrap();
    }
    let wrong = load.wrong.lock().unwrap();
    assert!(wrong.is_empty(), "{}\n\n{wrong:?}", site.log());
    let repeats = site.hosts[0].metric("smtpd", "postrider_store_repeats_total{");
    assert!(repeats > 0.0, "repetitions are counted");
    println!(
        "{} letters taken, {} read, {repeats} requests repeated",
        load.answered(),
        load.read.load(Ordering::SeqCst)
    );
    // The hasty client's letter is there or not: it was never answered.
    load.ledger.send(
        0,
        Letter {
            round: 2,
            writer: 99,
            number: 1,
            lines: 100,
        },
    );
    check(&site.hosts[0].house, &site.door, &load.ledger)
        .unwrap_or_else(|why| panic!("{}\n\n{why}", site.log()));
    site.stop();
    agree(&site.hosts[0].house).unwrap_or_else(|why| panic!("{}\n\n{why}", site.log()));
}
