//! `core/RFCS.md` names every RFC that the sources cite, and no other, with a status that means something.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{none, read, sources};

/// What a status may begin with.
const STATUS: &[&str] = &["whole", "part", "read"];

/// The numbers of all `RFC NNNN` in a text.
fn cited(text: &str) -> impl Iterator<Item = u32> {
    text.match_indices("RFC ").filter_map(|(at, word)| {
        let rest = &text[at + word.len()..];
        let end = rest
            .find(|it: char| !it.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    })
}

#[test]
fn the_table_of_rfcs_is_true() {
    let mut places: BTreeMap<u32, String> = BTreeMap::new();
    for folder in ["core", "bins"] {
        for source in sources(folder) {
            for number in cited(&source.text) {
                places.entry(number).or_insert_with(|| source.path.clone());
            }
        }
    }
    let page = read("core/RFCS.md");
    let mut listed = BTreeSet::new();
    let mut problems = Vec::new();
    let mut last = 0;
    for row in page.lines().filter(|it| it.starts_with("| [")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, title, status, what] = cells[..] else {
            problems.push(format!("a row without four cells: {row}"));
            continue;
        };
        let link = number
            .strip_prefix('[')
            .and_then(|it| it.split_once("](https://www.rfc-editor.org/rfc/rfc"));
        let parsed = link.and_then(|(text, target)| {
            (target.strip_suffix(')') == Some(text))
                .then(|| text.parse::<u32>().ok())
                .flatten()
        });
        let Some(number) = parsed else {
            problems.push(format!(
                "a row without a number that links to its RFC: {row}"
            ));
            continue;
        };
        if number <= last {
            problems.push(format!("RFC {number} stands behind RFC {last}"));
        }
        last = number;
        listed.insert(number);
        if title.is_empty() || what.is_empty() {
            problems.push(format!("RFC {number}: an empty cell"));
        }
        if !STATUS.contains(&status) {
            problems.push(format!(
                "RFC {number}: {status} is no status, use one of {STATUS:?}"
            ));
        }
    }
    for (number, place) in places.iter().filter(|(number, _)| !listed.contains(number)) {
        problems.push(format!("RFC {number}, cited in {place}, has no row"));
    }
    for number in listed.iter().filter(|it| !places.contains_key(it)) {
        problems.push(format!("RFC {number} has a row, but nothing cites it"));
    }
    none(problems, "core/RFCS.md and the sources disagree:");
}

#[test]
fn citations_are_found() {
    let found: Vec<_> = cited("RFC 9051 section 6.3.2, RFC 3691. RFCs, RFC x").collect();
    assert_eq!(found, [9051, 3691]);
}
