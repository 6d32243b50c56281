//! What a command prints: text for people, or one JSON document.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat};
use postrider_storage::index::Timestamp;
use serde_json::{Value, json};

/// What a command has to say, in both forms.
#[derive(Debug)]
pub struct Report {
    /// Lines for a person, the last one ended.
    pub text: String,
    /// The same for a program.
    pub json: Value,
    /// False where the answer to the question is "not good", though the command worked: exit code 1.
    pub good: bool,
}

impl Report {
    /// One line and its document.
    pub fn line(line: impl Into<String>, json: Value) -> Self {
        Self {
            text: line.into() + "\n",
            json,
            good: true,
        }
    }

    /// A table, or a line where it would be empty, and its document.
    pub fn table(table: Table, empty: &str, json: Value) -> Self {
        Self {
            text: table.text_or(empty),
            json,
            good: true,
        }
    }
}

/// How a column stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Columns that stand under each other.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| printable(&cell)).to_vec());
    }

    /// The table as text, or this line if it has no row.
    pub fn text_or(&self, empty: &str) -> String {
        if self.rows.is_empty() {
            return format!("{empty}\n");
        }
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(self.columns[column].0.len())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let header = self
            .columns
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let mut text = String::new();
        for row in std::iter::once(&header).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, width), (_, align)) in row.iter().zip(&widths).zip(&self.columns) {
                let _ = match align {
                    Align::Left => write!(line, "{cell:<width$}  "),
                    Align::Right => write!(line, "{cell:>width$}  "),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// What was stored by others must not drive the terminal of who looks at it.
pub fn printable(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            control if control.is_control() => result.extend(control.escape_default()),
            other => result.push(other),
        }
    }
    result
}

/// A size for people: at most four digits and a unit.
pub fn size(octets: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = octets as f64;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let unit_name = UNITS[unit];
    if unit == 0 || (value - value.round()).abs() < 0.05 {
        format!("{value:.0} {unit_name}")
    } else {
        format!("{value:.1} {unit_name}")
    }
}

/// A quota for people.
pub fn quota(quota: Option<u64>) -> String {
    quota.map_or_else(|| "unlimited".to_owned(), size)
}

/// A time for people, in UTC.
pub fn time(time: Option<Timestamp>) -> String {
    let time = time.and_then(|it| DateTime::from_timestamp_micros(it.0));
    time.map_or_else(
        || "never".to_owned(),
        |it| it.format("%Y-%m-%d %H:%M").to_string(),
    )
}

/// A time for programs (RFC 3339).
pub fn json_time(time: Option<Timestamp>) -> Value {
    let time = time.and_then(|it| DateTime::from_timestamp_micros(it.0));
    json!(time.map(|it| it.to_rfc3339_opts(SecondsFormat::Secs, true)))
}

/// `1 user`, `2 users`.
pub fn count(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (octets, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1 MiB"),
            ((1 << 20) - 1, "1 MiB"),
            (1 << 30, "1 GiB"),
            (5 << 40, "5 TiB"),
            (5000 << 40, "5000 TiB"),
        ] {
            assert_eq!(size(octets), text);
        }
    }

    #[test]
    fn times_are_utc() {
        let at = Some(Timestamp(1_700_000_000_000_000));
        assert_eq!(time(at), "2023-11-14 22:13");
        assert_eq!(json_time(at), "2023-11-14T22:13:20Z");
        assert_eq!(
            (time(None).as_str(), json_time(None)),
            ("never", Value::Null)
        );
    }

    #[test]
    fn tables_align_and_cannot_drive_a_terminal() {
        let mut table = Table::new(&[("NAME", Align::Left), ("SIZE", Align::Right)]);
        assert_eq!(table.text_or("none"), "none\n");
        table.row(["ada".into(), "1000".into()]);
        table.row(["x\u{1b}[2J".into(), "1".into()]);
        assert_eq!(
            table.text_or("none"),
            "NAME        SIZE\nada         1000\nx\\u{1b}[2J     1\n"
        );
    }
}
