//! Sequence sets as clients write them, and sets of numbers as we do (RFC 9051 section 9, `sequence-set`).
//!
//! A [`SequenceSet`] may hold `*`, ranges in either order and repetitions; against the largest number in use it
//! resolves to a [`NumberSet`], which is sorted, disjoint and compact whatever was written.
//!
//! **Bounds.** A client's set has at most [`Bounds::elements`](super::args::Bounds) elements. A range costs the same whatever it spans.

use std::fmt::{self, Write};
use std::num::NonZeroU32;
use std::ops::Range;

use bytes::BytesMut;

use super::args::{Args, Parsed, SyntaxError, expected};
use crate::imap::types::{SeqNum, Uid};

pub use super::args::ELEMENTS;

/// A kind of message number: UIDs and sequence numbers have sets, and the sets do not mix.
pub trait Number: Copy + Ord + fmt::Debug {
    /// The number of this kind.
    fn of(number: u32) -> Self;
    /// It without its kind.
    fn number(self) -> u32;
}

impl Number for Uid {
    fn of(number: u32) -> Self {
        Uid(number)
    }
    fn number(self) -> u32 {
        self.0
    }
}

impl Number for SeqNum {
    fn of(number: u32) -> Self {
        SeqNum(number)
    }
    fn number(self) -> u32 {
        self.0
    }
}

/// `seq-number = nz-number / "*"`; `*` is none.
type Bound = Option<NonZeroU32>;

/// `sequence-set = (seq-number / seq-range) *("," (seq-number / seq-range)) / "$"`
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SequenceSet {
    /// `$`: what the last search saved (RFC 9051 section 6.4.4.1).
    Saved,
    /// Numbers and ranges.
    Listed(Listed),
}

/// Numbers and ranges as a client listed them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed(Vec<(Bound, Bound)>);

impl SequenceSet {
    /// Parses a set or `$`.
    ///
    /// # Errors
    /// `Syntax`, also for `0`, for numbers above 2^32 - 1 and for too many elements.
    pub fn parse(args: &mut Args<'_>) -> Parsed<Self> {
        if args.try_octet(b'$') {
            return Ok(SequenceSet::Saved);
        }
        let mut elements = Vec::new();
        loop {
            if elements.len() >= args.bounds().elements {
                return Err(SyntaxError::SET);
            }
            let first = bound(args)?;
            let last = match args.try_octet(b':') {
                true => bound(args)?,
                false => first,
            };
            elements.push((first, last));
            if !args.try_octet(b',') {
                return Ok(SequenceSet::Listed(Listed(elements)));
            }
        }
    }
}

fn bound(args: &mut Args<'_>) -> Parsed<Bound> {
    match args.peek() {
        Some(b'*') => {
            args.try_octet(b'*');
            Ok(None)
        }
        Some(b'0'..=b'9') => args.nz_number().map(Some),
        _ => expected("a message number"),
    }
}

impl Listed {
    /// The numbers up to `largest`, the largest number in use, which `*` stands for; numbers above it
    /// are left out. Nothing is in use if `largest` is 0.
    pub fn resolve<N: Number>(&self, largest: N) -> NumberSet<N> {
        let largest = largest.number();
        let mut ranges: Vec<(u32, u32)> = self
            .0
            .iter()
            .map(|(first, last)| {
                let first = first.map_or(largest, NonZeroU32::get);
                let last = last.map_or(largest, NonZeroU32::get);
                (first.min(last), first.max(last).min(largest))
            })
            .filter(|(first, last)| first <= last && *last > 0)
            .collect();
        ranges.sort_unstable();
        let mut set = NumberSet::default();
        for (first, last) in ranges {
            set.push_range(N::of(first), N::of(last));
        }
        set
    }

    /// The largest number that is written out, 0 if there are only `*`. A sequence number above the
    /// number of messages is an error of the client (RFC 9051 section 9, `seq-number`).
    pub fn largest_written(&self) -> u32 {
        let bounds = self.0.iter().flat_map(|(first, last)| [first, last]);
        bounds.flatten().max().map_or(0, |number| number.get())
    }

