//! What the octets of a fuzzer mean: a setting, how they are cut into reads, what the engine answers, what the peer says.
//!
//! `setting cut count choice*count said`, one octet each but the last. Zeroes mean the usual: a transcript with three zeroes
//! before it is a seed.

/// Most choices of an input; then they begin again.
const CHOICES: usize = 32;

/// An input taken apart.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    /// Bits that each target reads its own way.
    pub setting: u8,
    /// How what is said is cut into reads.
    pub cut: Cut,
    /// What the engine answers.
    pub choices: Choices<'a>,
    /// What the peer says.
    pub said: &'a [u8],
}

impl<'a> Script<'a> {
    /// Takes an input apart; what is missing is zero.
    pub fn of(octets: &'a [u8]) -> Self {
        let at = |index: usize| octets.get(index).copied().unwrap_or(0);
        let rest = octets.get(3..).unwrap_or_default();
        let count = (usize::from(at(2)) % CHOICES).min(rest.len());
        let (choices, said) = rest.split_at(count);
        Self {
            setting: at(0),
            cut: Cut::of(at(1)),
            choices: Choices {
                octets: choices,
                next: 0,
            },
            said,
        }
    }
}

/// How octets are cut into reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// After each LF, as a client that waits.
    Lines,
    /// After so many octets.
    Pieces(usize),
    /// Nowhere.
    Whole,
}

impl Cut {
    fn of(octet: u8) -> Self {
        match octet {
            0 => Self::Lines,
            255 => Self::Whole,
            octets => Self::Pieces(octets.into()),
        }
    }

    /// The reads.
    pub fn pieces(self, octets: &[u8]) -> Vec<&[u8]> {
        match self {
            _ if octets.is_empty() => vec![octets],
            Self::Lines => octets.split_inclusive(|octet| *octet == b'\n').collect(),
            Self::Pieces(length) => octets.chunks(length).collect(),
            Self::Whole => vec![octets],
        }
    }
}

/// Decisions, one after the other; zero is the usual one.
#[derive(Clone, Debug, Default)]
pub struct Choices<'a> {
    octets: &'a [u8],
    next: usize,
}

impl Choices<'_> {
    /// The next decision.
    pub fn take(&mut self) -> u8 {
        if self.octets.is_empty() {
            return 0;
        }
        let octet = self.octets[self.next % self.octets.len()];
        self.next += 1;
        octet
    }

    /// One of these; the first is the usual one.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.take()) % all.len()]
    }
}
