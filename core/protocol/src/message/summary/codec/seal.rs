//! What tells a damaged summary from a whole one. Most octets of a summary are text: another octet in it is another text, and nobody
//! would see that it is wrong.
//!
//! A sealed summary is [`SEALED`], eight octets of check, and the summary. What was kept before there were seals is taken as it is.
//!
//! **Invariants.** A change within eight octets that stand together is always found, any other but for one in 2^64.

use crate::message::summary::SummaryError;

/// The first octet of a sealed summary; no version of the format has it.
const SEALED: u8 = 2;
/// Where the summary begins.
const BEHIND: usize = 9;

/// Seals an encoded summary.
pub(in crate::message::summary) fn seal(encoded: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(BEHIND + encoded.len());
    sealed.push(SEALED);
    sealed.extend_from_slice(&check(encoded).to_le_bytes());
    sealed.extend_from_slice(encoded);
    sealed
}

/// The encoded summary, if it is what was sealed.
pub(in crate::message::summary) fn unseal(octets: &[u8]) -> Result<&[u8], SummaryError> {
    let Some(rest) = octets.strip_prefix(&[SEALED]) else {
        return Ok(octets);
    };
    match rest.split_first_chunk() {
        Some((wanted, encoded)) if check(encoded).to_le_bytes() == *wanted => Ok(encoded),
        _ => Err(SummaryError::Malformed),
    }
}

/// Each step is reversible, so that a difference in one word stays one.
fn check(octets: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let step =
        |sum: u64, word: [u8; 8]| (sum.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(ODD);
    let (words, rest) = octets.as_chunks();
    let sum = words
        .iter()
        .fold(octets.len() as u64, |sum, word| step(sum, *word));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    step(sum, last)
}
