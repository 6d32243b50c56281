//! Sessions of one account on two hosts, all at once: each view obeys the rules, no UID becomes visible below one that was shown before,
//! and in the end all views are what the database says.
//!
//! The seed is printed; `HOSTS_SEED` repeats its choices, not the machine's timing. `HOSTS_SECONDS` asks for more than one round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::company::{ADA, Company, deliver};
use super::model::dice::Dice;
use super::model::house::House;
use super::model::session::Session;

const SESSIONS: u64 = 6;
const STEPS: usize = 40;
const MAILBOXES: [&str; 2] = ["INBOX", "Other"];

/// UIDs that some session has seen, by mailbox.
type Shown = Arc<Mutex<BTreeMap<&'static str, BTreeSet<u32>>>>;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

#[actix_rt::test]
async fn sessions_of_two_hosts_keep_the_rules() {
    let begun = Instant::now();
    let lasts = Duration::from_secs(number("HOSTS_SECONDS", 0));
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut seed = number("HOSTS_SEED", now.unwrap_or_default().as_secs());
    loop {
        println!("HOSTS_SEED={seed}");
        // The control program and the daemons are waited for by threads that may block.
        let set_up = || Company::new("[limits]\nconnections_per_account = 1000\n");
        let company = tokio::task::spawn_blocking(set_up)
            .await
            .expect("a company");
        round(company, seed).await;
        seed += 1;
        if begun.elapsed() >= lasts {
            return;
        }
    }
}

async fn round(company: Company, seed: u64) {
    let company = Arc::new(company);
    let for_hosts = company.clone();
    let start = move || {
        let (one, two) = (for_hosts.host("one"), for_hosts.host("two"));
        let smtpd = one.start_daemon("smtpd");
        (smtpd, one.start_daemon("imapd"), two.start_daemon("imapd"))
    };
    let daemons = tokio::task::spawn_blocking(start).await;
    let (smtpd, one, two) = daemons.expect("they start");
    let houses = [House(one.port("imap")), House(two.port("imap"))];
    let shown = Shown::default();
    let mut sessions = Vec::new();
    for nth in 0..SESSIONS {
        sessions.push(Session::new(&houses[(nth % 2) as usize], ADA).await);
    }
    let made = sessions[0].command("CREATE Other").await;
    assert!(made.is_ok(), "{made:?}");
    let racers = sessions.into_iter().zip(0..).map(|(session, nth)| {
        let (shown, dice) = (shown.clone(), Dice(seed * 1000 + nth));
        actix_rt::spawn(race(session, shown, dice, nth))
    });
    let racers: Vec<_> = racers.collect();
    let letters = move || (0..STEPS / 2).for_each(|nth| deliver(&smtpd, ADA, &format!("d{nth}")));
    let letters = tokio::task::spawn_blocking(letters);
    let mut ends = Vec::new();
    for racer in racers {
        ends.push(racer.await.expect("no session breaks a rule"));
    }
    letters.await.expect("deliveries are taken");
    let (server, database) = (company.server, company.database.clone());
    finish(company, ends).await;
    drop((one, two));
    // The databases of hundreds of rounds would fill a disk.
    let gone = format!("DROP DATABASE {database} WITH (FORCE)");
    let gone = server.execute("postgres", &gone).await;
    gone.expect("nobody needs it any more");
}

