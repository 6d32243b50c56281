//! Faults for a server that a test started: a small library in C ([`shim.c`](../shim.c)) that is loaded before libc and stands between the
//! program and the disk. The program itself knows nothing of it.
//!
//! A *point* is a call that changes, reads or makes durable something below the data folder, or sends octets to a client. A test
//! says which points count, and what happens at the n-th of them.
//!
//! **Invariants.** The numbers of [`Op`], [`Class`] and of the words are those of the C file.

pub mod power;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a call does.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Op {
    /// fsync, fdatasync.
    Fsync,
    /// write, pwrite, writev.
    Write,
    /// read, pread.
    Read,
    /// rename.
    Rename,
    /// unlink, rmdir.
    Unlink,
    /// mkdir.
    Mkdir,
    /// open, with or without making the file.
    Open,
    /// ftruncate.
    Truncate,
    /// accept.
    Accept,
    /// Octets to a client.
    Answer,
}

impl Op {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Fsync,
        Self::Write,
        Self::Read,
        Self::Rename,
        Self::Unlink,
        Self::Mkdir,
        Self::Open,
        Self::Truncate,
        Self::Accept,
        Self::Answer,
    ];
    /// Those that change what is kept.
    pub const CHANGES: [Self; 6] = [
        Self::Fsync,
        Self::Write,
        Self::Rename,
        Self::Unlink,
        Self::Mkdir,
        Self::Truncate,
    ];
}

/// To what.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// The database file.
    Database,
    /// Its write-ahead log.
    Log,
    /// Its shared memory.
    Memory,
    /// The spool.
    Spool,
    /// A body on its way in.
    Temporary,
    /// A body in its place.
    Body,
    /// A folder.
    Folder,
    /// Anything else below the data folder.
    Other,
    /// A connection.
    Socket,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Database,
        Self::Log,
        Self::Memory,
        Self::Spool,
        Self::Temporary,
        Self::Body,
        Self::Folder,
        Self::Other,
        Self::Socket,
    ];
    /// What lies on the disk.
    pub const DISK: [Self; 7] = [
        Self::Database,
        Self::Log,
        Self::Spool,
        Self::Temporary,
        Self::Body,
        Self::Folder,
        Self::Other,
    ];
}

/// When, seen from the point.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum When {
    /// The call was not made.
    Before,
    /// It was, and nobody heard of it.
    After,
    /// Half of the octets were written; for other calls the same as before.
    Half,
}

/// How calls fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// With an errno.
    Error(i32),
    /// Writes and reads end half-way, as they may.
    Short,
    /// They take so many microseconds longer.
    Slow(u64),
}

/// Input/output error.
pub const EIO: i32 = 5;
/// Too many open files.
pub const EMFILE: i32 = 24;
/// No space left on device.
pub const ENOSPC: i32 = 28;

const WORDS: usize = 12 + Op::ALL.len() * Class::ALL.len();
const OPS: usize = 0;
const CLASSES: usize = 1;
const COUNT: usize = 2;
const KILL_AT: usize = 3;
const MODE: usize = 4;
const FROM: usize = 5;
const TIMES: usize = 6;
const ERROR: usize = 7;
const HALF: usize = 8;
const FAILED: usize = 9;
const KILLED: usize = 10;
const SLOW: usize = 11;
const SEEN: usize = 12;

/// The hand on the switch.
#[derive(Debug)]
pub struct Faults {
    page: File,
    environment: Vec<(OsString, OsString)>,
    journal: PathBuf,
}

impl Faults {
    /// Compiles the library into `folder`; it will look at what lies below `data`.
    pub fn new(folder: &Path, data: &Path) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fault/shim.c");
        let library = folder.join("shim.so");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let output = Command::new(&compiler)
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .output()
            .expect("a C compiler, which the programs need too");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{compiler:?}: {said}");
        let control = folder.join("faults");
        fs::write(&control, [0; WORDS * 8]).expect("a folder to write in");
        let page = OpenOptions::new().read(true).write(true).open(&control);
        // Descriptors lead to paths without links.
        let data = std::path::absolute(data).expect("a path");
        let parent = data.parent().expect("a data folder lies in another");
        let parent = parent.canonicalize().expect("which is there");
        let data = parent.join(data.file_name().expect("it has a name"));
        let environment = [
            ("LD_PRELOAD", &library),
            ("FAULT_CONTROL", &control),
            ("FAULT_ROOT", &data),
        ];
        Self {
            page: page.expect("it was just written"),
            environment: environment
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            journal: folder.join("journal"),
        }
    }

    /// What a server needs in its environment; with a journal of all changes if that is wanted.
    pub fn environment(&self, journal: bool) -> Vec<(OsString, OsString)> {
        let mut all = self.environment.clone();
        if journal {
            all.push(("FAULT_JOURNAL".into(), self.journal.clone().into()));
        }
        all
    }

    /// Where the journal of changes is.
    pub fn journal(&self) -> &Path {
        &self.journal
    }

    fn word(&self, at: usize) -> u64 {
        let mut octets = [0; 8];
        let read = self.page.read_exact_at(&mut octets, at as u64 * 8);
        read.expect("a page of our own");
        u64::from_ne_bytes(octets)
    }

    fn set(&self, at: usize, value: u64) {
        let written = self.page.write_all_at(&value.to_ne_bytes(), at as u64 * 8);
        written.expect("a page of our own");
    }

    fn count_only(&self, ops: &[Op], classes: &[Class]) {
        self.clear();
        self.set(OPS, ops.iter().map(|it| 1 << *it as u64).sum());
        self.set(CLASSES, classes.iter().map(|it| 1 << *it as u64).sum());
        self.set(COUNT, 0);
    }

    /// Kills the server at the n-th of these points from now on.
    pub fn kill(&self, ops: &[Op], classes: &[Class], nth: u64, when: When) {
        self.count_only(ops, classes);
        self.set(KILLED, 0);
        self.set(MODE, when as u64);
        self.set(KILL_AT, nth);
    }

    /// Lets these points fail, from the `from`-th from now on, so many times.
    pub fn fail(&self, ops: &[Op], classes: &[Class], from: u64, times: u64, how: Failure) {
        self.count_only(ops, classes);
        self.set(FAILED, 0);
        match how {
            Failure::Error(errno) => self.set(ERROR, u64::from(errno.unsigned_abs())),
            Failure::Short => self.set(HALF, 1),
            Failure::Slow(micros) => self.set(SLOW, micros),
        }
        self.set(TIMES, times);
        self.set(FROM, from);
    }

    /// Everything works again.
    pub fn clear(&self) {
        for word in [KILL_AT, FROM, TIMES, HALF, SLOW] {
            self.set(word, 0);
        }
    }

    /// Points that counted since they were asked for.
    pub fn count(&self) -> u64 {
        self.word(COUNT)
    }

    /// Points that failed since they were asked to.
    pub fn failed(&self) -> u64 {
        self.word(FAILED)
    }

    /// Where the server was killed, if it was.
    pub fn killed(&self) -> Option<(Op, Class)> {
        let code = usize::try_from(self.word(KILLED).checked_sub(1)?).ok()?;
        Some((
            Op::ALL[code / Class::ALL.len()],
            Class::ALL[code % Class::ALL.len()],
        ))
    }

    /// How often each point was passed, over all servers.
    pub fn seen(&self, op: Op, class: Class) -> u64 {
        self.word(SEEN + op as usize * Class::ALL.len() + class as usize)
    }
}
