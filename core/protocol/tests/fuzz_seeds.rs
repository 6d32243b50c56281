//! The bodies of the fuzz targets (`fuzz/`), on the seeds of the transcripts and some thousand mutations of them, so that they
//! never rot between two runs of the fuzzer.
//!
//! The mutations come from a fixed start; `FUZZ_START` and `FUZZ_ROUNDS` of the environment change it and their number.

#[path = "../../../fuzz/src/lib.rs"]
#[allow(dead_code)] // the fuzzer alone writes corpora
mod bodies;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Mutations of each target.
const ROUNDS: u64 = 1_500;
/// Longest mutation.
const LENGTH: usize = 3_000;
/// What mutations put in.
const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b".",
    b"\r\n.\r\n",
    b"{3}\r\n",
    b"{3+}\r\n",
    b"~{5}",
    b"(",
    b")",
    b"\"",
    b"\\",
    b"*",
    b"%",
    b"&",
    b"<>",
    b"@",
    b":",
    b";",
    b"--",
    b"\0",
    b"\x80",
    b"\xff",
    b"=",
    b"4294967295",
    b"0",
    b"-1",
    b" ",
    b"BODY[]",
    b"UID ",
];

/// Numbers that only look like chance (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).expect("below a usize")
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..start + self.below((length - start).min(40) + 1)
    }

    fn mutate(&mut self, octets: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(6) {
            let at = self.below(octets.len() + 1);
            match self.below(6) {
                0 if at < octets.len() => octets[at] ^= 1 << self.below(8),
                1 if at < octets.len() => octets[at] = self.next().to_le_bytes()[0],
                2 => drop(octets.drain(self.range(octets.len()))),
                3 => drop(octets.splice(at..at, other[self.range(other.len())].to_vec())),
                4 => drop(octets.splice(at..at, octets[self.range(octets.len())].to_vec())),
                _ => drop(octets.splice(at..at, TOKENS[self.below(TOKENS.len())].iter().copied())),
            }
        }
        octets.truncate(LENGTH);
    }
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

fn drive(target: &str) {
    let (_, body) = bodies::TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .expect("a target of this name");
    let transcripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/transcripts");
    let seeds = bodies::seeds::read(&transcripts);
    let inputs: Vec<Vec<u8>> = seeds.iter().flat_map(|seed| seed.inputs(target)).collect();
    assert!(!inputs.is_empty(), "no seeds");
    let try_one = |octets: &[u8], what: &dyn Fn() -> String| {
        if catch_unwind(AssertUnwindSafe(|| body(octets))).is_err() {
            panic!(
                "{target} fails at {}: {:?}",
                what(),
                octets.escape_ascii().to_string()
            );
        }
    };
    for (index, input) in inputs.iter().enumerate() {
        try_one(input, &|| format!("seed {index}"));
    }
    let (start, rounds) = (
        number("FUZZ_START", 0x00c0_ffee),
        number("FUZZ_ROUNDS", ROUNDS),
    );
    println!(
        "{target}: {} seeds, {rounds} mutations, FUZZ_START={start}",
        inputs.len()
    );
    let mut chance = Chance(start.max(1));
    for round in 0..rounds {
        let mut octets = inputs[chance.below(inputs.len())].clone();
        let other = &inputs[chance.below(inputs.len())];
        chance.mutate(&mut octets, other);
        try_one(&octets, &|| {
            format!("mutation {round} of FUZZ_START={start}")
        });
    }
}

/// Every target has its test, and its file for the fuzzer.
#[test]
fn every_target_is_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let here = include_str!("fuzz_seeds.rs");
    for (target, _) in bodies::TARGETS {
        assert!(
            folder.join(format!("{target}.rs")).is_file(),
            "{target} has no file in fuzz_targets"
        );
        assert!(
            here.contains(&format!("drive(\"{target}\")")),
            "{target} has no test"
        );
    }
    // Nor is there a file that no target names, or one that `fuzz/run` cannot build.
    let manifest = std::fs::read_to_string(folder.join("../Cargo.toml")).expect("a manifest");
    for entry in std::fs::read_dir(&folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let known = bodies::TARGETS.iter().any(|(target, _)| *target == name);
        assert!(
            known || bodies::ENGINE.contains(&&*name),
            "{name} is in no table of targets"
        );
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} is never built"
        );
    }
}

#[test]
fn address() {
    drive("address");
}

#[test]
fn framing() {
    drive("framing");
}

#[test]
fn header() {
    drive("header");
}

#[test]
fn imap() {
    drive("imap");
}

#[test]
fn imap_command() {
    drive("imap_command");
}

#[test]
fn lmtp() {
    drive("lmtp");
}

#[test]
fn mailbox() {
    drive("mailbox");
}

#[test]
fn mime() {
    drive("mime");
}

#[test]
fn pop3() {
    drive("pop3");
}

#[test]
fn sasl() {
    drive("sasl");
}

#[test]
fn smtp() {
    drive("smtp");
}

#[test]
fn summary() {
    drive("summary");
}

#[test]
fn text() {
    drive("text");
}

#[test]
fn words() {
    drive("words");
}