/// All views become what the database says: UIDs and flags.
async fn finish(company: Arc<Company>, sessions: Vec<Session>) {
    let ask = move || {
        let of = |name: &str| {
            company.ask(&format!(
                "SELECT coalesce(string_agg(m.uid || ':' || (m.flags & 1), ' ' ORDER BY m.uid), '') FROM message m \
                 JOIN mailbox b ON b.account_id = m.account_id AND b.id = m.mailbox_id WHERE b.name = '{name}'"
            ))
        };
        MAILBOXES.map(of)
    };
    let truth = tokio::task::spawn_blocking(ask).await.expect("asked");
    for mut session in sessions {
        let name = session.selected.expect("one is open");
        let nth = MAILBOXES.iter().position(|it| *it == name);
        let truth = &truth[nth.expect("one of these")];
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = session.command("NOOP").await;
            assert!(answer.is_ok(), "{answer:?}");
            if session.view.len() == truth.split_whitespace().count() {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "{name}: {:?}, {truth}",
                session.view
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if !session.view.is_empty() {
            session.command("FETCH 1:* (UID FLAGS)").await;
        }
        let seen = |uid: &u32| {
            let flags = session.flags.get(uid);
            u8::from(flags.is_some_and(|it| it.contains("\\Seen")))
        };
        let view = session
            .view
            .iter()
            .map(|uid| format!("{uid}:{}", seen(uid)));
        assert_eq!(view.collect::<Vec<_>>().join(" "), *truth, "{name}");
    }
}

async fn race(mut session: Session, shown: Shown, mut dice: Dice, nth: u64) -> Session {
    session.select("INBOX").await;
    for step in 0..STEPS {
        let name = session.selected.expect("one is open");
        let before = shown.lock().unwrap().get(name).cloned().unwrap_or_default();
        let known: BTreeSet<u32> = session.view.iter().copied().collect();
        one(&mut session, &mut dice, &format!("letter {nth}.{step}")).await;
        if session.selected != Some(name) {
            continue;
        }
        // What is new to this session: either somebody has seen it, or it is above all that anybody had seen.
        let highest = before.last().copied().unwrap_or(0);
        for uid in session.view.iter().filter(|uid| !known.contains(uid)) {
            assert!(
                before.contains(uid) || *uid > highest,
                "{name}: UID {uid} became visible after {highest}"
            );
        }
        assert!(
            session.view.is_sorted_by(|a, b| a < b),
            "{:?}",
            session.view
        );
        let mut shown = shown.lock().unwrap();
        shown.entry(name).or_default().extend(&session.view);
    }
    session
}

/// Something that a client does.
async fn one(session: &mut Session, dice: &mut Dice, subject: &str) {
    let uids = dice.some(&session.view.clone());
    let named: Vec<String> = uids.iter().take(4).map(ToString::to_string).collect();
    let named = named.join(",");
    let command = match dice.below(11) {
        0..=2 => {
            let text = format!("From: <eve@remote.example>\r\nSubject: {subject}\r\n\r\nHi.\r\n");
            let appended = session.append(dice.of(&MAILBOXES), &text).await;
            appended.expect("taken");
            return;
        }
        3..=4 if !uids.is_empty() => {
            let flag = dice.of(&["\\Deleted", "\\Seen", "$Marked"]);
            let sign = dice.of(&["+", "-"]);
            format!("UID STORE {named} {sign}FLAGS ({flag})")
        }
        5 if !uids.is_empty() => {
            let (verb, to) = (dice.of(&["COPY", "MOVE"]), dice.of(&MAILBOXES));
            format!("UID {verb} {named} {to}")
        }
        6 if !uids.is_empty() => format!("UID EXPUNGE {named}"),
        6 => "EXPUNGE".to_owned(),
        7 if dice.below(4) == 0 => return session.select(dice.of(&MAILBOXES)).await,
        8 if !session.view.is_empty() => "FETCH 1:* (UID FLAGS)".to_owned(),
        9 => "SEARCH ALL".to_owned(),
        _ => "NOOP".to_owned(),
    };
    let fetch = command.starts_with("FETCH");
    let answer = session.command(&command).await;
    // A message that another session expunged meanwhile may be missed by FETCH, and cannot be copied or moved (RFC 9051 section 7.1).
    let gone = answer.tagged.starts_with("NO [EXPUNGEISSUED]");
    let may_miss = fetch || command.starts_with("UID COPY") || command.starts_with("UID MOVE");
    assert!(
        answer.is_ok() || (may_miss && gone),
        "{command}: {answer:?}"
    );
}
