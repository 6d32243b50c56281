//! Flags of messages and mailboxes (RFC 9051 section 7.3.5 and section 7.5.2).

use bytes::{BufMut, BytesMut};

use crate::imap::syntax::flag::SYSTEM_FLAGS;
use crate::imap::types::Flags;

/// Keywords that bits are left for.
pub const KEYWORDS: usize = 64 - Flags::FIRST_KEYWORD as usize;

/// Whether a message is `\Recent` (RFC 3501 section 2.3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recency {
    /// This session is the first that sees it, and it was not told that it speaks IMAP4rev2.
    Recent,
    /// It is not, or the client does not care.
    Old,
}

/// Writes `(\Seen $Forwarded)`. `keywords` are the mailbox's, by number.
pub fn flag_list(flags: Flags, keywords: &[String], recency: Recency, out: &mut BytesMut) {
    out.put_u8(b'(');
    let recent = (recency == Recency::Recent).then_some("\\Recent");
    join(names(flags, keywords).chain(recent), out);
    out.put_u8(b')');
}

/// Writes `* FLAGS (…)`: all flags that messages of the mailbox may have.
pub fn flags(keywords: &[String], out: &mut BytesMut) {
    out.put_slice(b"* FLAGS (");
    let system = SYSTEM_FLAGS.iter().map(|(_, name)| *name);
    join(system.chain(keywords.iter().map(String::as_str)), out);
    out.put_slice(b")\r\n");
}

/// The names of the flags that are set. A bit whose keyword has no name is passed over.
pub(super) fn names(flags: Flags, keywords: &[String]) -> impl Iterator<Item = &str> {
    let system = SYSTEM_FLAGS
        .iter()
        .filter(move |(flag, _)| flags.contains(*flag))
        .map(|(_, name)| *name);
    let keywords = keywords
        .iter()
        .take(KEYWORDS)
        .enumerate()
        .filter(move |(n, _)| flags.contains(Flags::keyword(*n)))
        .map(|(_, name)| name.as_str());
    system.chain(keywords)
}

/// Writes names with a space between them.
pub(super) fn join<'a>(names: impl Iterator<Item = &'a str>, out: &mut BytesMut) {
    for (n, name) in names.enumerate() {
        if n > 0 {
            out.put_u8(b' ');
        }
        out.put_slice(name.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::flag::FlagList;
    use crate::imap::syntax::{Args, Utf8};
    use proptest::prelude::*;

    fn written(flags: Flags, keywords: &[String], recency: Recency) -> String {
        let mut out = BytesMut::new();
        flag_list(flags, keywords, recency, &mut out);
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn forms() {
        let keywords = strings(&["$Forwarded", "Work"]);
        let flags = Flags::SEEN | Flags::DRAFT | Flags::keyword(1);
        assert_eq!(
            written(flags, &keywords, Recency::Old),
            "(\\Seen \\Draft Work)"
        );
        assert_eq!(
            written(Flags::NONE, &keywords, Recency::Recent),
            "(\\Recent)"
        );
        assert_eq!(written(Flags::NONE, &[], Recency::Old), "()");
        assert_eq!(
            written(Flags(u64::MAX), &[], Recency::Old),
            "(\\Seen \\Answered \\Flagged \\Deleted \\Draft)"
        );
        let mut out = BytesMut::new();
        super::flags(&keywords, &mut out);
        assert_eq!(
            &out[..],
            b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded Work)\r\n"
        );
    }

    #[test]
    fn more_keywords_than_bits_do_no_harm() {
        let keywords: Vec<String> = (0..100).map(|n| format!("k{n}")).collect();
        let list = written(Flags(u64::MAX), &keywords, Recency::Old);
        assert!(list.ends_with(" k58)") && KEYWORDS == 59);
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(bits in any::<u64>(), count in 0usize..=KEYWORDS) {
            let keywords: Vec<String> = (0..count).map(|n| format!("$k{n}")).collect();
            let wire = written(Flags(bits), &keywords, Recency::Old);
            let list = FlagList::parse(&mut Args::new(wire.as_bytes(), Utf8::Off)).expect("a flag list");
            let mut read = list.system;
            for keyword in &list.keywords {
                let number = keywords.iter().position(|name| name == keyword.as_str()).expect("known");
                read = read | Flags::keyword(number);
            }
            let named = Flags::FIRST_KEYWORD as usize + count;
            let mask = if named == 64 { u64::MAX } else { (1 << named) - 1 };
            prop_assert_eq!(read, Flags(bits & mask));
        }
    }
}
