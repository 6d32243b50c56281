//! Reads what an IMAP session said, as a client that takes the grammar at its word.

/// One response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// Its text without CRLF and without the octets of its literals.
    pub text: String,
}

impl Response {
    /// All of them.
    pub fn all(said: &[u8]) -> Vec<Self> {
        let (mut responses, mut text, mut rest) = (Vec::new(), Vec::new(), said);
        while !rest.is_empty() {
            let end = rest
                .windows(2)
                .position(|pair| pair == b"\r\n")
                .expect("a line's end");
            let (line, after) = (&rest[..end], &rest[end + 2..]);
            assert!(
                !line.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n')),
                "NUL, CR or LF outside of a literal"
            );
            text.extend_from_slice(line);
            rest = after;
            if let Some(octets) = literal(line) {
                assert!(
                    octets <= rest.len(),
                    "a literal is announced that does not come"
                );
                let open = line.iter().rposition(|octet| *octet == b'{');
                let eight = open.is_some_and(|open| line[..open].ends_with(b"~"));
                assert!(
                    eight || !rest[..octets].contains(&0),
                    "NUL in a literal that is no literal8"
                );
                rest = &rest[octets..];
                assert!(
                    !rest.is_empty(),
                    "a response that ends with a literal's octets"
                );
                continue;
            }
            let text = String::from_utf8(std::mem::take(&mut text)).expect("responses are UTF-8");
            responses.push(Self { text });
        }
        assert!(text.is_empty(), "half a response");
        responses
    }

    /// Whether it is `+`.
    pub fn is_continuation(&self) -> bool {
        self.text.starts_with("+ ")
    }

    /// The tag, if it ends a command; `*` for one that could not be read.
    pub fn ends(&self) -> Option<&str> {
        let (tag, rest) = self.text.split_once(' ').expect("a response of two words");
        let untagged_end = tag == "*" && rest.starts_with("BAD");
        (untagged_end || !matches!(tag, "*" | "+")).then_some(tag)
    }

    /// Number and word of `* 3 EXISTS`.
    pub fn numbered(&self) -> Option<(u32, &str)> {
        let (number, rest) = self.text.strip_prefix("* ")?.split_once(' ')?;
        let word = rest.split(' ').next()?;
        Some((number.parse().ok()?, word))
    }
}

/// The octets of the literal that a line announces.
fn literal(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}")?;
    let open = line.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(&line[open + 1..]).ok()?.parse().ok()
}
