//! Where a server is killed: each durable step, by what it does and to what.

use std::collections::BTreeMap;
use std::fmt;

use postrider_tests::fault::{Class, Op, When};

use crate::random::Random;

/// One kind of step, and among how many of them the last one is chosen.
type Step = (&'static [Op], &'static [Class], u64);

/// While there is work.
const STEPS: [Step; 15] = [
    (&[Op::Fsync], &[Class::Log], 40),
    (&[Op::Fsync], &[Class::Temporary], 30),
    (&[Op::Fsync], &[Class::Folder], 30),
    (&[Op::Fsync], &[Class::Database], 1),
    (&[Op::Write], &[Class::Log], 400),
    (&[Op::Write], &[Class::Database], 40),
    (&[Op::Write], &[Class::Temporary], 40),
    (&[Op::Write], &[Class::Spool], 4),
    (&[Op::Rename], &Class::ALL, 30),
    (&[Op::Unlink], &[Class::Body], 3),
    (&[Op::Unlink], &[Class::Spool, Class::Temporary], 2),
    (&[Op::Mkdir], &Class::ALL, 4),
    (&[Op::Open], &[Class::Temporary], 30),
    (&[Op::Answer], &[Class::Socket], 300),
    (&Op::CHANGES, &Class::DISK, 800),
];

/// While the server starts.
const FIRST: Step = (&Op::CHANGES, &Class::DISK, 24);

/// A point of time in a server's life.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub ops: &'static [Op],
    pub classes: &'static [Class],
    pub nth: u64,
    pub when: When,
}

impl Point {
    /// One while there is work.
    pub fn choose(random: &mut Random) -> Self {
        let step = STEPS[random.below(STEPS.len() as u64) as usize];
        Self::of(step, random)
    }

    /// One while the server starts.
    pub fn first(random: &mut Random) -> Self {
        Self::of(FIRST, random)
    }

    fn of((ops, classes, last): Step, random: &mut Random) -> Self {
        Self {
            ops,
            classes,
            nth: 1 + random.below(last),
            when: match random.below(3) {
                0 => When::Before,
                1 => When::After,
                _ => When::Half,
            },
        }
    }
}

/// Where servers were killed, counted.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<String, u32>);

impl Tally {
    pub fn add(&mut self, point: &Point, killed: Option<(Op, Class)>) {
        let name = match killed {
            Some((op, class)) => format!("{:?} {op:?} {class:?}", point.when).to_lowercase(),
            None => "by the clock".to_owned(),
        };
        *self.0.entry(name).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.0 {
            writeln!(f, "  {count:4} {name}")?;
        }
        Ok(())
    }
}
