//! The grammar of commands beside another reader of it, `imap-codec`: what one takes and the other refuses, or reads otherwise,
//! is decided in [`decided`], each by the RFC.
//!
//! Lines come from commands that both know ([`commands`]), from all that one small mistake makes of each, and from a generator that
//! puts productions together and makes up to three mistakes.

mod commands;
mod decided;
mod generate;
mod ours;
mod theirs;

use proptest::prelude::*;

use super::client::State;
use decided::decided;

/// How one reader understands a line; none: it refuses it.
type Meaning = Option<String>;

/// A line, its state, and what the two make of it.
#[derive(Debug)]
struct Compared {
    state: State,
    line: Vec<u8>,
    ours: Meaning,
    theirs: Meaning,
}

impl Compared {
    fn of(state: State, line: &[u8]) -> Self {
        Self::by(state, line, ours::meaning)
    }

    fn by(state: State, line: &[u8], ours: impl Fn(State, &[u8]) -> Meaning) -> Self {
        Self {
            state,
            line: line.to_vec(),
            ours: ours(state, line),
            theirs: theirs::meaning(line),
        }
    }

    /// Says what differs, unless it is decided.
    fn difference(&self) -> Option<String> {
        if self.ours == self.theirs || decided(self).is_some() {
            return None;
        }
        let text = String::from_utf8_lossy(&self.line);
        Some(match (&self.ours, &self.theirs) {
            (Some(ours), None) => format!("only we take {text:?}: {ours}"),
            (None, Some(theirs)) => format!("only they take {text:?}: {theirs}"),
            (ours, theirs) => format!("{text:?}\n  is here  {ours:?}\n  is there {theirs:?}"),
        })
    }
}

fn all_lines() -> impl Iterator<Item = (State, Vec<u8>)> {
    commands::ALL.iter().flat_map(|(state, commands)| {
        commands.iter().flat_map(move |command| {
            let lines = commands::mistakes(command);
            lines.into_iter().map(move |line| (*state, line))
        })
    })
}

#[test]
fn one_small_mistake_makes_the_same_of_a_command_there_and_here() {
    let (mut lines, mut taken, mut differences) = (0, 0, Vec::new());
    for (state, line) in all_lines() {
        let compared = Compared::of(state, &line);
        lines += 1;
        taken += usize::from(compared.ours.is_some() && compared.theirs.is_some());
        differences.extend(compared.difference());
    }
    assert!(lines > 20_000, "{lines} lines");
    // Both take a good part, so their meanings are compared too.
    assert!(taken > 2_000, "{taken} of {lines} lines are taken");
    assert!(
        differences.is_empty(),
        "{} of {lines} lines:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn a_command_without_mistake_is_taken_by_both() {
    for (state, commands) in commands::ALL {
        for command in *commands {
            let line = commands::line(command.as_bytes());
            let compared = Compared::of(*state, &line);
            assert!(
                compared.ours.is_some() && compared.theirs.is_some(),
                "{compared:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn generated_commands_mean_the_same_there_and_here((state, line) in generate::line()) {
        let compared = Compared::of(state, &line);
        prop_assert!(compared.difference().is_none(), "{}", compared.difference().unwrap());
    }
}

/// A difference that no longer is one does not stay on the list.
#[test]
fn what_is_decided_differs() {
    for difference in decided::ALL {
        for (state, example) in difference.examples {
            let compared = Compared::of(*state, &commands::line(example.as_bytes()));
            assert_ne!(compared.ours, compared.theirs, "{}", difference.what);
            let by = decided(&compared).map(|it| it.what);
            assert_eq!(by, Some(difference.what), "{compared:?}");
        }
    }
}

/// The comparison finds what is wrong: each of these is a mistake that a reader of ours could have.
#[test]
fn planted_mistakes_are_found() {
    type Plant = fn(&str) -> String;
    let plants: [(&str, Plant); 12] = [
        ("takes a space at the end", |line| {
            line.trim_end().to_owned() + "\r\n"
        }),
        ("takes two spaces for one", |line| line.replace("  ", " ")),
        ("takes a list that is not closed", |line| {
            match line.matches('(').count() == line.matches(')').count() + 1 {
                true => line.replace("\r\n", ")\r\n"),
                false => line.to_owned(),
            }
        }),
        ("does not know .SILENT", |line| {
            line.replace("FLAGS.SILENT", "FLAGS")
        }),
        ("adds what should be removed", |line| {
            line.replace(" -FLAGS", " +FLAGS")
        }),
        ("reads the wrong end of a range", |line| {
            line.replace("1:9", "1:8")
        }),
        ("sets Seen by a peek", |line| {
            line.replace("BODY.PEEK[", "BODY[")
        }),
        ("forgets NOT", |line| line.replace("NOT SEEN", "SEEN")),
        ("reads SINCE as ON", |line| {
            line.replace("SENTSINCE", "SENTON")
        }),
        ("forgets the second flag", |line| {
            line.replace(" \\Answered", "")
        }),
        ("takes the last octet for a partial's first", |line| {
            line.replace("<0.100>", "<1.100>")
        }),
        ("does not undo a backslash", |line| {
            line.replace("\\\"", "x\\\"")
        }),
    ];
    for (what, plant) in plants {
        let found = all_lines().any(|(state, line)| {
            let Ok(text) = std::str::from_utf8(&line) else {
                return false;
            };
            let misread = plant(text);
            let wrong = |state, _: &[u8]| ours::meaning(state, misread.as_bytes());
            misread != text && Compared::by(state, &line, wrong).difference().is_some()
        });
        assert!(found, "a reader that {what} is not found out");
    }
}
