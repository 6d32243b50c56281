//! Plays every dialogue of `tests/transcripts/{smtp,lmtp,pop3}` against a bare session.
//!
//! No sockets, no clock: the framing is the library's, the engine is a small fake one.

mod driver;

use std::path::Path;

fn play_all(protocol: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/transcripts")
        .join(protocol);
    let mut failures = Vec::new();
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("the transcripts are part of the repository") {
        let path = entry.expect("a readable folder").path();
        let script = std::fs::read_to_string(&path).expect("a readable transcript");
        files += 1;
        if let Err(failure) = driver::play(&script) {
            failures.push(format!("{}:{failure}", path.display()));
        }
    }
    assert!(files > 0, "no transcripts in {}", folder.display());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn smtp() {
    play_all("smtp");
}

#[test]
fn lmtp() {
    play_all("lmtp");
}

#[test]
fn pop3() {
    play_all("pop3");
}

#[test]
fn a_wrong_script_fails() {
    let greeting = "S: 220 mail.example.test ESMTP Postrider\n";
    let good = format!("role mx\n{greeting}C: NOOP\nS: 250 2.0.0 done\n");
    assert_eq!(driver::play(&good), Ok(()));
    for bad in [
        "role mx\n".to_owned(),
        format!("role mx\n{greeting}S: more\n"),
        format!("role mx\n{greeting}C: NOOP\n"),
        format!("role mx\n{greeting}C: NOOP\nS: 250 done\n"),
        format!("role mx\n{greeting}C: NOOP\nC: NOOP\nS: 250 2.0.0 done\nS: 250 2.0.0 done\n"),
        format!(
            "role mx\n{greeting}C: QUIT\nS: 221 2.0.0 mail.example.test closing connection\nC: NOOP\n"
        ),
        format!("role mx\n{greeting}frobnicate\n"),
        format!("{greeting}C: NOOP\nS: 250 2.0.0 done\n"),
    ] {
        assert!(driver::play(&bad).is_err(), "{bad}");
    }
}
