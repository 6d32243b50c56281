//! What can go wrong while measuring, and how often it did.

use std::collections::BTreeMap;
use std::fmt;

/// One failure, with whose fault it is in its text.
#[derive(Debug)]
pub enum Fault {
    /// The arguments ask for something that is not possible or not allowed.
    Usage(String),
    /// The system or the network failed.
    Io(std::io::Error),
    /// The server closed the connection.
    Closed,
    /// The server said something that the protocol does not allow.
    Protocol(String),
    /// The server refused; its words.
    Refused(String),
    /// The time limit of the run came first.
    Late,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::Io(error) => write!(f, "{error}"),
            Self::Closed => f.write_str("connection closed by the server"),
            Self::Protocol(text) => write!(f, "not understood: {text}"),
            Self::Refused(text) => write!(f, "refused: {text}"),
            Self::Late => f.write_str("stopped by the time limit"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    /// A refusal in the server's own words, shortened.
    pub fn refused(line: &[u8]) -> Self {
        Self::Refused(shorten(line))
    }

    /// An answer that makes no sense here, shortened.
    pub fn protocol(line: &[u8]) -> Self {
        Self::Protocol(shorten(line))
    }

    /// Whether the connection can be used for another command.
    pub fn spares_connection(&self) -> bool {
        matches!(self, Self::Refused(text) if !text.starts_with("421"))
    }
}

fn shorten(line: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(line)
        .chars()
        .filter(|c| !c.is_control())
        .take(160)
        .collect();
    text
}

/// Failures counted by their text.
///
/// **Bounds.** At most [`Faults::KINDS`] different texts; the rest is counted together.
#[derive(Debug, Default)]
pub struct Faults {
    counts: BTreeMap<String, u64>,
}

impl Faults {
    const KINDS: usize = 20;

    /// Counts one failure.
    pub fn add(&mut self, fault: &Fault) {
        self.add_text(fault.to_string(), 1);
    }

    /// Takes over what another counted.
    pub fn merge(&mut self, other: Self) {
        for (text, count) in other.counts {
            self.add_text(text, count);
        }
    }

    fn add_text(&mut self, text: String, count: u64) {
        let known = self.counts.contains_key(&text) || self.counts.len() < Self::KINDS;
        let text = if known { text } else { "others".to_owned() };
        *self.counts.entry(text).or_default() += count;
    }

    /// Whether nothing failed.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The texts and how often each came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts
            .iter()
            .map(|(text, count)| (text.as_str(), *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_texts_are_bounded_and_none_is_lost() {
        let mut faults = Faults::default();
        for n in 0..100 {
            faults.add(&Fault::Refused(format!("450 {n}")));
            faults.add(&Fault::Refused("450 0".to_owned()));
        }
        assert_eq!(faults.iter().count(), Faults::KINDS + 1);
        assert_eq!(faults.iter().map(|(_, count)| count).sum::<u64>(), 200);
    }

    #[test]
    fn only_a_refusal_spares_the_connection() {
        assert!(Fault::refused(b"452 4.2.2 full").spares_connection());
        assert!(!Fault::refused(b"421 4.3.0 going").spares_connection());
        assert!(!Fault::Closed.spares_connection());
        assert!(!Fault::Late.spares_connection());
    }
}
