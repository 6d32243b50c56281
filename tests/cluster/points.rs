//! `kill -9` of each daemon at every write to a socket while one client passes every kind of commit.
//!
//! What a daemon does to the outside it does by a write to a socket: a statement to the database, a piece of a body to the store, an
//! answer. Each kind of step is first done without a fault, which counts its writes; then once for each of them and for each of
//! before, after and half-way, with a message of its own, and the daemon dies exactly there. The three daemons run alone on a host
//! each, so that nobody else's writes are counted. After each death the daemon starts again and all mail is held against the ledger; what
//! is true then is listed in `tests/crash`.
//!
//! A seed chooses some points of every step, `CLUSTER_SEED` the same ones again. `CLUSTER_POINTS` says how many; `all` are all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_tests::daemon::DAEMONS;
use postrider_tests::fault::{Class, Op, When};

use crate::PASSWORD;
use crate::house::{agree, shelves};
use crate::keeper::check;
use crate::ledger::{ACCOUNTS, Account, Ledger};
use crate::letter::Letter;
use crate::random::Random;
use crate::seed;
use crate::shelf::FLAGS;
use crate::site::Site;
use crate::wire::{End, Manners, Wire};
use crate::worker::Worker;
use crate::writer::Writer;

/// Points that are visited unless `CLUSTER_POINTS` says how many.
const POINTS: usize = 90;
/// Whose mail it is, and who gets the same letter over LMTP.
const ADA: Account = 0;
const BOB: Account = 1;
/// Lines of a letter that is sent to the store in two parts.
const LARGE: u64 = 115_000;
/// How long writes after the last answer are waited for: notices, leases.
const AFTER: Duration = Duration::from_millis(150);
/// How long who was killed has to be gone, and a maildrop to be free.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the hosts are told: nothing is to happen by the clock, and slow machines are waited for.
const LINES: [(&str, &str); 6] = [
    ("deadlines", "answer = \"30s\""),
    ("deadlines", "maildrop = \"2s\""),
    ("retention", "expunged = \"1d\""),
    ("store", "timeout = \"10s\""),
    ("store", "multipart_from = \"5MiB\""),
    ("store", "part_size = \"5MiB\""),
];

/// One kind of step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Smtp,
    /// For two recipients.
    Lmtp,
    /// A body in parts.
    Large,
    Append,
    Store,
    Copy,
    Move,
    Expunge,
    /// CREATE, APPEND, RENAME, DELETE.
    Mailboxes,
    /// Login, DELE of two and QUIT.
    Pop3,
}

impl Step {
    const ALL: [Self; 10] = [
        Self::Smtp,
        Self::Lmtp,
        Self::Large,
        Self::Append,
        Self::Store,
        Self::Copy,
        Self::Move,
        Self::Expunge,
        Self::Mailboxes,
        Self::Pop3,
    ];

    /// Who does it, by its place in [`DAEMONS`], which is that of its host.
    fn daemon(self) -> usize {
        match self {
            Self::Smtp | Self::Lmtp | Self::Large => 0,
            Self::Pop3 => 2,
            _ => 1,
        }
    }
}

/// Where a daemon dies.
type Point = (Step, u64, When);

#[test]
fn attack_45_every_write_of_every_daemon_may_be_its_last() {
    let (seed, begun) = (seed(), Instant::now());
    let mut random = Random::new(seed);
    let mut scene = Scene::new();
    let mut counts = Vec::new();
    for step in Step::ALL {
        let passed = scene.pass((step, u64::MAX, When::Before));
        let passed = passed.unwrap_or_else(|why| scene.failed(&format!("{step:?}: {why}")));
        assert!(passed.writes > 1, "{step:?} is not answered without writes");
        counts.push((step, passed.writes));
    }
    println!("{:6.1?}: writes {counts:?}", begun.elapsed());
    let (points, all) = choose(&counts, &mut random);
    println!(
        "CLUSTER_SEED={seed} CLUSTER_POINTS={}: {} of {all}",
        points.len(),
        points.len()
    );
    let mut killed = [0; DAEMONS.len()];
    for step in Step::ALL {
        let of_step = points.iter().filter(|it| it.0 == step);
        let (mut deaths, mut visited, mut yes) = (0, 0, 0);
        for point in of_step {
            let place = format!(
                "CLUSTER_SEED={seed} CLUSTER_POINTS={}, {point:?}",
                points.len()
            );
            let passed = scene.pass(*point);
            let passed = passed.unwrap_or_else(|why| scene.failed(&format!("{place}: {why}")));
            visited += 1;
            deaths += usize::from(passed.died);
            yes += usize::from(passed.died && passed.answered);
        }
        println!(
            "{:6.1?}: {step:?}, {}: {visited} points, {deaths} deaths, {yes} of them after all answers",
            begun.elapsed(),
            DAEMONS[step.daemon()]
        );
        killed[step.daemon()] += deaths;
    }
    // Less may be written than was counted, by some.
    let enough = killed.iter().sum::<usize>() * 2 >= points.len();
    assert!(enough && !killed.contains(&0), "{killed:?}");
    scene.end();
    println!("{:.1?}: {}", begun.elapsed(), scene.ledger.summary());
}

