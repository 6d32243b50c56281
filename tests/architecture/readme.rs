//! What the pages say of the house is there: linked files, paths in backticks, and tables that a newcomer is sent to.

use super::source::{none, read, root, sources};

const PAGES: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "core/LIMITS.md",
    "benches/README.md",
    "docs/backup.md",
    "docs/bucket.md",
    "docs/directory.md",
    "docs/moving.md",
    "docs/postgresql.md",
    "docs/services.md",
    "fuzz/README.md",
];

/// The targets of the links of a page.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn links_lead_somewhere() {
    let mut problems = Vec::new();
    for page in PAGES {
        let folder = root().join(page);
        let folder = folder.parent().expect("a page lies in a folder");
        for target in links(&read(page)).filter(|it| !it.contains("://") && !it.starts_with('#')) {
            let file = target.split('#').next().unwrap_or(target);
            if !folder.join(file).exists() {
                problems.push(format!("{page}: {target}"));
            }
        }
    }
    none(problems, "Links that lead nowhere:");
}

#[test]
fn the_room_finder_finds_its_rooms() {
    let page = read("README.md");
    let (_, rooms) = page
        .split_once("### Room finder")
        .expect("the README has a room finder");
    let (rooms, _) = rooms.split_once("\n## ").expect("something follows it");
    let all = [sources("core"), sources("bins")].concat();
    let mut problems = Vec::new();
    let rows: Vec<_> = rooms.lines().filter(|it| it.starts_with("| a")).collect();
    assert!(rows.len() > 8, "the rows are read");
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        for path in quoted(row).filter(|it| it.contains('/') || it.ends_with(".rs")) {
            // As far as it is no pattern, it is there.
            let fixed = path.split('<').next().unwrap_or(path);
            let fixed =
                fixed.rsplit_once('/').map_or(
                    fixed,
                    |(folder, _)| if fixed == path { path } else { folder },
                );
            let known = root().join(fixed).exists()
                || all.iter().any(|it| it.path.contains(&format!("/{fixed}")));
            if !known {
                problems.push(format!("{path} is not there: {row}"));
            }
        }
        // "`TABLE` in `file`" or "`field` of `Type` in `file`": the file holds the word.
        let line: Vec<_> = quoted(cells.last().copied().unwrap_or_default()).collect();
        if let [word, .., file] = line[..] {
            let holds = all
                .iter()
                .filter(|it| it.path.ends_with(&format!("/{file}")))
                .any(|it| it.text.contains(word));
            if !holds {
                problems.push(format!("{word} is not in {file}: {row}"));
            }
        }
    }
    none(problems, "The room finder of README.md:");
}
