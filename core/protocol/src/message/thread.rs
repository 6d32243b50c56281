//! What SORT and THREAD compare: base subjects and message identifiers (RFC 5256 section 2.1 and section 2.2).
//!
//! **Bounds.** One pass over the subject; [`SUBJECT_LIMIT`] octets of it and [`REFERENCES`] identifiers are kept.

use super::address_list::{self, AddressItem};
use super::encoded_word;

/// Octets of a base subject that are kept.
pub const SUBJECT_LIMIT: usize = 512;
/// Identifiers of a thread that are kept: the oldest, and the newest.
pub const REFERENCES: usize = 100;

/// A subject without what replying and forwarding put around it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BaseSubject {
    /// What is left, decoded; compare it without case (i;unicode-casemap).
    pub text: String,
    /// Whether something was removed that says reply or forward.
    pub reply: bool,
}

impl BaseSubject {
    /// Takes a raw subject down to its base.
    pub fn of(subject: &[u8]) -> Self {
        let decoded = encoded_word::decode(subject);
        // (1) Continuations and tabs are blanks, several are one.
        let words: Vec<_> = decoded
            .split([' ', '\t', '\r', '\n'])
            .filter(|word| !word.is_empty())
            .collect();
        let line = words.join(" ");
        let mut text = line.as_str();
        let mut reply = false;
        loop {
            // (2) Trailers.
            while let Some(rest) = strip_suffix(text.trim_end(), "(fwd)") {
                text = rest;
                reply = true;
            }
            text = text.trim();
            // (3) to (5) Leaders, and blobs that are not all there is.
            while let Some(rest) = without_leader(text) {
                text = rest;
                reply = true;
            }
            text = without_blobs(text);
            // (6) `[fwd: … ]` around all.
            let inside = strip_prefix(text, "[fwd:").and_then(|rest| rest.strip_suffix(']'));
            match inside {
                Some(inside) => {
                    text = inside.trim();
                    reply = true;
                }
                None => break,
            }
        }
        Self {
            text: truncated(text, SUBJECT_LIMIT).to_owned(),
            reply,
        }
    }
}

/// `subj-leader = (*subj-blob subj-refwd) / WSP`, where `subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`.
fn without_leader(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(after) = without_blob(rest) {
        rest = after;
    }
    let rest = ["re", "fwd", "fw"]
        .iter()
        .find_map(|prefix| strip_prefix(rest, prefix))?;
    let rest = rest.trim_start();
    let rest = without_blob(rest).unwrap_or(rest);
    rest.strip_prefix(':').map(str::trim_start)
}

