//! STORE, COPY and MOVE by sequence number while other sessions expunge (I5): what a number means is what the session was told last.

use std::collections::BTreeSet;

use super::dice::Dice;
use super::house::{ADA, House, message};
use super::session::{Session, code, set};
use super::{Kept, OTHER, house, seeds};

const NUMBERERS: u64 = 3;
const EXPUNGERS: u64 = 2;
const LETTERS: usize = 60;
const STEPS: usize = 40;

#[actix_rt::test]
async fn a_number_means_what_this_session_was_told() {
    for seed in seeds(3) {
        let kept = match seed % 2 {
            0 => Kept::Disk,
            _ => Kept::Memory,
        };
        println!("MODEL_SEED={seed} ({kept:?})");
        race(&house(kept).await, seed).await;
    }
}

async fn race(house: &House, seed: u64) {
    let mut first = Session::new(house, ADA).await;
    assert!(first.command(&format!("CREATE {OTHER}")).await.is_ok());
    for number in 0..LETTERS {
        let letter = message(&format!("letter {number}"));
        first.append("INBOX", &letter).await.expect("taken");
    }
    let (mut tasks, mut expungers) = (Vec::new(), Vec::new());
    for number in 0..EXPUNGERS {
        let (session, dice) = (Session::new(house, ADA).await, Dice(seed * 1000 + number));
        expungers.push(actix_rt::spawn(expunge(session, dice, number)));
    }
    for number in 0..NUMBERERS {
        let dice = Dice(seed * 1000 + 500 + number);
        let session = Session::new(house, ADA).await;
        tasks.push(actix_rt::spawn(
            Numberer {
                session,
                dice,
                keyword: format!("$k{number}"),
                named: BTreeSet::new(),
                moved: BTreeSet::new(),
            }
            .run(),
        ));
    }
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.expect("no session breaks a rule"));
    }
    for expunger in expungers {
        expunger.await.expect("messages go");
    }
    let mut fresh = Session::new(house, ADA).await;
    fresh.select("INBOX").await;
    let alive: BTreeSet<u32> = fresh.view.iter().copied().collect();
    for end in &ends {
        let marked = fresh
            .flags
            .iter()
            .filter(|(_, flags)| flags.contains(&end.keyword));
        let marked: BTreeSet<u32> = marked.map(|(uid, _)| *uid).collect();
        let meant: BTreeSet<u32> = end.named.intersection(&alive).copied().collect();
        assert_eq!(
            marked, meant,
            "{} is on what was never named, or not on what was",
            end.keyword
        );
        let back: Vec<&u32> = end.moved.intersection(&alive).collect();
        assert!(back.is_empty(), "{back:?} were moved and are there");
    }
}

/// Takes messages away, and brings others.
async fn expunge(mut session: Session, mut dice: Dice, number: u64) {
    session.select("INBOX").await;
    for step in 0..STEPS {
        let few = dice.some(&session.view.clone());
        let few: Vec<String> = few.iter().take(3).map(ToString::to_string).collect();
        if few.is_empty() || dice.below(3) == 0 {
            let letter = message(&format!("more {number}.{step}"));
            session.append("INBOX", &letter).await.expect("taken");
            continue;
        }
        let few = few.join(",");
        let marked = session
            .command(&format!("UID STORE {few} +FLAGS.SILENT (\\Deleted)"))
            .await;
        assert!(marked.is_ok(), "{marked:?}");
        let gone = session.command(&format!("UID EXPUNGE {few}")).await;
        assert!(gone.is_ok(), "{gone:?}");
    }
}

/// Names messages by their numbers alone.
struct Numberer {
    session: Session,
    dice: Dice,
    keyword: String,
    /// UIDs of the messages that got the keyword.
    named: BTreeSet<u32>,
    /// UIDs of the messages that went elsewhere.
    moved: BTreeSet<u32>,
}

impl Numberer {
    async fn run(mut self) -> Self {
        self.session.select("INBOX").await;
        for _ in 0..STEPS {
            if self.session.view.is_empty() {
                self.session.command("NOOP").await;
                continue;
            }
            self.step().await;
        }
        self
    }

    async fn step(&mut self) {
        let count = self.session.view.len();
        let (one, other) = (
            self.dice.below(count),
            self.dice.below(count).min(count - 1),
        );
        let (from, to) = (one.min(other), one.max(other).min(one.min(other) + 3));
        let numbers = match self.dice.below(3) {
            0 => format!("{}", from + 1),
            1 => format!("{}:{}", from + 1, to + 1),
            _ => format!("{},{}", to + 1, from + 1),
        };
        let meant: BTreeSet<u32> = match numbers.contains(':') {
            true => self.session.view[from..=to].iter().copied().collect(),
            false if numbers.contains(',') => {
                [self.session.view[from], self.session.view[to]].into()
            }
            false => [self.session.view[from]].into(),
        };
        match self.dice.below(6) {
            0..=2 => {
                let silent = self.dice.of(&["", ".SILENT"]);
                let command = format!("STORE {numbers} +FLAGS{silent} ({})", self.keyword);
                let answer = self.session.command(&command).await;
                assert!(answer.is_ok(), "{command}: {answer:?}");
                self.named.extend(meant);
            }
            3 | 4 => self.copy("COPY", &numbers, &meant).await,
            _ => self.copy("MOVE", &numbers, &meant).await,
        }
    }

    /// COPY and MOVE say what they took, by UID; where some of it is gone they may say so and take nothing.
    async fn copy(&mut self, verb: &str, numbers: &str, meant: &BTreeSet<u32>) {
        let command = format!("{verb} {numbers} {OTHER}");
        let answer = self.session.command(&command).await;
        let mut lines = answer.untagged.iter().chain([&answer.tagged]);
        let taken = lines.find_map(|line| code(line, "[COPYUID "));
        let taken: BTreeSet<u32> = match taken {
            Some(code) => set(code.split(' ').nth(1).unwrap_or_default())
                .into_iter()
                .collect(),
            None => BTreeSet::new(),
        };
        assert!(
            taken.is_subset(meant),
            "{command} took {taken:?}, and {meant:?} was meant: {answer:?}"
        );
        assert!(answer.is_ok() || taken.is_empty(), "{answer:?}");
        assert!(
            answer.is_ok() || answer.tagged.starts_with("NO [EXPUNGEISSUED]"),
            "{command}: {answer:?}"
        );
        if verb == "MOVE" {
            self.moved.extend(taken);
        }
    }
}
