//! The differences that are decided, each by the RFC.

use super::{Compared, ours};
use crate::client::State;

/// A difference between the two readers.
pub struct Difference {
    /// What it is about, who is right, and where that stands.
    pub what: &'static str,
    /// Whether a difference is of this kind; it gets the line as text.
    is: fn(&Compared, &str) -> bool,
    /// Lines where the two differ so.
    pub examples: &'static [(State, &'static str)],
}

/// The decision, if there is one.
pub fn decided(compared: &Compared) -> Option<&'static Difference> {
    let text = String::from_utf8_lossy(&compared.line);
    let mut all = ALL.iter();
    all.find(|difference| (difference.is)(compared, &text))
}

pub const ALL: &[Difference] = &[
    Difference {
        what: "`nz-number = digit-nz *DIGIT` (RFC 9051 section 9): there are no leading zeros, as we have it",
        is: |compared, text| {
            // A name behind the numbers may begin with a zero.
            let plain = |count| without_leading_zeros(text, count);
            let same =
                |line: String| ours::meaning(compared.state, line.as_bytes()) == compared.theirs;
            only_theirs(compared) && (1..=numbers(text).count()).any(|count| same(plain(count)))
        },
        examples: &[
            (State::Selected, "FETCH 01 FLAGS"),
            (State::Selected, "SEARCH UID 1:09"),
            (State::Selected, "COPY 1:01,10:1 01'!AA"),
            (State::Selected, "FETCH 1 BODY[1.02]<0.01>"),
        ],
    },
    Difference {
        what: "`number64`, `partial` (RFC 9051 section 9): octets are counted below 2^63, as we have it, and no longer below 2^32",
        is: |compared, text| {
            only_ours(compared) && numbers(text).any(|number| number > u64::from(u32::MAX))
        },
        examples: &[
            (State::Selected, "SEARCH LARGER 4294967296"),
            (State::Selected, "FETCH 1 BODY[]<4294967296.1>"),
        ],
    },
    Difference {
        what: "`flag-extension = \"\\\" atom` (RFC 9051 section 9): none is defined, so none can be kept; they are right by the letter. \
               `\\Recent` is no `flag`, and we are right",
        is: |compared, text| {
            const KNOWN: [&str; 5] = ["\\answered", "\\deleted", "\\draft", "\\flagged", "\\seen"];
            let text = text.to_ascii_lowercase();
            let mut words = text.split(['(', ')', ' ', '\r']);
            only_theirs(compared)
                && words.any(|word| word.starts_with('\\') && !KNOWN.contains(&word))
        },
        examples: &[
            (State::Selected, "STORE 1 FLAGS (\\Foo)"),
            (State::Selected, "STORE 1 +FLAGS \\Recent"),
            (State::Selected, "APPEND a (\\SeenX) {1+}\r\nx"),
        ],
    },
    Difference {
        what: "`status`, `fetch` (RFC 9051 section 9): a list has at least one item, as we have it",
        is: |compared, text| {
            let text = text.to_ascii_uppercase();
            only_theirs(compared)
                && text.contains("()")
                && (text.contains("STATUS ") || text.contains("FETCH "))
        },
        examples: &[
            (State::Selected, "STATUS a ()"),
            (State::Selected, "FETCH 1 ()"),
        ],
    },
    Difference {
        what: "`QUOTED-CHAR` before login: names and passwords are UTF-8, and nobody can ENABLE anything before LOGIN (RFC 9051 \
               section 5.1); they are right by the letter of RFC 3501",
        is: |compared, text| {
            only_ours(compared) && compared.state == State::Before && !text.is_ascii()
        },
        examples: &[(State::Before, "LOGIN \"\u{e9}\" secret")],
    },
    Difference {
        what: "`charset` was an `astring` (RFC 3501 section 9) before it was `atom / quoted` (RFC 9051 section 9): we speak both",
        is: |compared, text| {
            let charset = charset(text);
            only_ours(compared)
                && charset.is_some_and(|name| name.contains(']') || name.starts_with('{'))
        },
        examples: &[
            (State::Selected, "SEARCH CHARSET a]b ALL"),
            (State::Selected, "SEARCH CHARSET {5+}\r\nUTF-8 ALL"),
        ],
    },
    Difference {
        what: "`initial-resp = base64 / \"=\"` (RFC 4959 section 3): one without octets is `=`, as we have it",
        is: |compared, text| {
            only_theirs(compared) && is_authenticate(text) && text.ends_with(" \r\n")
        },
        examples: &[(State::Before, "AUTHENTICATE PLAIN ")],
    },
    Difference {
        what: "`base64` of a mechanism that is not offered: it is refused with NO before anything is decoded",
        is: |compared, text| {
            let offered = [" PLAIN ", " LOGIN "];
            let text = text.to_ascii_uppercase();
            only_ours(compared)
                && is_authenticate(&text)
                && !offered.iter().any(|name| text.contains(name))
        },
        examples: &[(State::Before, "AUTHENTICATE X-NONE a")],
    },
    Difference {
        what: "`date-year = 4DIGIT`: there was no year 0, as we have it; they are right by the letter",
        is: |compared, text| only_theirs(compared) && text.contains("-0000"),
        examples: &[(State::Selected, "SEARCH ON 1-Jan-0000")],
    },
    Difference {
        what: "`zone = (\"+\" / \"-\") 4DIGIT` is hhmm (RFC 9051 section 9): no hour has 60 minutes, as we have it",
        is: |compared, text| only_theirs(compared) && zones(text).any(|zone| zone % 100 > 59),
        examples: &[(
            State::Selected,
            "APPEND a \" 1-Jan-2020 00:00:00 +0060\" {1+}\r\nx",
        )],
    },
    Difference {
        what: "`zone`: it may be up to 99 hours away (RFC 5322 section 3.3), as we have it, however odd",
        is: |compared, text| only_ours(compared) && zones(text).any(|zone| zone >= 2400),
        examples: &[(
            State::Selected,
            "APPEND a \" 1-Jan-2020 00:00:00 +3000\" {1+}\r\nx",
        )],
    },
    Difference {
        what: "`time`: a leap second is one (RFC 5322 section 3.3), as we have it",
        is: |compared, text| only_ours(compared) && text.contains(":60 "),
        examples: &[(
            State::Selected,
            "APPEND a \"31-Dec-2016 23:59:60 +0000\" {1+}\r\nx",
        )],
    },
];

