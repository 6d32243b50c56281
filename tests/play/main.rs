//! Plays every dialogue of `tests/transcripts` against the whole server: each over a connection in memory, and over TLS sockets.
//!
//! Every dialogue gets a server of its own, with an index and a store in memory. The bare sessions are played to in
//! `core/protocol/tests`, from the same files.

mod client;
mod play;
#[path = "../../core/protocol/tests/driver/script.rs"]
mod script;
mod world;

use std::path::{Path, PathBuf};

use client::Transport;
use play::Outcome;

/// Plays all files of a folder; what a driver cannot do is counted and named.
fn play_all(protocol: &str, transport: Transport) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("transcripts")
        .join(protocol);
    let entries = std::fs::read_dir(&folder).expect("the transcripts are part of the repository");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    let (mut played, mut skipped, mut failures) = (0, Vec::new(), Vec::new());
    for path in &paths {
        let text = std::fs::read_to_string(path).expect("a readable transcript");
        match run(&text, transport) {
            Ok(Outcome::Played) => played += 1,
            Ok(Outcome::Skipped(reason)) => skipped.push(format!("{}: {reason}", name(path))),
            Err(failure) => failures.push(format!("{}:{failure}", path.display())),
        }
    }
    println!(
        "{protocol} {transport:?}: {played} played, {} skipped",
        skipped.len()
    );
    for skipped in skipped {
        println!("  skipped {skipped}");
    }
    assert!(played > 0, "nothing was played from {}", folder.display());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn run(text: &str, transport: Transport) -> Result<Outcome, String> {
    actix_rt::System::new().block_on(play::play(text, transport))
}

fn name(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

macro_rules! folders {
    ($($name:ident)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn in_memory() {
                play_all(stringify!($name), Transport::Memory);
            }

            #[test]
            fn over_sockets() {
                play_all(stringify!($name), Transport::Socket);
            }
        }
    )*};
}

folders!(imap lmtp pop3 smtp);

/// What one test says of a folder holds for the other drivers too.
#[test]
fn a_wrong_script_fails() {
    let greeting = "S: 220 mail.example.test ESMTP Postrider\n";
    let noop = "C: NOOP\nS: 250 2.0.0 done\n";
    let good = format!("role mx\n{greeting}{noop}");
    for transport in [Transport::Memory, Transport::Socket] {
        assert_eq!(run(&good, transport), Ok(Outcome::Played));
        for bad in [
            // A line that nobody read: at the end, in between, behind the goodbye.
            "role mx\nC: NOOP\nS: 250 2.0.0 done\n".to_owned(),
            format!("role mx\n{greeting}C: NOOP\n"),
            format!("role mx\n{greeting}C: NOOP\n{noop}"),
            format!("role mx\n{greeting}C: QUIT\n"),
            // A line that does not come, comes otherwise, or comes to somebody else.
            format!("role mx\n{greeting}C: NOOP\nS: 250 done\n"),
            format!(
                "role mx\n{greeting}C: QUIT\nS: 221 2.0.0 mail.example.test closing connection\nS: more\n"
            ),
            format!("role mx\n{greeting}C: NOOP\nS2: 250 2.0.0 done\n"),
            format!(
                "role mx\n{greeting}C= NOOP\\r\\nNOOP\\r\\n\nS*: 250 2.0.0 done\nS*: 250 done\n"
            ),
            // What is no transcript.
            format!("role mx\n{greeting}frobnicate\n"),
            format!("role mx\nfault coffee unavailable\n{greeting}"),
            format!("role nobody\n{greeting}"),
            greeting.to_owned(),
            String::new(),
        ] {
            assert!(run(&bad, transport).is_err(), "{transport:?}\n{bad}");
        }
    }
}
