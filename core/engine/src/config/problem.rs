//! What is wrong with a configuration, and where.

use std::{fmt, path::PathBuf};

/// A finding in a configuration file, worded for who wrote it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Where in it; none for what concerns the file as a whole.
    pub place: Option<Place>,
    /// Whether it keeps the server from starting.
    pub severity: Severity,
    /// What is wrong, and what to do about it.
    pub message: String,
}

/// A place in a text, both counted from 1; the column in characters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but somebody should look.
    Warning,
}

impl Place {
    /// The place of an octet in a text.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Problem {
    /// `FILE:LINE:COLUMN: message`, as compilers print it and editors understand it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(Place { line, column }) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        if self.severity == Severity::Warning {
            f.write_str(" warning:")?;
        }
        write!(f, " {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_and_in_characters() {
        let text = "a = 1\nhostname = \"ü\" x";
        assert_eq!(Place::of(text, 0), Place { line: 1, column: 1 });
        assert_eq!(Place::of(text, 6), Place { line: 2, column: 1 });
        let x = text.find('x').expect("text has an x");
        assert_eq!(
            Place::of(text, x),
            Place {
                line: 2,
                column: 16
            }
        );
        assert_eq!(
            Place::of(text, 999).line,
            2,
            "beyond the end is its last line"
        );
    }

    #[test]
    fn prints_like_a_compiler() {
        let mut problem = Problem {
            file: "/etc/p.toml".into(),
            place: Some(Place { line: 3, column: 7 }),
            severity: Severity::Error,
            message: "bad".into(),
        };
        assert_eq!(problem.to_string(), "/etc/p.toml:3:7: bad");
        problem.severity = Severity::Warning;
        problem.place = None;
        assert_eq!(problem.to_string(), "/etc/p.toml: warning: bad");
    }
}
