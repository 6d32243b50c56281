//! What the Cargo.toml files say.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::source::read;

/// The crates of the workspace, by the folder they lie in.
pub const CRATES: &[&str] = &[
    "core/protocol",
    "core/storage",
    "core/engine",
    "bins",
    "tests",
    "benches",
];

/// A parsed Cargo.toml, by its folder; "." is the workspace's.
pub fn manifest(folder: &str) -> Table {
    let path = format!("{folder}/Cargo.toml");
    let text = read(&path);
    text.parse()
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names under one kind of dependencies.
pub fn dependencies(folder: &str, kind: &str) -> BTreeSet<String> {
    let manifest = manifest(folder);
    let table = manifest.get(kind).and_then(Value::as_table);
    table
        .into_iter()
        .flat_map(|it| it.keys().cloned())
        .collect()
}

#[test]
fn the_workspace_holds_the_crates_named_here() {
    let members = &manifest(".")["workspace"]["members"];
    let members: Vec<_> = members
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(members, CRATES);
}

#[test]
fn unsafe_code_is_forbidden_everywhere() {
    let workspace = manifest(".");
    assert_eq!(
        workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str(),
        Some("forbid")
    );
    for folder in CRATES {
        let lints = manifest(folder)
            .get("lints")
            .and_then(|it| it.get("workspace"))
            .and_then(Value::as_bool);
        assert_eq!(
            lints,
            Some(true),
            "{folder}/Cargo.toml does not take the workspace's lints"
        );
    }
}

#[test]
fn a_panic_unwinds_in_every_profile() {
    // A supervisor can only build anew what did not take the process with it.
    for (name, profile) in manifest(".")["profile"].as_table().expect("profiles") {
        let panic = profile.get("panic").and_then(Value::as_str);
        let own = name == "dev" || name == "release" || profile.get("panic").is_some();
        assert!(!own || panic == Some("unwind"), "profile {name}");
    }
}

#[test]
fn every_dependency_of_a_crate_has_its_reason() {
    let ours = |name: &str| name.starts_with("postrider");
    for folder in ["core/protocol", "core/storage", "core/engine", "bins"] {
        let text = read(&format!("{folder}/Cargo.toml"));
        for name in dependencies(folder, "dependencies")
            .into_iter()
            .filter(|it| !ours(it))
        {
            let line = text.lines().find(|line| {
                line.strip_prefix(&name)
                    .is_some_and(|rest| rest.starts_with([' ', '.', '=']))
            });
            let line = line.unwrap_or_else(|| panic!("{folder}: {name} has no line of its own"));
            assert!(
                line.contains(" # "),
                "{folder}: say after {name}, behind a \"#\", what it is for"
            );
        }
    }
}
