//! What goes wrong in a round.

use std::time::Duration;

use postrider_tests::daemon::DAEMONS;
use postrider_tests::fault::{Class, Op, When};

use crate::random::Random;
use crate::server::Fault;
use crate::site::Site;

/// One kind of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// `kill -9` of a daemon, at any moment.
    Daemon,
    /// The same at a chosen write to a socket: before, in or after a statement to the database, a request to the store, an answer.
    Point,
    /// `kill -9` of PostgreSQL, which comes back.
    Database,
    /// `kill -9` of PostgreSQL, and its standby takes over.
    Failover,
    /// The store takes bodies and the connection ends before it says so.
    Unsaid,
    /// The store refuses for a while: 500, 503.
    Refused,
    /// The store asks to be left alone for a second (503 SlowDown with Retry-After).
    SlowDown,
    /// The store says nothing for a while.
    Stalled,
    /// What arrives at the store is not what was sent.
    Spoiled,
    /// What was put is not found for a while.
    Late,
}

impl Trouble {
    const ALL: [Self; 10] = [
        Self::Daemon,
        Self::Point,
        Self::Database,
        Self::Failover,
        Self::Unsaid,
        Self::Refused,
        Self::SlowDown,
        Self::Stalled,
        Self::Spoiled,
        Self::Late,
    ];

    /// The troubles of so many rounds: all of them in a random order, again and again.
    pub fn choose(random: &mut Random, rounds: u64) -> Vec<Self> {
        let mut all = Vec::new();
        while (all.len() as u64) < rounds {
            let mut some = Self::ALL.to_vec();
            while !some.is_empty() {
                all.push(some.swap_remove(random.below(some.len() as u64) as usize));
            }
        }
        all.truncate(rounds as usize);
        all
    }

    /// Lets it happen, and be over; daemons that died stay down. What it was, in words.
    pub fn happen(self, site: &mut Site, random: &mut Random) -> String {
        let host = random.below(site.hosts.len() as u64) as usize;
        let pause = Duration::from_millis(200 + random.below(800));
        match self {
            Self::Daemon => {
                let name = DAEMONS[random.below(3) as usize];
                site.kill(host, name);
                std::thread::sleep(pause);
                format!("{name}@{}", site.hosts[host].name)
            }
            Self::Point => {
                let when = [When::Before, When::After, When::Half][random.below(3) as usize];
                let nth = 1 + random.below(300);
                let faults = &site.hosts[host].faults;
                faults.kill(&[Op::Answer], &[Class::Socket], nth, when);
                site.wait_for_an_end(host, Duration::from_secs(5));
                let faults = &site.hosts[host].faults;
                faults.clear();
                format!("{when:?} write {nth}, {:?}", faults.killed())
            }
            Self::Database => {
                site.postgres[0].tell("kill");
                std::thread::sleep(pause);
                site.postgres[0].tell("start");
                site.postgres[0].wait_ready();
                format!("away for {pause:?} and its own recovery")
            }
            Self::Failover => {
                site.fail_over(pause / 2);
                format!("to the server on port {}", site.postgres[0].port)
            }
            Self::Unsaid => self.some(site, random, &[Fault::CutAfter]),
            Self::Refused => {
                let some = [
                    Fault::Refuse(500, "InternalError"),
                    Fault::Refuse(503, "ServiceUnavailable"),
                ];
                let fault = some[random.below(2) as usize];
                self.all(site, fault, pause * 2)
            }
            Self::SlowDown => self.all(site, Fault::RefuseFor(503, "SlowDown", 1), pause),
            Self::Stalled => self.all(site, Fault::Stall, pause * 2),
            Self::Spoiled => self.some(site, random, &[Fault::Spoil, Fault::CutIn(0)]),
            Self::Late => {
                site.store.bucket().late = pause * 2;
                std::thread::sleep(pause * 3);
                site.store.bucket().late = Duration::ZERO;
                format!("by {:?}", pause * 2)
            }
        }
    }

    /// A good part of the puts suffers one of these.
    fn some(self, site: &Site, random: &mut Random, faults: &[Fault]) -> String {
        let mut count = 0;
        for _ in 0..12 {
            for _ in 0..1 + random.below(4) {
                let fault = faults[random.below(faults.len() as u64) as usize];
                site.store.fault("PUT", fault);
                count += 1;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        format!("{} of {count}", count - site.store.pending())
    }

    /// All requests suffer it for a while.
    fn all(self, site: &Site, fault: Fault, lasts: Duration) -> String {
        site.store.always(Some(fault));
        std::thread::sleep(lasts);
        site.store.always(None);
        format!("{fault:?} for {lasts:?}")
    }
}