fn only_ours(compared: &Compared) -> bool {
    compared.ours.is_some() && compared.theirs.is_none()
}

fn only_theirs(compared: &Compared) -> bool {
    compared.ours.is_none() && compared.theirs.is_some()
}

fn is_authenticate(text: &str) -> bool {
    text.split(' ')
        .nth(1)
        .is_some_and(|verb| verb.eq_ignore_ascii_case("AUTHENTICATE"))
}

/// The zones of dates in a line.
fn zones(text: &str) -> impl Iterator<Item = u32> {
    text.split(' ').filter_map(|word| {
        let zone = word.strip_prefix(['+', '-'])?.strip_suffix('"')?;
        zone.parse().ok().filter(|_| zone.len() == 4)
    })
}

/// The numbers in a line.
fn numbers(text: &str) -> impl Iterator<Item = u64> {
    let digits = text.split(|c: char| !c.is_ascii_digit());
    digits.filter_map(|digits| digits.parse().ok())
}

/// The charset that a search names.
fn charset(text: &str) -> Option<&str> {
    let at = text.to_ascii_uppercase().find(" CHARSET ")? + " CHARSET ".len();
    text[at..].split(' ').next()
}

/// The first numbers, so many of them, in their usual form.
fn without_leading_zeros(text: &str, count: usize) -> String {
    let mut out = String::new();
    let mut rest = text;
    for _ in 0..count {
        let Some(at) = rest.find(|c: char| c.is_ascii_digit()) else {
            break;
        };
        let inside_word = rest[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        out.push_str(&rest[..at]);
        let end = rest[at..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(rest.len(), |end| at + end);
        let digits = &rest[at..end];
        let plain = digits.trim_start_matches('0');
        out.push_str(match () {
            () if inside_word => digits,
            () if plain.is_empty() => "0",
            () => plain,
        });
        rest = &rest[end..];
    }
    out + rest
}
