//! What lies where: the top of the repository, and how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

use super::source::{none, root, sources};

/// The folders at the top.
const FOLDERS: &[&str] = &[
    "benches",
    "bins",
    "contrib",
    "core",
    "docs",
    "examples",
    "fuzz",
    "migrations",
    "tests",
];

/// The files at the top.
const FILES: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "rustfmt.toml",
];

/// What a build and a try leave behind; .gitignore names the same.
const LEFT_BEHIND: &[&str] = &["postrider-data", "target"];

/// A file above this is split by meaning.
const LINES: usize = 500;

/// Files above the limit, with what holds them together.
const LONG: &[(&str, &str)] = &[];

#[test]
fn the_top_holds_what_it_should() {
    let mut problems = Vec::new();
    for entry in fs::read_dir(root()).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || LEFT_BEHIND.contains(&name.as_str()) {
            continue;
        }
        let allowed = match entry.path().is_dir() {
            true => FOLDERS,
            false => FILES,
        };
        if !allowed.contains(&name.as_str()) {
            problems.push(name);
        }
    }
    none(
        problems,
        "Nobody expects this at the top of the repository:",
    );
}

#[test]
fn no_file_is_longer_than_can_be_read() {
    let mut problems = Vec::new();
    for folder in ["core", "bins"] {
        for source in sources(folder).into_iter().filter(|it| !it.is_test()) {
            let lines = source.text.lines().count();
            let listed = LONG.iter().any(|(path, _)| *path == source.path);
            match (lines > LINES, listed) {
                (true, false) => problems.push(format!(
                    "{}: {lines} lines, split it by meaning",
                    source.path
                )),
                (false, true) => problems.push(format!(
                    "{}: {lines} lines, take it from the list",
                    source.path
                )),
                _ => {}
            }
        }
    }
    for (path, reason) in LONG {
        if !root().join(path).is_file() {
            problems.push(format!("{path}: is gone, take it from the list"));
        }
        assert!(reason.len() > 20, "{path}: say what holds it together");
    }
    none(problems, "Files above 500 lines:");
}

/// Files of ours under a folder, but for what a build leaves behind.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().expect("a readable folder");
        if name.starts_with('.') || LEFT_BEHIND.contains(&name.as_str()) {
            continue;
        }
        match kind.is_dir() {
            true => files(&entry.path(), found),
            false if kind.is_file() => found.push(entry.path()),
            false => {}
        }
    }
}

#[test]
fn no_merge_was_left_half_done() {
    let markers = ["<".repeat(7) + " ", ">".repeat(7) + " "];
    let mut all = Vec::new();
    files(&root(), &mut all);
    assert!(all.len() > 500, "{} files", all.len());
    let mut problems = Vec::new();
    for path in all {
        let text = fs::read(&path).expect("a readable file");
        let text = String::from_utf8_lossy(&text);
        let marked = |line: &str| markers.iter().any(|it| line.starts_with(it.as_str()));
        if let Some(at) = text.lines().position(marked) {
            problems.push(format!("{}:{}", path.display(), at + 1));
        }
    }
    none(problems, "Both sides of a merge are still there:");
}
