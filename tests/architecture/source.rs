//! The repository as text: its files, its Rust sources, and code without comments.

use std::fs;
use std::path::{Path, PathBuf};

/// The top folder of the repository.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = tests
        .parent()
        .expect("the tests are a folder of the repository");
    root.to_owned()
}

/// A file of the repository.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A Rust file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path from the top folder.
    pub path: String,
    pub text: String,
}

impl Source {
    /// Whether only tests use it: `tests.rs`, `foo_tests.rs`, a folder `tests/`, and the contracts of traits.
    pub fn is_test(&self) -> bool {
        let stem = |part: &str| part.trim_end_matches(".rs").to_owned();
        self.path.split('/').map(stem).any(|part| {
            part == "tests" || part.ends_with("_tests") || part == "contract" || part == "testing"
        })
    }

    /// Its lines of code with their numbers: without comments, and without a `mod tests` at its end.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().take_while(|line| *line != "#[cfg(test)]");
        // A module that lies in a file of its own ends nothing: `#[cfg(test)]` before `mod tests;` at the head.
        let inner = self.text.contains("\n#[cfg(test)]\nmod tests {");
        let all = self.text.lines();
        let lines: Box<dyn Iterator<Item = &str>> = match inner {
            true => Box::new(lines),
            false => Box::new(all),
        };
        lines.enumerate().filter_map(|(at, line)| {
            let code = match line.find("//") {
                // A comment, unless the slashes stand in a text, as in "https://".
                Some(slashes) if line[..slashes].matches('"').count() % 2 == 0 => &line[..slashes],
                _ => line,
            };
            (!code.trim().is_empty()).then_some((at + 1, code))
        })
    }
}

/// All Rust files under a folder, in the order of their paths.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty(), "no Rust files in {folder}");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).expect("a readable source");
            let path = path
                .strip_prefix(root())
                .expect("it lies in the repository");
            let path = path.to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
}

/// Whether `code` names `word`, and not a longer name that holds it.
pub fn names(code: &str, word: &str) -> bool {
    let part_of_name = |it: char| it.is_alphanumeric() || it == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(part_of_name) && !code[at + word.len()..].starts_with(part_of_name)
    })
}

/// Fails with one line for each problem.
pub fn none(problems: Vec<String>, rule: &str) {
    assert!(problems.is_empty(), "{rule}\n{}\n", problems.join("\n"));
}

#[test]
fn a_name_is_not_found_in_a_longer_one() {
    assert!(names("use tokio::net;", "tokio"));
    assert!(!names("use tokio_util::net;", "tokio"));
    assert!(names("a.SystemTime", "SystemTime"));
    assert!(!names("MySystemTime", "SystemTime"));
}

#[test]
fn comments_are_no_code() {
    let source = Source {
        path: "core/a.rs".to_owned(),
        text: "//! tokio\nlet a = \"https://x\"; // tokio\n\n#[cfg(test)]\nmod tests {\nuse tokio;\n}\n".to_owned(),
    };
    let code: Vec<_> = source.code().collect();
    assert_eq!(
        code,
        [(2, "let a = \"https://x\"; // tokio")],
        "a text with slashes is kept whole"
    );
    assert!(!source.is_test());
}
