//! Messages as octets: numbers without leading zeros (LEB128), each as the difference to the message before where that is small.
//!
//! A first octet says which version this is; then how many, then of each message: UID, modification sequence, flags, size, INTERNALDATE, SAVEDATE as the
//! difference to it, body.

use crate::index::{BlobId, Flags, Message, ModSeq, Timestamp, Uid};

const VERSION: u8 = 1;
/// The fewest octets of a message: one for each of its numbers.
const SHORTEST: usize = 7;

/// Messages by rising UID.
pub(super) fn encode(messages: &[Message]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(16 + messages.len() * 24);
    octets.push(VERSION);
    put(&mut octets, messages.len() as u64);
    let mut last = NONE;
    for it in messages {
        put(&mut octets, u64::from(it.uid.0 - last.uid.0));
        put_signed(&mut octets, it.modseq.0.wrapping_sub(last.modseq.0) as i64);
        put(&mut octets, it.flags.0);
        put(&mut octets, it.size);
        let (date, before) = (it.internal_date.0, last.internal_date.0);
        put_signed(&mut octets, date.wrapping_sub(before));
        put_signed(&mut octets, it.save_date.0.wrapping_sub(date));
        put_signed(&mut octets, it.blob.0.wrapping_sub(last.blob.0));
        last = *it;
    }
    octets
}

/// What [`encode`] was given; none for anything that it does not write.
pub(super) fn decode(octets: &[u8]) -> Option<Vec<Message>> {
    let (version, mut rest) = octets.split_first()?;
    let count = match *version {
        VERSION => usize::try_from(take(&mut rest)?).ok()?,
        _ => return None,
    };
    if count > rest.len() / SHORTEST {
        return None;
    }
    let mut messages = Vec::with_capacity(count);
    let mut last = NONE;
    for _ in 0..count {
        let step = u32::try_from(take(&mut rest)?).ok().filter(|it| *it > 0)?;
        let modseq = take_signed(&mut rest)? as u64;
        let (flags, size) = (Flags(take(&mut rest)?), take(&mut rest)?);
        let date = last.internal_date.0.wrapping_add(take_signed(&mut rest)?);
        last = Message {
            uid: Uid(last.uid.0.checked_add(step)?),
            modseq: ModSeq(last.modseq.0.wrapping_add(modseq)),
            flags,
            size,
            internal_date: Timestamp(date),
            save_date: Timestamp(date.wrapping_add(take_signed(&mut rest)?)),
            blob: BlobId(last.blob.0.wrapping_add(take_signed(&mut rest)?)),
        };
        messages.push(last);
    }
    rest.is_empty().then_some(messages)
}

/// Before the first.
const NONE: Message = Message {
    uid: Uid(0),
    modseq: ModSeq(0),
    flags: Flags(0),
    size: 0,
    internal_date: Timestamp(0),
    save_date: Timestamp(0),
    blob: BlobId(0),
};

fn put(octets: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        octets.push(value as u8 | 0x80);
        value >>= 7;
    }
    octets.push(value as u8);
}

/// Small numbers of either sign are short.
fn put_signed(octets: &mut Vec<u8>, value: i64) {
    put(octets, ((value << 1) ^ (value >> 63)) as u64);
}

fn take(octets: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (octet, rest) = octets.split_first()?;
        *octets = rest;
        let part = u64::from(octet & 0x7f);
        // The tenth octet has room for one bit.
        if part << shift >> shift != part {
            return None;
        }
        value |= part << shift;
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take_signed(octets: &mut &[u8]) -> Option<i64> {
    let value = take(octets)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn message() -> impl Strategy<Value = Message> {
        let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
        let times = (any::<i64>(), any::<i64>(), any::<i64>());
        (1..5_u32, numbers, times).prop_map(|(uid, (modseq, flags, size), (date, saved, blob))| {
            Message {
                uid: Uid(uid),
                modseq: ModSeq(modseq),
                flags: Flags(flags),
                size,
                internal_date: Timestamp(date),
                save_date: Timestamp(saved),
                blob: BlobId(blob),
            }
        })
    }

    fn messages() -> impl Strategy<Value = Vec<Message>> {
        prop::collection::vec(message(), 0..20).prop_map(|mut all| {
            let mut uid = 0;
            for message in &mut all {
                uid += message.uid.0;
                message.uid = Uid(uid);
            }
            all
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(all in messages()) {
            prop_assert_eq!(decode(&encode(&all)), Some(all));
        }

        #[test]
        fn what_is_spoilt_is_read_as_something_whole_or_not_at_all(all in messages(), at: usize, octet: u8, cut: bool) {
            let mut octets = encode(&all);
            let at = at % octets.len();
            match cut {
                true => octets.truncate(at),
                false => octets[at] = octet,
            }
            let read = decode(&octets);
            prop_assert!(!cut || read.is_none());
            prop_assert!(read.unwrap_or_default().is_sorted_by(|one, next| one.uid < next.uid));
        }

        #[test]
        fn any_octets_are_read_without_harm(octets: Vec<u8>) {
            let mut octets = octets;
            octets.insert(0, VERSION);
            let _ = decode(&octets);
        }
    }

    #[test]
    fn the_highest_uid_is_the_last() {
        let mut last = NONE;
        last.uid = Uid(u32::MAX);
        let octets = encode(&[last]);
        assert_eq!(decode(&octets), Some(vec![last]));
        let mut two = octets.clone();
        two[1] = 2;
        two.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(decode(&two), None);
    }

    #[test]
    fn a_list_of_a_usual_mailbox_is_short() {
        let all: Vec<Message> = (1..=10_000)
            .map(|nth: u32| Message {
                uid: Uid(nth),
                modseq: ModSeq(u64::from(nth) + 1),
                flags: Flags(u64::from(nth % 3)),
                size: u64::from(nth * 7 % 50_000),
                internal_date: Timestamp(1_700_000_000_000_000 + i64::from(nth) * 60_123_457),
                save_date: Timestamp(1_700_000_000_000_000 + i64::from(nth) * 60_123_457),
                blob: BlobId(i64::from(nth) * 3),
            })
            .collect();
        assert!(encode(&all).len() < 140_000, "{}", encode(&all).len());
    }
}
