//! SEARCH and ESEARCH (RFC 3501 section 7.2.5; RFC 9051 section 7.3.4; RFC 7162 section 3.1.5).

use bytes::{BufMut, BytesMut};

use super::string::{number, quoted};
use crate::imap::syntax::search::Returns;
use crate::imap::syntax::sequence::Number;
use crate::imap::syntax::{NumberSet, Numbering};
use crate::imap::types::ModSeq;

/// Writes `* SEARCH 2 84 882`, the response to a SEARCH without RETURN in IMAP4rev1. `highest` is the highest
/// modification sequence of what was found, for a search with MODSEQ.
pub fn search<N: Number>(found: &NumberSet<N>, highest: Option<ModSeq>, out: &mut BytesMut) {
    out.put_slice(b"* SEARCH");
    for found in found.iter() {
        out.put_u8(b' ');
        number(found.number().into(), out);
    }
    if let Some(highest) = highest.filter(|_| !found.is_empty()) {
        out.put_slice(b" (MODSEQ ");
        number(highest.0, out);
        out.put_u8(b')');
    }
    out.put_slice(b"\r\n");
}

/// Writes `* ESEARCH (TAG "a1") UID COUNT 3 ALL 2,4:5`. What says which message is left out if none was found.
/// For `RETURN (SAVE)` alone there is no response (RFC 5182 section 2.1): see [`Returns::wants_response`].
pub fn esearch<N: Number>(
    tag: &str,
    numbering: Numbering,
    returns: Returns,
    found: &NumberSet<N>,
    highest: Option<ModSeq>,
    out: &mut BytesMut,
) {
    out.put_slice(b"* ESEARCH (TAG ");
    quoted(tag.as_bytes(), out);
    out.put_u8(b')');
    if numbering == Numbering::Uid {
        out.put_slice(b" UID");
    }
    let one = |name: &[u8], value: u64, out: &mut BytesMut| {
        out.put_slice(name);
        number(value, out);
    };
    if let (Some(min), Some(max)) = (found.min(), found.max()) {
        if returns.min {
            one(b" MIN ", min.number().into(), out);
        }
        if returns.max {
            one(b" MAX ", max.number().into(), out);
        }
        if returns.all {
            out.put_slice(b" ALL ");
            found.write(out);
        }
    }
    if returns.count {
        one(b" COUNT ", found.count(), out);
    }
    if let Some(highest) = highest.filter(|_| !found.is_empty()) {
        one(b" MODSEQ ", highest.0, out);
    }
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::types::{SeqNum, Uid};

    fn text(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    #[test]
    fn plain() {
        let found: NumberSet<SeqNum> = [2, 84, 85].map(SeqNum).into_iter().collect();
        assert_eq!(
            text(|out| search(&found, None, out)),
            "* SEARCH 2 84 85\r\n"
        );
        let modseq = Some(ModSeq(917_162_500));
        assert_eq!(
            text(|out| search(&found, modseq, out)),
            "* SEARCH 2 84 85 (MODSEQ 917162500)\r\n"
        );
        let none = NumberSet::<Uid>::default();
        assert_eq!(text(|out| search(&none, modseq, out)), "* SEARCH\r\n");
    }

    #[test]
    fn extended() {
        let found: NumberSet<Uid> = [2, 10, 11].map(Uid).into_iter().collect();
        let every = Returns {
            min: true,
            max: true,
            all: true,
            count: true,
            save: true,
        };
        let all = text(|out| esearch("A282", Numbering::Uid, every, &found, Some(ModSeq(9)), out));
        assert_eq!(
            all,
            "* ESEARCH (TAG \"A282\") UID MIN 2 MAX 11 ALL 2,10:11 COUNT 3 MODSEQ 9\r\n"
        );
        let none = NumberSet::<SeqNum>::default();
        let empty = text(|out| {
            esearch(
                "a\\",
                Numbering::Sequence,
                every,
                &none,
                Some(ModSeq(9)),
                out,
            )
        });
        assert_eq!(empty, "* ESEARCH (TAG \"a\\\\\") COUNT 0\r\n");
    }
}
