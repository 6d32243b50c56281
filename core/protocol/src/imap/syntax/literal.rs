//! Where a line announces a literal (RFC 9051 section 4.3, RFC 7888, RFC 3516 section 4.4).

/// `{5}`, `{5+}`, `~{5}`: octets follow the line end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LiteralHeader {
    /// How many octets follow.
    pub octets: u64,
    /// The client waits for a continuation request before it sends them.
    pub synchronizing: bool,
    /// `literal8`: the octets may hold NUL.
    pub binary: bool,
}

impl LiteralHeader {
    /// The announcement at the end of a line without its CRLF, if there is one. A length that
    /// does not fit says `u64::MAX`, so that it meets the caller's limit.
    pub fn at_end(line: &[u8]) -> Option<Self> {
        let inner = line.strip_suffix(b"}")?;
        let (inner, synchronizing) = match inner.strip_suffix(b"+") {
            Some(inner) => (inner, false),
            None => (inner, true),
        };
        let digits = inner
            .iter()
            .rev()
            .take_while(|octet| octet.is_ascii_digit())
            .count();
        let (before, digits) = inner.split_at(inner.len() - digits);
        let before = before.strip_suffix(b"{")?;
        if digits.is_empty() {
            return None;
        }
        let octets = digits.iter().fold(0u64, |octets, digit| {
            octets
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        });
        Some(Self {
            octets,
            synchronizing,
            binary: before.ends_with(b"~"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(octets: u64, synchronizing: bool, binary: bool) -> Option<LiteralHeader> {
        Some(LiteralHeader {
            octets,
            synchronizing,
            binary,
        })
    }

    #[test]
    fn announcements() {
        let at_end = LiteralHeader::at_end;
        assert_eq!(at_end(b"A001 LOGIN {11}"), header(11, true, false));
        assert_eq!(at_end(b"A001 LOGIN {11+}"), header(11, false, false));
        assert_eq!(at_end(b"a APPEND x ~{7}"), header(7, true, true));
        assert_eq!(at_end(b"{0}"), header(0, true, false));
        for line in [
            &b"a NOOP"[..],
            b"{}",
            b"{+}",
            b"1}",
            b"{1} ",
            b"{-1}",
            b"{1+ }",
            b"}",
            b"",
        ] {
            assert_eq!(at_end(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_length_beyond_all_numbers_is_the_largest() {
        assert_eq!(
            LiteralHeader::at_end(b"{99999999999999999999999+}"),
            header(u64::MAX, false, false)
        );
    }
}