/// Leaves the last blob where nothing but blobs is left. No leader follows them, since these are gone by now.
fn without_blobs(text: &str) -> &str {
    let mut left = text;
    while let Some(rest) = without_blob(left).filter(|rest| !rest.is_empty()) {
        left = rest;
    }
    left
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`, where a BLOBCHAR is no bracket.
fn without_blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    inside[end..].strip_prefix(']').map(str::trim_start)
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn strip_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(rest)
}

/// At most so many octets, cut between characters.
pub(super) fn truncated(text: &str, octets: usize) -> &str {
    &text[..text.floor_char_boundary(octets)]
}

/// The message identifiers in a `Message-ID`, `In-Reply-To` or `References`, with their quoting removed and
/// without their brackets, in their order. Words between them are passed by.
pub fn message_ids(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut rest = value;
    core::iter::from_fn(move || {
        loop {
            let start = memchr::memchr(b'<', rest)?;
            rest = &rest[start..];
            let end = memchr::memchr(b'>', rest)?;
            let (id, tail) = rest.split_at(end + 1);
            // `<a <b@c>`: the last opening bracket begins it.
            let from = memchr::memrchr(b'<', id).unwrap_or(0);
            rest = tail;
            let id = &id[from + 1..id.len() - 1];
            if let Some(id) = normal_id(id) {
                return Some(id);
            }
        }
    })
}

/// `id-left "@" id-right` without quoting, blanks and comments.
fn normal_id(id: &[u8]) -> Option<Vec<u8>> {
    let at = memchr::memrchr(b'@', id)?;
    if at == 0 || at + 1 == id.len() || id.len() > 998 {
        return None;
    }
    if !id
        .iter()
        .any(|octet| octet.is_ascii_whitespace() || b"\"\\()".contains(octet))
    {
        return Some(id.to_vec());
    }
    match address_list::parse(&[b"<", id, b">"].concat(), 1).0.pop()? {
        AddressItem::Mailbox { local, domain, .. } if !local.is_empty() && !domain.is_empty() => {
            Some([&local, &b"@"[..], &domain].concat())
        }
        _ => None,
    }
}

/// The ancestors of a message, the oldest first: those of `References`, else the first of `In-Reply-To`.
/// Of more than [`REFERENCES`] the first and the last are kept, since these tie a thread together.
pub fn references(references: Option<&[u8]>, in_reply_to: Option<&[u8]>) -> Vec<Vec<u8>> {
    let mut ids: Vec<_> = references.into_iter().flat_map(message_ids).collect();
    if ids.is_empty() {
        ids.extend(in_reply_to.into_iter().flat_map(message_ids).take(1));
    }
    if ids.len() > REFERENCES {
        ids.drain(1..ids.len() - REFERENCES + 1);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base(subject: &str) -> (String, bool) {
        let base = BaseSubject::of(subject.as_bytes());
        (base.text, base.reply)
    }

    #[test]
    fn base_subjects() {
        let cases = [
            ("plain", "plain", false),
            ("Re: a", "a", true),
            ("RE : a", "a", true),
            ("re[2]: Fwd: [list] a (fwd) (FWD)", "a", true),
            ("[foo] Fwd: [bar] Re: fw: b (fWd)  (fwd)", "b", true),
            ("b (a)", "b (a)", false),
            ("Re: [FWD: c]", "c", true),
            ("[fwd: Re: [x] d (fwd)]", "d", true),
            ("[xyz]", "[xyz]", false),
            ("[a] [b]", "[b]", false),
            ("Re:", "", true),
            ("Re: [x]", "[x]", true),
            ("  many   blanks\t here ", "many blanks here", false),
            ("Regarding: this", "Regarding: this", false),
            ("=?utf-8?q?Re:_=ED=95=9C?=", "한", true),
            ("Forward: x", "Forward: x", false),
            ("[[x]] y", "[[x]] y", false),
            ("", "", false),
        ];
        for (subject, text, reply) in cases {
            assert_eq!(base(subject), (text.to_owned(), reply), "{subject}");
        }
    }

    #[test]
    fn subject_floods_cost_one_pass() {
        for flood in [
            "re:",
            "[a]",
            "[fwd:",
            "(fwd)",
            "[",
            "re[",
            "[a]re[b]:",
            "[fwd:re:",
        ] {
            assert!(
                base(&flood.repeat(100_000)).0.len() <= SUBJECT_LIMIT,
                "{flood}"
            );
        }
        let wrapped = format!("{}x{}", "[fwd:".repeat(50_000), "]".repeat(50_000));
        assert_eq!(base(&wrapped), ("x".into(), true));
    }

    #[test]
    fn identifiers() {
        let ids = |value: &str| -> Vec<String> {
            message_ids(value.as_bytes())
                .map(|id| String::from_utf8_lossy(&id).into_owned())
                .collect()
        };
        assert_eq!(ids("<a@b> junk <\"c\"@d>\r\n <e@f"), ["a@b", "c@d"]);
        assert_eq!(ids("<nothing> <@b> <a@> <x <y@z>"), ["y@z"]);
        assert_eq!(ids("Ada's message of <1 Jan> <k@l>"), ["k@l"]);
        assert_eq!(ids(&"<".repeat(100_000)), [""; 0]);
    }

    #[test]
    fn references_fall_back_to_the_first_reply() {
        let id = |text: &str| text.as_bytes().to_vec();
        assert_eq!(
            references(Some(b"<a@b> <c@d>"), Some(b"<e@f>")),
            [id("a@b"), id("c@d")]
        );
        assert_eq!(references(Some(b"none"), Some(b"<e@f> <g@h>")), [id("e@f")]);
        assert_eq!(references(None, None), Vec::<Vec<u8>>::new());
        let many: String = (0..500).map(|number| format!("<{number}@x> ")).collect();
        let kept = references(Some(many.as_bytes()), None);
        assert_eq!(
            (kept.len(), kept.first(), kept.last()),
            (REFERENCES, Some(&id("0@x")), Some(&id("499@x")))
        );
    }

    proptest! {
        #[test]
        fn the_base_of_a_base_is_itself(subject in "(re|fwd?|\\[[a-c]{0,2}\\]|:| |x|\\(fwd\\)|\\[fwd:|\\]){0,12}") {
            let once = base(&subject).0;
            prop_assert_eq!(base(&once).0, once);
        }
    }
}
