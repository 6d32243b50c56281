//! What a disk, or a table of files, may do to a server: the faults of one round.

use std::fs;
use std::time::Duration;

use postrider_tests::daemon::Daemon;
use postrider_tests::fault::{Class, EIO, EMFILE, ENOSPC, Failure, Faults, Op};

use crate::random::Random;

/// For ever, until it is cleared.
const ON: u64 = u64::MAX;
/// What a server may hold in these rounds, in KiB; a debug build with a dozen clients holds a tenth.
const MEMORY: u64 = 768 * 1024;

/// What fails, to what it is done, how often, and how.
pub type Trouble = (&'static [Op], &'static [Class], u64, Failure);

const BODY: [Class; 2] = [Class::Temporary, Class::Body];
const INDEX: [Class; 2] = [Class::Log, Class::Database];
const ERROR: Failure = Failure::Error(EIO);
const SLOW: Failure = Failure::Slow(150_000);
const FULL: Failure = Failure::Error(ENOSPC);

const TROUBLES: [Trouble; 26] = [
    // An fsync fails once: what it was for is not on the disk, whatever the next one says.
    (&[Op::Fsync], &[Class::Log], 1, ERROR),
    (&[Op::Fsync], &[Class::Database], 1, ERROR),
    (&[Op::Fsync], &[Class::Temporary], 1, ERROR),
    (&[Op::Fsync], &[Class::Folder], 1, ERROR),
    // Or for a while.
    (&[Op::Fsync], &Class::DISK, ON, ERROR),
    (&[Op::Fsync], &[Class::Log], 20, ERROR),
    (&[Op::Write], &INDEX, 3, ERROR),
    (&[Op::Write], &INDEX, ON, ERROR),
    (&[Op::Write], &[Class::Temporary, Class::Spool], ON, ERROR),
    (&[Op::Read], &INDEX, 5, ERROR),
    (&[Op::Read], &INDEX, ON, ERROR),
    (&[Op::Read], &[Class::Body, Class::Spool], ON, ERROR),
    (&[Op::Rename], &Class::DISK, ON, ERROR),
    (&[Op::Unlink], &Class::DISK, ON, ERROR),
    // The disk is full.
    (
        &[Op::Write, Op::Open, Op::Mkdir, Op::Rename],
        &BODY,
        ON,
        FULL,
    ),
    (&[Op::Write, Op::Open], &[Class::Spool], ON, FULL),
    (&[Op::Write, Op::Truncate], &INDEX, ON, FULL),
    (&[Op::Write], &[Class::Memory], ON, FULL),
    (&[Op::Write, Op::Mkdir, Op::Truncate], &Class::ALL, ON, FULL),
    // Writes and reads that end half-way.
    (
        &[Op::Write],
        &[Class::Temporary, Class::Spool],
        ON,
        Failure::Short,
    ),
    (&[Op::Write, Op::Read], &INDEX, 10, Failure::Short),
    // A disk that takes its time.
    (&[Op::Fsync], &Class::DISK, ON, SLOW),
    (&[Op::Read], &INDEX, ON, SLOW),
    // No descriptor left.
    (&[Op::Open], &Class::ALL, ON, Failure::Error(EMFILE)),
    (&[Op::Accept], &[Class::Socket], ON, Failure::Error(EMFILE)),
    (
        &[Op::Open, Op::Accept],
        &Class::ALL,
        ON,
        Failure::Error(EMFILE),
    ),
];

/// The troubles of so many rounds: all of them in a random order, again and again.
pub fn choose(random: &mut Random, rounds: u64) -> Vec<Trouble> {
    let mut all = Vec::new();
    while (all.len() as u64) < rounds {
        let mut some = TROUBLES.to_vec();
        while !some.is_empty() {
            all.push(some.swap_remove(random.below(some.len() as u64) as usize));
        }
    }
    all.truncate(rounds as usize);
    all
}

/// The troubles of every second power cut: an fsync that fails once.
pub fn of_fsync(random: &mut Random) -> Option<Trouble> {
    match random.below(8) {
        0 => Some((&[Op::Fsync], &[Class::Log], 1, ERROR)),
        1 => Some((&[Op::Fsync], &[Class::Folder], 1, ERROR)),
        2 => Some((&[Op::Fsync], &[Class::Folder, Class::Temporary], 3, ERROR)),
        3 => Some((&[Op::Fsync], &[Class::Database], 1, ERROR)),
        _ => None,
    }
}

/// Lets it happen from now on, until it is cleared.
pub fn begin(faults: &Faults, trouble: Trouble, random: &mut Random) {
    let (ops, classes, times, how) = trouble;
    faults.fail(ops, classes, 1 + random.below(10), times, how);
}

/// What the server holds, if that is too much.
pub fn too_much_memory(daemon: &Daemon) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
    let held: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    (held > MEMORY).then_some(held)
}

/// How long a trouble lasts.
pub fn lasts(random: &mut Random) -> Duration {
    Duration::from_millis(100 + random.below(700))
}