    /// Whether there is a `*` in it.
    pub fn has_star(&self) -> bool {
        self.0
            .iter()
            .any(|(first, last)| first.is_none() || last.is_none())
    }
}

/// A set of numbers: sorted, disjoint ranges that do not touch.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct NumberSet<N> {
    ranges: Vec<(N, N)>,
}

impl<N> Default for NumberSet<N> {
    fn default() -> Self {
        Self { ranges: Vec::new() }
    }
}

impl<N: Number> NumberSet<N> {
    /// Adds a number not below any that was added before.
    pub fn push(&mut self, number: N) {
        self.push_range(number, number);
    }

    /// Adds `first` to `last`, where `first` is not below the first number of the last range added.
    ///
    /// # Panics
    /// Never; a range out of order is put in its place, at a cost linear in the ranges.
    pub fn push_range(&mut self, first: N, last: N) {
        let (first, last) = (first.min(last), first.max(last));
        match self.ranges.last_mut() {
            Some((start, end)) if first >= *start => {
                if first.number() <= end.number().saturating_add(1) {
                    *end = last.max(*end);
                } else {
                    self.ranges.push((first, last));
                }
            }
            None => self.ranges.push((first, last)),
            Some(_) => {
                let at = self.ranges.partition_point(|(start, _)| *start < first);
                self.ranges.insert(at, (first, last));
                let ranges = std::mem::take(&mut self.ranges);
                for (first, last) in ranges {
                    self.push_range(first, last);
                }
            }
        }
    }

    /// First and last number of each range, rising.
    pub fn ranges(&self) -> &[(N, N)] {
        &self.ranges
    }

    /// Whether there is no number in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        let span = |(first, last): &(N, N)| u64::from(last.number() - first.number()) + 1;
        self.ranges.iter().map(span).sum()
    }

    /// The smallest number.
    pub fn min(&self) -> Option<N> {
        self.ranges.first().map(|(first, _)| *first)
    }

    /// The largest number.
    pub fn max(&self) -> Option<N> {
        self.ranges.last().map(|(_, last)| *last)
    }

    /// Whether `number` is in it; logarithmic in the number of ranges.
    pub fn contains(&self, number: N) -> bool {
        let at = self.ranges.partition_point(|(_, last)| *last < number);
        self.ranges
            .get(at)
            .is_some_and(|(first, _)| *first <= number)
    }

    /// All numbers, rising. The caller bounds them: `1:4294967295` is one range, but many numbers.
    pub fn iter(&self) -> impl Iterator<Item = N> + '_ {
        self.ranges
            .iter()
            .flat_map(|(first, last)| (first.number()..=last.number()).map(N::of))
    }

    /// Where the numbers of this set lie in `sorted`: one index range for each range that finds any.
    pub fn positions(&self, sorted: &[N]) -> impl Iterator<Item = Range<usize>> {
        self.ranges
            .iter()
            .map(|(first, last)| {
                let start = sorted.partition_point(|number| number < first);
                start..start + sorted[start..].partition_point(|number| number <= last)
            })
            .filter(|range| !range.is_empty())
    }

    /// Writes `1:5,7`.
    pub fn write(&self, out: &mut BytesMut) {
        // Writing into a BytesMut only fails when memory does.
        let _ = write!(out, "{self}");
    }
}

impl<N: Number> FromIterator<N> for NumberSet<N> {
    fn from_iter<I: IntoIterator<Item = N>>(numbers: I) -> Self {
        let mut set = NumberSet::default();
        numbers.into_iter().for_each(|number| set.push(number));
        set
    }
}

impl<N: Number> fmt::Display for NumberSet<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (first, last)) in self.ranges.iter().enumerate() {
            if n > 0 {
                f.write_char(',')?;
            }
            match first == last {
                true => write!(f, "{}", first.number())?,
                false => write!(f, "{}:{}", first.number(), last.number())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "sequence_tests.rs"]
mod tests;
