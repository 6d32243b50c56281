//! One command after the other, from many sessions: each answer is what the model says.

use std::collections::BTreeSet;

use postrider::config::Service;

use super::client::Client;
use super::dice::Dice;
use super::house::{ADA, House, message};
use super::session::{Flags, Session, code, set};
use super::truth::{Message, Mode, Truth};
use super::{Kept, OTHER, house, seeds};

const SESSIONS: usize = 4;
const FLAGS: [&str; 5] = [
    "\\Seen",
    "\\Deleted",
    "\\Flagged",
    "\\Answered",
    "$Forwarded",
];

struct World {
    dice: Dice,
    truth: Truth,
    sessions: Vec<Session>,
    lmtp: Client,
    letters: u32,
}

#[actix_rt::test]
async fn attack_43_steps_of_many_sessions_are_those_of_the_model() {
    for seed in seeds(6) {
        let kept = match seed % 2 {
            0 => Kept::Memory,
            _ => Kept::Disk,
        };
        println!("MODEL_SEED={seed} ({kept:?})");
        let house = house(kept).await;
        World::new(&house, seed).await.run(&house, 260).await;
        house.stop().await;
    }
}

impl World {
    async fn new(house: &House, seed: u64) -> Self {
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            sessions.push(Session::new(house, ADA).await);
        }
        let made = sessions[0].command(&format!("CREATE {OTHER}")).await;
        assert!(made.is_ok(), "{made:?}");
        let mut lmtp = house.connect(Service::Lmtp).await;
        lmtp.smtp("LHLO client.example").await;
        let mut this = Self {
            dice: Dice(seed),
            truth: Truth::default(),
            sessions,
            lmtp,
            letters: 0,
        };
        for session in &mut this.sessions {
            session.select("INBOX").await;
        }
        this
    }

    async fn run(mut self, house: &House, steps: usize) {
        for step in 0..steps {
            let at = self.dice.below(SESSIONS);
            let place = format!("step {step} by session {at}");
            match self.dice.below(20) {
                0..=2 => self.append(at).await,
                3..=4 => self.deliver().await,
                5..=8 => self.store(at).await,
                9..=10 => self.carry(at).await,
                11 => self.expunge(at).await,
                12 => self.uid_expunge(at).await,
                13 => self.select(at).await,
                14..=15 => self.fetch(at).await,
                16..=17 => self.search(at).await,
                _ => self.noop(at, &place).await,
            }
        }
        for at in 0..SESSIONS {
            self.noop(at, "the end").await;
        }
        // Somebody new sees the same, and the quota is the sum.
        for name in ["INBOX", OTHER] {
            let mut fresh = Session::new(house, ADA).await;
            fresh.select(name).await;
            assert_eq!(fresh.view, self.truth.mailbox(name).uids(), "{name}");
        }
        let account = house.admin().user(ADA).await.unwrap();
        let sum: u64 = account.mailboxes.iter().map(|it| it.size).sum();
        assert_eq!(account.account.used, sum);
    }

    fn letter(&mut self) -> Message {
        self.letters += 1;
        Message {
            subject: format!("letter {}", self.letters),
            flags: Flags::new(),
        }
    }

    /// Messages of a session's view, and the set that names them: by number or by UID.
    fn chosen(&mut self, at: usize) -> Option<(Vec<u32>, &'static str, String)> {
        let session = &self.sessions[at];
        let numbers: Vec<usize> = (1..=session.view.len()).collect();
        let numbers = self.dice.some(&numbers);
        let uids: Vec<u32> = numbers.iter().map(|it| session.view[it - 1]).collect();
        let text = |all: Vec<String>| (!all.is_empty()).then(|| all.join(","));
        let (prefix, named) = match self.dice.below(2) {
            0 => ("", text(numbers.iter().map(ToString::to_string).collect())?),
            _ => (
                "UID ",
                text(uids.iter().map(ToString::to_string).collect())?,
            ),
        };
        Some((uids, prefix, named))
    }

    fn selected(&self, at: usize) -> &'static str {
        self.sessions[at].selected.unwrap_or("INBOX")
    }

    async fn append(&mut self, at: usize) {
        let (to, letter) = (self.dice.of(&["INBOX", OTHER]), self.letter());
        let appended = self.sessions[at]
            .append(to, &message(&letter.subject))
            .await;
        assert_eq!(appended, Ok(self.truth.mailbox(to).add(letter)));
    }

    async fn deliver(&mut self) {
        let letter = self.letter();
        let reply = self.lmtp.send(ADA, &message(&letter.subject)).await;
        assert!(reply.starts_with("250"), "{reply}");
        self.truth.mailbox("INBOX").add(letter);
    }

    async fn store(&mut self, at: usize) {
        let Some((uids, prefix, named)) = self.chosen(at) else {
            return;
        };
        let flags: Flags = self
            .dice
            .some(&FLAGS)
            .iter()
            .map(|it| (*it).to_owned())
            .collect();
        let (mode, sign) =
            self.dice
                .of(&[(Mode::Add, "+"), (Mode::Remove, "-"), (Mode::Replace, "")]);
        let silent = self.dice.of(&["", ".SILENT"]);
        let listed = Vec::from_iter(flags.iter().map(String::as_str)).join(" ");
        let command = format!("{prefix}STORE {named} {sign}FLAGS{silent} ({listed})");
        let answer = self.sessions[at].command(&command).await;
        let mailbox = self.selected(at);
        let there = self.truth.mailbox(mailbox).uids();
        // Some are gone, which a session may be told as a refusal; the others are changed.
        let all = uids.iter().all(|uid| there.contains(uid));
        assert!(answer.is_ok() || !all, "{command}: {answer:?}");
        self.truth.store(mailbox, &uids, mode, &flags);
        if !silent.is_empty() {
            // What came of it, others' changes included, is asked for: the response to a silent STORE need not say.
            let named: Vec<String> = uids.iter().map(ToString::to_string).collect();
            let command = format!("UID FETCH {} (FLAGS)", named.join(","));
            self.sessions[at].command(&command).await;
        } else {
            for uid in uids.iter().filter(|uid| there.contains(uid)) {
                let known = self.truth.mailbox(mailbox).messages[uid].flags.clone();
                let told = self.sessions[at].flags.get(uid);
                assert_eq!(told, Some(&known), "{command}, UID {uid}: {answer:?}");
            }
        }
    }

    async fn carry(&mut self, at: usize) {
        let Some((uids, prefix, named)) = self.chosen(at) else {
            return;
        };
        let (from, to) = (self.selected(at), self.dice.of(&["INBOX", OTHER]));
        let verb = self.dice.of(&["COPY", "COPY", "MOVE"]);
        let command = format!("{prefix}{verb} {named} {to}");
        let answer = self.sessions[at].command(&command).await;
        let there = self.truth.mailbox(from).uids();
        if !answer.is_ok() {
            // All or none: some are gone.
            let gone = uids.iter().any(|uid| !there.contains(uid));
            assert!(gone, "{command}: {answer:?}");
            return;
        }
        let carried = self.truth.carry(from, &uids, to, verb == "MOVE");
        let mut lines = answer.untagged.iter().chain([&answer.tagged]);
        let told = lines.find_map(|line| code(line, "[COPYUID "));
        let told: Vec<(u32, u32)> = told.map_or(Vec::new(), |told| {
            let parts: Vec<&str> = told.split(' ').collect();
            set(parts[1]).into_iter().zip(set(parts[2])).collect()
        });
        assert_eq!(told, carried, "{command}: {answer:?}");
        if verb == "MOVE" {
            let view: BTreeSet<u32> = self.sessions[at].view.iter().copied().collect();
            assert!(
                carried.iter().all(|(uid, _)| !view.contains(uid)),
                "{answer:?}"
            );
        }
    }

    async fn expunge(&mut self, at: usize) {
        let answer = self.sessions[at].command("EXPUNGE").await;
        assert!(answer.is_ok(), "{answer:?}");
        let mailbox = self.selected(at);
        self.truth.expunge(mailbox, None);
        assert_eq!(self.sessions[at].view, self.truth.mailbox(mailbox).uids());
    }

    async fn uid_expunge(&mut self, at: usize) {
        let Some((uids, ..)) = self.chosen(at) else {
            return;
        };
        let named: Vec<String> = uids.iter().map(ToString::to_string).collect();
        let command = format!("UID EXPUNGE {}", named.join(","));
        let answer = self.sessions[at].command(&command).await;
        assert!(answer.is_ok(), "{answer:?}");
        let mailbox = self.selected(at);
        self.truth.expunge(mailbox, Some(&uids));
    }

    async fn select(&mut self, at: usize) {
        let name = self.dice.of(&["INBOX", "INBOX", OTHER]);
        self.sessions[at].select(name).await;
        assert_eq!(self.sessions[at].view, self.truth.mailbox(name).uids());
    }

    async fn fetch(&mut self, at: usize) {
        let Some((uids, prefix, named)) = self.chosen(at) else {
            return;
        };
        let command = format!("{prefix}FETCH {named} (UID FLAGS)");
        let answer = self.sessions[at].command(&command).await;
        let there = self.truth.mailbox(self.selected(at)).uids();
        let all = uids.iter().all(|uid| there.contains(uid));
        assert!(answer.is_ok() || !all, "{command}: {answer:?}");
    }

    async fn search(&mut self, at: usize) {
        let prefix = self.dice.of(&["", "UID "]);
        let answer = self.sessions[at]
            .command(&format!("{prefix}SEARCH ALL"))
            .await;
        assert!(answer.is_ok(), "{answer:?}");
        let session = &self.sessions[at];
        let found = answer
            .untagged
            .iter()
            .find_map(|it| it.strip_prefix("* SEARCH"));
        for found in found.unwrap_or_default().split_whitespace() {
            let number: u32 = found.parse().unwrap();
            let known = match prefix.is_empty() {
                true => (1..=session.view.len() as u32).contains(&number),
                false => session.view.contains(&number) || session.expunged.contains(&number),
            };
            assert!(known, "{answer:?} in {:?}", session.view);
        }
    }

    /// Where everything may be told, everything is.
    async fn noop(&mut self, at: usize, place: &str) {
        let answer = self.sessions[at].command("NOOP").await;
        assert!(answer.is_ok(), "{answer:?}");
        let mailbox = self.selected(at);
        let truth = self.truth.mailbox(mailbox);
        assert_eq!(self.sessions[at].view, truth.uids(), "{place}: {answer:?}");
        let flags = truth.messages.iter().map(|it| (*it.0, it.1.flags.clone()));
        let told = &self.sessions[at].flags;
        assert_eq!(*told, flags.collect(), "{place}: {answer:?}");
    }
}
