//! Every crate that is compiled in has a licence that `deny.toml` allows, and none is one of those it refuses.

use std::collections::BTreeSet;
use std::process::Command;

use super::source::{none, read, root};

fn deny() -> toml::Table {
    read("deny.toml").parse().expect("deny.toml is TOML")
}

fn allowed() -> BTreeSet<String> {
    let deny = deny();
    let list = deny["licenses"]["allow"]
        .as_array()
        .expect("licenses.allow is a list");
    list.iter()
        .filter_map(toml::Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The crates that are built on this platform, features considered, each with its licence.
fn built() -> BTreeSet<(String, String)> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--prefix", "none"])
        .args(["--edges", "normal,build,dev", "--format", "{p}|{l}"])
        .current_dir(root())
        .output()
        .expect("cargo runs this test, so it is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {said}");
    let text = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let rows = text.lines().filter_map(|line| line.split_once('|'));
    let rows = rows.filter_map(|(package, licence)| {
        let name = package.split_whitespace().next()?;
        // What was listed above is marked so, behind the licence.
        let licence = licence.trim_end_matches(" (*)");
        Some((name.to_owned(), licence.to_owned()))
    });
    let rows: BTreeSet<_> = rows.collect();
    assert!(
        rows.iter().any(|(name, _)| name == "rustls"),
        "the list is read"
    );
    rows
}

/// Whether a licence expression (SPDX, or the older form with a slash) can be met with the allowed licences.
fn permitted(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    let met = any(&mut rest, allowed);
    met && rest.is_empty()
}

fn any(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut met = all(rest, allowed);
    while let Some(("OR", more)) = rest.split_first().map(|(word, more)| (*word, more)) {
        *rest = more;
        met |= all(rest, allowed);
    }
    met
}

fn all(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut met = one(rest, allowed);
    while let Some(("AND", more)) = rest.split_first().map(|(word, more)| (*word, more)) {
        *rest = more;
        met &= one(rest, allowed);
    }
    met
}

fn one(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    match **rest {
        ["(", ref inner @ ..] => {
            *rest = inner;
            let met = any(rest, allowed);
            let closed = rest.first() == Some(&")");
            *rest = rest.get(1..).unwrap_or_default();
            met && closed
        }
        [licence, "WITH", exception, ref more @ ..] => {
            *rest = more;
            allowed.contains(&format!("{licence} WITH {exception}"))
        }
        [licence, ref more @ ..] => {
            *rest = more;
            allowed.contains(licence)
        }
        [] => false,
    }
}

#[test]
fn all_licences_are_permissive() {
    let allowed = allowed();
    let refused = built()
        .into_iter()
        .filter(|(_, licence)| !permitted(licence, &allowed));
    let problems = refused
        .map(|(name, licence)| format!("{name}: {licence}"))
        .collect();
    none(problems, "Licences that deny.toml does not allow:");
}

#[test]
fn refused_crates_are_not_built() {
    let deny = deny();
    let refused = deny["bans"]["deny"]
        .as_array()
        .expect("bans.deny is a list");
    let refused: BTreeSet<&str> = refused
        .iter()
        .filter_map(|it| it["crate"].as_str())
        .collect();
    assert!(refused.contains("openssl"), "the list is read");
    let names = built().into_iter().map(|(name, _)| name);
    let problems = names.filter(|it| refused.contains(it.as_str())).collect();
    none(problems, "Crates that deny.toml refuses:");
}

#[test]
fn licence_expressions_are_understood() {
    let allowed: BTreeSet<String> = ["MIT", "ISC", "A WITH X"].map(str::to_owned).into();
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT AND ISC",
        "(GPL-3.0 OR ISC) AND MIT",
        "GPL-3.0/MIT",
        "A WITH X OR B",
    ] {
        assert!(permitted(good, &allowed), "{good}");
    }
    for bad in [
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT",
        "",
        "none",
        "A",
        "A WITH Y",
        "MIT AND (GPL-3.0 OR B)",
        "MIT ISC",
    ] {
        assert!(!permitted(bad, &allowed), "{bad}");
    }
}
