//! Summaries of a list, a page of bounded octets at a time.

use super::Uid;

/// Octets of summaries that are read at a time, unless one alone has more. A usual mail has one to two KiB, so this is a few thousand of them; a hostile one
/// has hundreds of KiB.
pub const SUMMARIES_LIMIT: usize = 4 * 1024 * 1024;

/// Encoded summaries of some messages.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SummaryPage {
    /// By UID.
    pub found: Vec<(Uid, Vec<u8>)>,
    /// The first of the messages asked for that there was no room for: from it on nothing was looked at.
    pub next: Option<Uid>,
}

/// What still fits beside other summaries, up to [`SUMMARIES_LIMIT`].
#[derive(Debug, Default)]
pub struct SummaryRoom {
    used: usize,
}

impl SummaryRoom {
    /// Takes a summary of so many octets; the first one always fits.
    pub fn takes(&mut self, octets: usize) -> bool {
        let fits = self.used == 0 || self.used.saturating_add(octets) <= SUMMARIES_LIMIT;
        if fits {
            self.used += octets.max(1);
        }
        fits
    }
}

impl SummaryPage {
    /// The first of these, which rise, for which there is room.
    pub(super) fn of(summaries: impl IntoIterator<Item = (Uid, Vec<u8>)>) -> Self {
        let (mut room, mut page) = (SummaryRoom::default(), Self::default());
        for (uid, octets) in summaries {
            if !room.takes(octets.len()) {
                page.next = Some(uid);
                break;
            }
            page.found.push((uid, octets));
        }
        page
    }
}
