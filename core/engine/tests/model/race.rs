//! All sessions at once, and deliveries beside them: the rules of each view hold, no UID becomes visible below one that was
//! shown before, and in the end all views are the mailbox.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use postrider::config::Service;
use postrider_storage::index::ModSeq;

use super::client::Client;
use super::dice::Dice;
use super::house::{ADA, House, message};
use super::session::{Session, code, set};
use super::{Kept, OTHER, house, seeds};

const SESSIONS: u64 = 6;
const STEPS: usize = 60;

/// What all sessions together have seen and been told.
#[derive(Debug, Default)]
struct Shown {
    /// UIDs that some session has seen, by mailbox.
    uids: Uids,
    /// What an answer said of a UID: the subject it was given to, if that is known.
    told: BTreeMap<(&'static str, u32), Option<String>>,
    /// UIDs that some session saw go.
    gone: Uids,
}

type Board = Arc<Mutex<Shown>>;

#[actix_rt::test]
async fn racing_sessions_keep_the_rules() {
    for seed in seeds(4) {
        let kept = match seed % 2 {
            0 => Kept::Disk,
            _ => Kept::Memory,
        };
        println!("MODEL_SEED={seed} ({kept:?})");
        race(&house(kept).await, seed).await;
    }
}

async fn race(house: &House, seed: u64) {
    let board = Board::default();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(Session::new(house, ADA).await);
    }
    let made = sessions[0].command(&format!("CREATE {OTHER}")).await;
    assert!(made.is_ok(), "{made:?}");
    let racers = sessions.into_iter().zip(0..).map(|(session, number)| {
        let (board, dice) = (board.clone(), Dice(seed * 1000 + number));
        actix_rt::spawn(
            Racer {
                session,
                board,
                dice,
                number,
                letters: 0,
            }
            .run(),
        )
    });
    let racers: Vec<_> = racers.collect();
    let port = house.port(Service::Lmtp);
    let senders: Vec<_> = (0..4)
        .map(|it| actix_rt::spawn(deliver(port, it)))
        .collect();
    let mut ends = Vec::new();
    for racer in racers {
        ends.push(racer.await.expect("no session breaks a rule"));
    }
    for sender in senders {
        sender.await.expect("deliveries are taken");
    }
    finish(house, ends, &board).await;
}

async fn deliver(port: u16, sender: u64) {
    let mut lmtp = Client::connect(port).await;
    lmtp.reply().await;
    lmtp.smtp("LHLO client.example").await;
    for number in 0..STEPS / 3 {
        let letter = message(&format!("delivery {sender}.{number}"));
        let reply = lmtp.send(ADA, &letter).await;
        assert!(reply.starts_with("250"), "{reply}");
    }
}

