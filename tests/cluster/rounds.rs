//! Rounds of trouble on two hosts, and what is true after each.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::house::{agree, clients};
use crate::keeper::check;
use crate::ledger::Ledger;
use crate::random::Random;
use crate::site::Site;
use crate::trouble::Trouble;
use crate::wire::Manners;
use crate::{number, seed};

/// How long the site has to take mail again after a trouble.
const RECOVERY: Duration = Duration::from_secs(60);
/// Answers that show that it does.
const SOME: usize = 10;

#[test]
fn attack_45_what_was_answered_with_yes_survives_what_happens_to_hosts_database_and_store() {
    let (seed, rounds) = (seed(), number("CLUSTER_ROUNDS", 10));
    println!("CLUSTER_SEED={seed} CLUSTER_ROUNDS={rounds}");
    let mut random = Random::new(seed);
    let begun = Instant::now();
    let mut site = Site::start(2, true, &[]);
    let ledger = Arc::new(Ledger::default());
    println!("{:.1?}: two hosts are up", begun.elapsed());
    let mut turn = 0;
    for (round, trouble) in Trouble::choose(&mut random, rounds).into_iter().enumerate() {
        let place = format!("CLUSTER_SEED={seed}, round {}, {trouble:?}", round + 1);
        // Every start of the clients writes letters of its own.
        let mut work = |site: &Site, lasts: u64, random: &mut Random| {
            turn += 1;
            let manners = Manners::Patient(Instant::now() + Duration::from_millis(lasts));
            clients(&site.door, turn, manners, random, &ledger)
        };
        let before = ledger.answered();
        let threads = work(&site, 2500, &mut random);
        let patience = Instant::now() + RECOVERY;
        while ledger.answered() < before + SOME && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
        let what = trouble.happen(&mut site, &mut random);
        let (after, over) = (ledger.answered(), Instant::now());
        let started = site.start_what_is_down();
        end(threads).unwrap_or_else(|why| failed(&place, &why, &site));
        while ledger.answered() < after + SOME {
            if over.elapsed() > RECOVERY {
                failed(&place, "no mail is taken after the trouble", &site);
            }
            let threads = work(&site, 500, &mut random);
            end(threads).unwrap_or_else(|why| failed(&place, &why, &site));
        }
        check(&site.hosts[round % 2].house, &site.door, &ledger)
            .unwrap_or_else(|why| failed(&place, &why, &site));
        println!(
            "{:6.1?}: {trouble:?}, {what}; {} answers, started again: {started:?}",
            begun.elapsed(),
            ledger.answered() - before
        );
    }
    ledger.forget_what_was_read();
    let place = format!("CLUSTER_SEED={seed}, at the end");
    check(&site.hosts[1].house, &site.door, &ledger)
        .unwrap_or_else(|why| failed(&place, &why, &site));
    site.stop();
    agree(&site.hosts[0].house).unwrap_or_else(|why| failed(&place, &why, &site));
    let sums = "SELECT count(*) FROM virtual_users WHERE used_quota < 0";
    assert_eq!(site.ask(sums), "0");
    assert!(!site.log().contains("panicked"), "{}", site.log());
    println!("{:.1?}: {}", begun.elapsed(), ledger.summary());
}

/// Waits for clients; what a server must not have said to one.
fn end(threads: Vec<JoinHandle<Result<(), String>>>) -> Result<(), String> {
    let ends = threads.into_iter().map(|it| it.join().unwrap());
    ends.collect::<Vec<_>>().into_iter().collect()
}

fn failed(place: &str, why: &str, site: &Site) -> ! {
    panic!("{}\n\n{place}: {why}", site.log());
}
