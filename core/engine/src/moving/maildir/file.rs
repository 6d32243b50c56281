//! Names of messages: `<base>[:2,<flags>]`, flags in the order of ASCII.

/// The name of a message's file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FileName {
    /// What it keeps whatever its flags are.
    pub base: Vec<u8>,
    /// Its flags: system flags as bits of the index, and letters of keywords.
    pub flags: u64,
    /// Letters `a` to `z`.
    pub letters: Vec<u8>,
}

/// Letters of system flags, and their bits in the index.
const SYSTEM: [(u8, u64); 5] = [
    (b'D', 1 << 4),
    (b'F', 1 << 2),
    (b'R', 1 << 1),
    (b'S', 1),
    (b'T', 1 << 3),
];

impl FileName {
    /// Reads a name. Letters that mean nothing here, such as `P`, are passed over.
    pub fn parse(name: &[u8]) -> FileName {
        let Some(at) = name.iter().position(|it| *it == b':') else {
            return FileName {
                base: name.to_vec(),
                ..FileName::default()
            };
        };
        let mut parsed = FileName {
            base: name[..at].to_vec(),
            ..FileName::default()
        };
        // Whatever comes behind the next comma is not a flag.
        let flags = name[at + 1..].strip_prefix(b"2,").unwrap_or_default();
        for letter in flags.split(|it| *it == b',').next().unwrap_or_default() {
            match SYSTEM.iter().find(|(it, _)| it == letter) {
                Some((_, bit)) => parsed.flags |= bit,
                None if letter.is_ascii_lowercase() && !parsed.letters.contains(letter) => {
                    parsed.letters.push(*letter);
                }
                None => {}
            }
        }
        parsed.letters.sort_unstable();
        parsed
    }

    /// Writes the name with its flags.
    pub fn write(&self) -> Vec<u8> {
        let mut name = self.base.clone();
        name.extend_from_slice(b":2,");
        for (letter, bit) in SYSTEM {
            if self.flags & bit != 0 {
                name.push(letter);
            }
        }
        name.extend_from_slice(&self.letters);
        name
    }

    /// The size that the name tells (`,S=`).
    pub fn size(&self) -> Option<u64> {
        let mut fields = self.base.split(|it| *it == b',').skip(1);
        let size = fields.find_map(|it| it.strip_prefix(b"S="))?;
        std::str::from_utf8(size).ok()?.parse().ok()
    }

    /// Where a message without UID stands among others: by the seconds in its name.
    pub fn order(&self) -> u64 {
        let digits = self.base.iter().take_while(|it| it.is_ascii_digit());
        digits
            .take(18)
            .fold(0, |all, it| all * 10 + u64::from(it - b'0'))
    }
}
