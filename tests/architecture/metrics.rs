//! What is counted: every metric is in the one table, and what is in the table is counted.

use super::source::{names, none, read, sources};

const TABLE: &str = "core/engine/src/telemetry/metrics.rs";

/// The constants of the table, with their names in Prometheus.
fn table() -> Vec<(String, String)> {
    let text = read(TABLE);
    let rows = text.lines().filter_map(|line| {
        let (constant, rest) = line.trim().split_once(" = \"")?;
        let (name, kind) = rest.split_once("\", ")?;
        let known = ["Counter", "Gauge", "Histogram"];
        let is_row = known.iter().any(|it| kind.starts_with(it));
        is_row.then(|| (constant.to_owned(), name.to_owned()))
    });
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() > 40, "the table is read");
    rows
}

#[test]
fn metrics_are_counted_under_the_names_of_the_table() {
    let mut problems = Vec::new();
    for folder in ["core", "bins"] {
        for source in sources(folder)
            .into_iter()
            .filter(|it| !it.is_test() && it.path != TABLE)
        {
            for (line, code) in source.code() {
                let literal = ["counter!(\"", "gauge!(\"", "histogram!(\""];
                if literal.iter().any(|it| code.contains(it)) {
                    problems.push(format!("{}:{line} {}", source.path, code.trim()));
                }
            }
        }
    }
    none(problems, "A metric has its row in telemetry/metrics.rs:");
}

#[test]
fn names_begin_with_the_house_or_the_process() {
    let foreign = |name: &str| !name.starts_with("postrider_") && !name.starts_with("process_");
    let problems = table().into_iter().map(|it| it.1).filter(|it| foreign(it));
    none(problems.collect(), "Names without \"postrider_\":");
}

#[test]
fn what_is_in_the_table_is_counted_somewhere() {
    let all = sources("core/engine/src");
    let counted = |constant: &str| {
        all.iter().any(|source| {
            let used = source.code().filter(|(_, code)| names(code, constant));
            let own = source.path == TABLE;
            // Its own row counts nothing.
            used.filter(|(_, code)| !(own && code.contains(&format!("{constant} = "))))
                .count()
                > 0
        })
    };
    let problems = table().into_iter().map(|it| it.0).filter(|it| !counted(it));
    none(problems.collect(), "Rows of metrics that nothing counts:");
}
