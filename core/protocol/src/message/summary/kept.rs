//! A summary as the index keeps it, read where it lies.
//!
//! A list of a mailbox asks a few things of each of many messages. Their texts are not taken out of the encoded summary for that: what
//! is asked for is read as places in it.
//!
//! **Invariants.** It was surveyed when it was taken in: all that [`Summary::decode`] refuses is refused there, and nothing later.
//! **Bounds.** Its octets and a few words.

use std::fmt;
use std::sync::Arc;

use super::codec::{self, Places, Reader};
use super::{CachedHeader, Summary, SummaryError};
use crate::message::date::DateTime;
use crate::message::envelope::Envelope;
use crate::message::part::Part;

/// An encoded summary that is known to be one. Cheap to clone.
#[derive(Clone)]
pub struct Kept {
    octets: Arc<[u8]>,
    places: Places,
}

impl Kept {
    /// Takes what [`Summary::encode`] made.
    ///
    /// # Errors
    /// As [`Summary::decode`].
    pub fn new(octets: &[u8]) -> Result<Self, SummaryError> {
        // The seal is looked at once; what is in memory needs none.
        let octets = codec::unseal(octets)?;
        let places = codec::survey(octets)?;
        let octets = octets.into();
        Ok(Self { octets, places })
    }

    /// Octets that it takes.
    pub fn octets(&self) -> usize {
        self.octets.len()
    }

    /// All of it, in values of its own.
    ///
    /// # Errors
    /// None that [`Kept::new`] has not found.
    pub fn decode(&self) -> Result<Summary, SummaryError> {
        codec::decode(&self.octets)
    }

    /// Fields that clients list by, as they stand in the header.
    pub fn header(&self) -> CachedHeader<&[u8]> {
        let mut reader = Reader::begin(&self.octets).ok();
        let head = reader.as_mut().and_then(Reader::head);
        head.map(|head| head.header).unwrap_or_default()
    }

    /// Where the parts are and what they say about themselves.
    pub fn root(&self) -> Option<Part<&[u8]>> {
        let mut reader = Reader::begin(&self.octets).ok()?;
        let size = reader.head()?.size;
        reader.root(size)
    }

    /// Who, when and what.
    pub fn envelope(&self) -> Envelope<&[u8]> {
        let envelope = self.behind(self.places.envelope);
        let envelope = envelope.and_then(|mut reader| reader.envelope());
        envelope.unwrap_or_default()
    }

    /// The `Date` field, if it is one.
    pub fn sent(&self) -> Option<DateTime> {
        let tail = self.behind(self.places.tail)?.tail::<&[u8]>()?;
        tail.sent
    }

    /// A reader at one of the places.
    fn behind(&self, place: u32) -> Option<Reader<'_>> {
        let mut reader = Reader::begin(&self.octets).ok()?;
        reader.head()?;
        reader.go_to(self.octets.get(place as usize..)?);
        Some(reader)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&self.octets.len()).finish()
    }
}