/// The points that are visited, of each step as many as of the others where it has them; and how many there are.
fn choose(counts: &[(Step, u64)], random: &mut Random) -> (Vec<Point>, usize) {
    let of_step = |(step, count): &(Step, u64)| -> Vec<Point> {
        let whens = [When::Before, When::Half, When::After];
        let at = |nth| whens.map(|when| (*step, nth, when));
        (1..=*count).flat_map(at).collect()
    };
    let mut left: Vec<Vec<Point>> = counts.iter().map(of_step).collect();
    let all = left.iter().map(Vec::len).sum();
    let wanted = match std::env::var("CLUSTER_POINTS").as_deref() {
        Ok("all") => return (left.concat(), all),
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("CLUSTER_POINTS is neither a number nor all: {text}")),
        Err(_) => POINTS,
    };
    let mut points = Vec::new();
    while points.len() < wanted.min(all) {
        for some in &mut left {
            if !some.is_empty() && points.len() < wanted {
                points.push(some.swap_remove(random.below(some.len() as u64) as usize));
            }
        }
    }
    (points, all)
}

/// A host for each daemon, and what is known of the mail.
struct Scene {
    site: Site,
    ledger: Arc<Ledger>,
    /// Of the letters: every point has its own.
    round: u64,
}

/// What happened at a point.
struct Passed {
    writes: u64,
    died: bool,
    /// The client heard everything before.
    answered: bool,
}

/// A client in the middle of a session.
struct Client {
    worker: Worker,
    writer: Writer,
    wire: Option<Wire>,
    /// Messages of INBOX for this step alone.
    fresh: Vec<(u32, Letter)>,
}

impl Scene {
    fn new() -> Self {
        let mut site = Site::new(DAEMONS.len(), false, &LINES);
        for (host, name) in site.hosts.iter_mut().zip(DAEMONS) {
            host.wanted = vec![name];
        }
        site.start_what_is_down();
        shelves(&site.hosts[1].house, &site.door);
        Self {
            site,
            ledger: Arc::default(),
            round: 0,
        }
    }

    /// Does a step, in which the daemon dies at this point; starts it again and looks at everything.
    fn pass(&mut self, (step, nth, when): Point) -> Result<Passed, String> {
        self.round += 1;
        let at = step.daemon();
        let prepared = self.client(step);
        // What goes was there: the ledger has to have seen it.
        check(&self.site.hosts[1].house, &self.site.door, &self.ledger)?;
        let mut client = prepared.map_err(|end| format!("before the step: {end:?}"))?;
        let faults = &self.site.hosts[at].faults;
        faults.kill(&[Op::Answer], &[Class::Socket], nth, when);
        let ended = client.work(step);
        let patience = if ended.is_ok() { AFTER } else { PATIENCE };
        self.site.wait_for_an_end(at, patience);
        let faults = &self.site.hosts[at].faults;
        faults.clear();
        let (writes, died) = (faults.count(), faults.killed().is_some());
        match &ended {
            Err(End::Gone) if died => {}
            Err(end) => return Err(format!("{end:?}")),
            Ok(()) => {}
        }
        // Who did not die is killed too: every step begins with a daemon that has just started.
        self.site.kill(at, DAEMONS[at]);
        self.settle();
        self.site.start_what_is_down();
        check(&self.site.hosts[1].house, &self.site.door, &self.ledger)?;
        Ok(Passed {
            writes,
            died,
            answered: ended.is_ok(),
        })
    }