/// Everything is told, everywhere the same.
async fn finish(house: &House, sessions: Vec<Session>, board: &Board) {
    let mut truth = Final::new();
    for name in ["INBOX", OTHER] {
        let mut fresh = Session::new(house, ADA).await;
        fresh.select(name).await;
        let answer = fresh
            .command("FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            .await;
        let subjects = answer.untagged.iter();
        let subjects = subjects.filter_map(|it| it.strip_prefix("Subject: "));
        let messages: BTreeMap<u32, String> = fresh
            .view
            .iter()
            .copied()
            .zip(subjects.map(str::to_owned))
            .collect();
        assert_eq!(messages.len(), fresh.view.len(), "{answer:?}");
        truth.insert(name, (fresh.view, messages));
    }
    for mut session in sessions {
        let answer = session.command("NOOP").await;
        assert!(answer.is_ok(), "{answer:?}");
        let name = session.selected.unwrap_or("INBOX");
        assert_eq!(session.view, truth[name].0, "{name}: {answer:?}");
    }
    let account = house.admin().user(ADA).await.unwrap();
    let mut expunged = BTreeMap::new();
    for mailbox in &account.mailboxes {
        let Some(name) = ["INBOX", OTHER].into_iter().find(|it| *it == mailbox.name) else {
            continue;
        };
        let index = house.running.index().raw();
        let changes = index.changes(mailbox.id, ModSeq(1)).await.unwrap();
        let gone: BTreeSet<u32> = changes.expunged.iter().map(|it| it.0).collect();
        // No UID was left out, and none was given twice.
        let mut all = truth[name].0.clone();
        all.extend(&gone);
        all.sort_unstable();
        assert_eq!(all, (1..mailbox.uid_next.0).collect::<Vec<_>>(), "{name}");
        expunged.insert(name, gone);
    }
    check_told(&truth, &expunged, &board.lock().unwrap());
    let sum: u64 = account.mailboxes.iter().map(|it| it.size).sum();
    assert_eq!(account.account.used, sum);
}

type Uids = BTreeMap<&'static str, BTreeSet<u32>>;

/// UIDs and messages by UID, of each mailbox.
type Final = BTreeMap<&'static str, (Vec<u32>, BTreeMap<u32, String>)>;

/// What was answered is there, or somebody expunged it.
fn check_told(truth: &Final, expunged: &Uids, board: &Shown) {
    for ((name, uid), subject) in &board.told {
        let there = truth[name].1.get(uid);
        let gone = expunged[name].contains(uid);
        assert!(
            there.is_some() || gone,
            "{name}: UID {uid} was told and is nowhere"
        );
        if let (Some(there), Some(subject)) = (there, subject) {
            assert_eq!(there, subject, "{name}: UID {uid}");
        }
    }
    for (name, uids) in &board.gone {
        let back = uids.iter().find(|uid| truth[name].1.contains_key(uid));
        assert_eq!(back, None, "{name}: a UID that was expunged is there");
    }
}

/// A session in the race.
struct Racer {
    session: Session,
    board: Board,
    dice: Dice,
    number: u64,
    letters: u32,
}

impl Racer {
    async fn run(mut self) -> Session {
        self.session.select("INBOX").await;
        for _ in 0..STEPS {
            let name = self.session.selected.unwrap_or("INBOX");
            let (before, known) = {
                let board = self.board.lock().unwrap();
                let seen = board.uids.get(name).cloned().unwrap_or_default();
                (seen, self.session.view.clone())
            };
            self.step().await;
            if self.session.selected == Some(name) {
                self.look(name, &before, &known);
            }
        }
        self.session
    }

    /// What is new to this session: either somebody has seen it, or it is above all that anybody had seen.
    fn look(&mut self, name: &'static str, before: &BTreeSet<u32>, known: &[u32]) {
        let highest = before.last().copied().unwrap_or(0);
        for uid in self.session.view.iter().filter(|uid| !known.contains(uid)) {
            assert!(
                before.contains(uid) || *uid > highest,
                "{name}: UID {uid} became visible after {highest}"
            );
        }
        let mut board = self.board.lock().unwrap();
        board
            .uids
            .entry(name)
            .or_default()
            .extend(&self.session.view);
        let gone = board.gone.entry(name).or_default();
        gone.extend(self.session.expunged.drain(..));
    }

    fn tell(&self, name: &'static str, uid: u32, subject: Option<String>) {
        let told = self.board.lock().unwrap().told.insert((name, uid), subject);
        assert_eq!(told, None, "{name}: UID {uid} was given twice");
    }

    async fn step(&mut self) {
        let named = |uids: &[u32]| {
            let uids: Vec<String> = uids.iter().map(ToString::to_string).collect();
            uids.join(",")
        };
        let uids = self.dice.some(&self.session.view.clone());
        match self.dice.below(12) {
            0..=2 => {
                let to = self.dice.of(&["INBOX", OTHER]);
                self.letters += 1;
                let subject = format!("letter {}.{}", self.number, self.letters);
                let appended = self.session.append(to, &message(&subject)).await;
                self.tell(to, appended.expect("taken"), Some(subject));
            }
            3..=4 if !uids.is_empty() => {
                let flag = self.dice.of(&["\\Deleted", "\\Seen", "$Marked"]);
                let sign = self.dice.of(&["+", "-"]);
                let command = format!("UID STORE {} {sign}FLAGS ({flag})", named(&uids));
                assert!(self.session.command(&command).await.is_ok());
            }
            5..=6 if !uids.is_empty() => {
                let (verb, to) = (
                    self.dice.of(&["COPY", "MOVE"]),
                    self.dice.of(&["INBOX", OTHER]),
                );
                let few = &uids[..uids.len().min(3)];
                let command = format!("UID {verb} {} {to}", named(few));
                let answer = self.session.command(&command).await;
                let mut lines = answer.untagged.iter().chain([&answer.tagged]);
                let told = lines.find_map(|line| code(line, "[COPYUID "));
                for uid in told.map_or(Vec::new(), |it| set(it.rsplit(' ').next().unwrap_or(it))) {
                    self.tell(to, uid, None);
                }
            }
            7 => {
                let command = match self.dice.below(2) {
                    1 if !uids.is_empty() => format!("UID EXPUNGE {}", named(&uids)),
                    _ => "EXPUNGE".to_owned(),
                };
                assert!(self.session.command(&command).await.is_ok());
            }
            8 if self.dice.below(4) == 0 => {
                let name = self.dice.of(&["INBOX", OTHER]);
                self.session.select(name).await;
            }
            9 if !self.session.view.is_empty() => {
                self.session.command("FETCH 1:* (UID FLAGS)").await;
            }
            10 => {
                assert!(self.session.command("SEARCH ALL").await.is_ok());
            }
            _ => assert!(self.session.command("NOOP").await.is_ok()),
        }
    }
}
