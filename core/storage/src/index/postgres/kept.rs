//! Statements that the server keeps under a name, planned once: those that are asked most, and cost more to plan than to run.
//!
//! A name is made of its statement's whole text. So behind a pooler that gives each transaction another connection the server may not know a
//! name, or know it already, but never takes it for another statement.
//!
//! **On failure.** A pool that meets such a server keeps nothing any more: the read is tried again, and planned each time from then on.

use std::borrow::Cow;

use tokio_postgres::{Error as PgError, error::SqlState, types::Type};

use super::{conn::Value, look};

/// A statement that the server keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    text: &'static str,
    number: u64,
}

/// A parameter of such a statement.
#[derive(Debug)]
pub(super) enum Parameter<'a> {
    Number(i64),
    Text(&'a str),
}

impl Kept {
    pub(super) const fn new(text: &'static str) -> Kept {
        let octets = text.as_bytes();
        // FNV-1a.
        let (mut number, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
        while at < octets.len() {
            number = (number ^ octets[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            at += 1;
        }
        Kept { text, number }
    }

    /// Whether both are one statement.
    pub(super) fn is(&self, other: &Kept) -> bool {
        self.number == other.number
    }

    fn name(&self) -> String {
        format!("postrider_{:016x}", self.number)
    }

    /// Tells a server to keep it.
    pub(super) fn prepare(&self, parameters: &[Parameter<'_>]) -> String {
        let types: Vec<&str> = parameters.iter().map(Parameter::type_name).collect();
        let (name, types) = (self.name(), types.join(", "));
        format!("PREPARE {name} ({types}) AS {}", self.text)
    }

    /// Asks a server that keeps it.
    pub(super) fn execute(&self, parameters: &[Parameter<'_>]) -> String {
        let values: Vec<_> = parameters.iter().map(Parameter::literal).collect();
        format!("EXECUTE {} ({})", self.name(), values.join(", "))
    }

    /// Asks a server that keeps nothing.
    pub(super) fn planned(&self, parameters: &[Parameter<'_>]) -> look::Query {
        let values = parameters.iter().map(Parameter::value);
        (Cow::Borrowed(self.text), values.collect())
    }
}

impl Parameter<'_> {
    fn type_name(&self) -> &'static str {
        match self {
            Parameter::Number(_) => "bigint",
            Parameter::Text(_) => "text",
        }
    }

    fn value(&self) -> (Value, Type) {
        match self {
            Parameter::Number(number) => look::number(*number),
            Parameter::Text(text) => look::text(text),
        }
    }

    /// Written so that `standard_conforming_strings` makes no difference.
    fn literal(&self) -> String {
        match self {
            Parameter::Number(number) => number.to_string(),
            Parameter::Text(text) => {
                let text = look::without_nul(text);
                let doubled = text.replace('\'', "''").replace('\\', "\\\\");
                format!("E'{doubled}'")
            }
        }
    }
}

/// Whether a server refused because it does not keep what it was told to, kept it before, or has other tables now.
pub(super) fn refused(error: &PgError) -> bool {
    let refusals = [
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::DUPLICATE_PSTATEMENT,
        SqlState::FEATURE_NOT_SUPPORTED,
    ];
    error.code().is_some_and(|code| refusals.contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_the_text() {
        let (one, same, other) = (Kept::new("a"), Kept::new("a"), Kept::new("b"));
        assert!(one.is(&same) && !one.is(&other));
        // FNV-1a of "a", as its authors give it.
        assert_eq!(one.name(), "postrider_af63dc4c8601ec8c");
    }

    #[test]
    fn parameters_stay_parameters() {
        let kept = Kept::new("SELECT $1, $2");
        let parameters = [Parameter::Number(-7), Parameter::Text("a'); DROP \\'\0 é")];
        assert_eq!(
            kept.execute(&parameters),
            format!("EXECUTE {} (-7, E'a''); DROP \\\\''\u{1} é')", kept.name())
        );
        assert_eq!(
            kept.prepare(&parameters),
            format!("PREPARE {} (bigint, text) AS SELECT $1, $2", kept.name())
        );
    }
}