    /// Waits until the database has done, or taken back, what it was asked by who is gone.
    fn settle(&self) {
        let busy = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
            AND state <> 'idle' AND pid <> pg_backend_pid()";
        let begun = Instant::now();
        while self.site.ask(busy) != "0" && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything that a step needs, up to its first command.
    fn client(&self, step: Step) -> Result<Client, End> {
        let (door, ledger) = (&self.site.door, &self.ledger);
        let (round, manners) = (self.round, Manners::Strict);
        let random = || Random::new(round);
        let writer = Writer {
            round,
            writer: 1,
            number: 0,
            manners,
            random: random(),
            ledger: ledger.clone(),
        };
        let worker = Worker {
            account: ADA,
            round,
            // The first mailbox of a worker stays.
            number: 1,
            manners,
            random: random(),
            ledger: ledger.clone(),
            door: door.clone(),
        };
        let (mut inbox, _) = Wire::inbox(door.port("imap"), ACCOUNTS[ADA], PASSWORD)?;
        let mut fresh = Vec::new();
        let messages = match step {
            Step::Store | Step::Copy | Step::Move | Step::Expunge => 1,
            Step::Pop3 => 2,
            _ => 0,
        };
        for number in 1..=messages {
            let letter = self.letter(2, number, 3);
            ledger.send(ADA, letter);
            let uid = inbox.append("INBOX", &letter.text())?;
            ledger.yes(ADA, letter, Some(uid));
            if matches!(step, Step::Move | Step::Expunge | Step::Pop3) {
                ledger.dooms(ADA, uid);
            }
            fresh.push((uid, letter));
        }
        let wire = match step {
            Step::Smtp | Step::Large => Some(greeted(door.port("smtp"), "EHLO")?),
            Step::Lmtp => Some(greeted(door.port("lmtp"), "LHLO")?),
            Step::Pop3 => {
                // Until the lease of the one that died is over.
                let begun = Instant::now();
                let left = loop {
                    match worker.maildrop(ACCOUNTS[ADA]) {
                        Ok((mut wire, _)) => break worker.quit(&mut wire, &[]),
                        Err(End::Later(_)) if begun.elapsed() < PATIENCE => {}
                        Err(end) => break Err(end),
                    }
                    std::thread::sleep(Duration::from_millis(50));
                };
                left?;
                None
            }
            _ => Some(inbox),
        };
        Ok(Client {
            worker,
            writer,
            wire,
            fresh,
        })
    }

    fn letter(&self, writer: u64, number: u64, lines: u64) -> Letter {
        Letter {
            round: self.round,
            writer,
            number,
            lines,
        }
    }

    /// Once more all of it, index and store.
    fn end(&mut self) {
        self.ledger.forget_what_was_read();
        check(&self.site.hosts[1].house, &self.site.door, &self.ledger)
            .unwrap_or_else(|why| self.failed(&why));
        self.site.stop();
        agree(&self.site.hosts[0].house).unwrap_or_else(|why| self.failed(&why));
        assert!(!self.site.log().contains("panicked"), "{}", self.site.log());
    }

    fn failed(&self, why: &str) -> ! {
        panic!("{}\n\n{why}", self.site.log());
    }
}

impl Client {
    /// Does the step; everything that was heard is in the ledger.
    fn work(&mut self, step: Step) -> Result<(), End> {
        let Some(wire) = &mut self.wire else {
            return self.pop3();
        };
        let letter = |number, lines| Letter {
            round: self.writer.round,
            writer: 1,
            number,
            lines,
        };
        let (worker, writer) = (&mut self.worker, &self.writer);
        match (step, self.fresh.first()) {
            (Step::Smtp, _) => writer.by_smtp(wire, letter(1, 20), &[ADA]),
            (Step::Lmtp, _) => writer.by_lmtp(wire, letter(1, 20), &[ADA, BOB]),
            (Step::Large, _) => writer.by_smtp(wire, letter(1, LARGE), &[ADA]),
            (Step::Append, _) => {
                worker.ledger.send(ADA, letter(1, 20));
                let uid = wire.append("INBOX", &letter(1, 20).text())?;
                worker.ledger.yes(ADA, letter(1, 20), Some(uid));
                Ok(())
            }
            (Step::Store, Some((uid, _))) => {
                let at = *uid as usize % FLAGS.len();
                worker.mark_one(wire, *uid, at)
            }
            (Step::Copy, Some(chosen)) => worker.carry_one(wire, 0, *chosen),
            (Step::Move, Some(chosen)) => worker.carry_one(wire, 1, *chosen),
            (Step::Expunge, Some((uid, _))) => worker.expunge_one(wire, *uid),
            (Step::Mailboxes, _) => worker.mailboxes(wire).map(drop),
            (step, _) => unreachable!("{step:?} was prepared"),
        }
    }

    fn pop3(&self) -> Result<(), End> {
        let (mut wire, lines) = self.worker.maildrop(ACCOUNTS[ADA])?;
        let uids: Vec<u32> = self.fresh.iter().map(|it| it.0).collect();
        for uid in &uids {
            self.worker.dele(&mut wire, &lines, *uid)?;
        }
        self.worker.quit(&mut wire, &uids)
    }
}

/// A connection that has said who it is.
fn greeted(port: u16, verb: &str) -> Result<Wire, End> {
    let mut wire = Wire::connect(port)?;
    wire.expect("the connection", "220")?;
    wire.smtp(&format!("{verb} client.elsewhere.test"), "250")?;
    Ok(wire)
}
