//! Flags as clients write them (RFC 9051 section 2.3.2).
//!
//! System flags become bits, keywords stay names until a mailbox gives them numbers. `\Recent` cannot be changed
//! and is refused, and so is every other flag with a backslash that we do not know.
//! **Bounds.** A keyword has at most [`KEYWORD_LENGTH`] octets, a list at most [`FLAG_LIMIT`] flags.

use std::fmt;

use super::args::{Args, Parsed, expected};
use crate::imap::types::Flags;

/// Longest keyword, in octets.
pub const KEYWORD_LENGTH: usize = 200;

/// Most flags in one list.
pub const FLAG_LIMIT: usize = 200;

/// The system flags and their names, by bit.
pub const SYSTEM_FLAGS: [(Flags, &str); 5] = [
    (Flags::SEEN, "\\Seen"),
    (Flags::ANSWERED, "\\Answered"),
    (Flags::FLAGGED, "\\Flagged"),
    (Flags::DELETED, "\\Deleted"),
    (Flags::DRAFT, "\\Draft"),
];

/// The name of a keyword: an atom. Two that differ in case alone are equal; the first spelling is kept.
#[derive(Clone, Debug)]
pub struct Keyword(String);

impl Keyword {
    /// The keyword of this name, if an atom can be it.
    pub fn new(name: &str) -> Option<Self> {
        let mut args = Args::new(name.as_bytes(), super::Utf8::Off);
        let keyword = Self::parse(&mut args).ok()?;
        args.is_empty().then_some(keyword)
    }

    /// `flag-keyword = "$MDNSent" / "$Forwarded" / … / atom`
    ///
    /// # Errors
    /// `Syntax`: no atom, or one longer than [`KEYWORD_LENGTH`].
    pub fn parse(args: &mut Args<'_>) -> Parsed<Self> {
        let name = args.atom().or(expected("a flag"))?;
        if name.len() > KEYWORD_LENGTH {
            return expected("a keyword of at most 200 octets");
        }
        Ok(Self(name.into()))
    }

    /// The name, as it was first spelled.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsRef<str> for Keyword {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Flags that a command sets, adds or removes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FlagList {
    /// System flags.
    pub system: Flags,
    /// Keywords, each once.
    pub keywords: Vec<Keyword>,
}

impl FlagList {
    /// `flag-list = "(" [flag *(SP flag)] ")"`
    ///
    /// # Errors
    /// `Syntax`, also for `\Recent`, unknown flags with a backslash and too many flags.
    pub fn parse(args: &mut Args<'_>) -> Parsed<Self> {
        let mut list = Self::default();
        let mut count = 0;
        args.parenthesised_or_empty(|args| {
            count += 1;
            if count > FLAG_LIMIT {
                return expected("at most 200 flags");
            }
            list.take(args)
        })?;
        Ok(list)
    }

    /// `store-att-flags = … (flag-list / (flag *(SP flag)))`
    ///
    /// # Errors
    /// As [`FlagList::parse`].
    pub fn parse_bare(args: &mut Args<'_>) -> Parsed<Self> {
        if args.peek() == Some(b'(') {
            return Self::parse(args);
        }
        let mut list = Self::default();
        for _ in 0..FLAG_LIMIT {
            list.take(args)?;
            if !args.try_sp() {
                return Ok(list);
            }
        }
        expected("at most 200 flags")
    }

    /// Whether there is no flag in it.
    pub fn is_empty(&self) -> bool {
        self.system == Flags::NONE && self.keywords.is_empty()
    }

    fn take(&mut self, args: &mut Args<'_>) -> Parsed<()> {
        if args.peek() == Some(b'\\') {
            let known = SYSTEM_FLAGS.iter().find(|(_, name)| args.try_word(name));
            let Some((flag, _)) = known else {
                return expected("a system flag that can be changed");
            };
            self.system = self.system | *flag;
            return Ok(());
        }
        let keyword = Keyword::parse(args)?;
        if !self.keywords.contains(&keyword) {
            self.keywords.push(keyword);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::{SyntaxError, Utf8};
    use proptest::prelude::*;

    fn parse(text: &str) -> Parsed<FlagList> {
        let mut args = Args::new(text.as_bytes(), Utf8::Off);
        let list = FlagList::parse_bare(&mut args)?;
        args.end()?;
        Ok(list)
    }

    fn names(list: &FlagList) -> Vec<&str> {
        list.keywords.iter().map(Keyword::as_str).collect()
    }

    #[test]
    fn lists() {
        let list = parse("(\\Seen $Forwarded \\dElEtEd Work $forwarded)").expect("flags");
        assert_eq!(list.system, Flags::SEEN | Flags::DELETED);
        assert_eq!(names(&list), ["$Forwarded", "Work"]);
        assert!(parse("()").expect("no flags").is_empty());
        let bare = parse("\\Flagged NonJunk").expect("flags");
        assert_eq!(
            (bare.system, names(&bare)),
            (Flags::FLAGGED, vec!["NonJunk"])
        );
    }

    #[test]
    fn what_is_no_flag() {
        for text in [
            "(\\Recent)",
            "(\\Foo)",
            "(\\SeenX)",
            "(\\*)",
            "\\",
            "( \\Seen)",
            "(\\Seen )",
            "(\\Seen  x)",
            "(a",
            "a)",
            "",
            "\"a\"",
            "(a]b)",
            "(a (b))",
            "(a\\Seen)",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let long = "k".repeat(KEYWORD_LENGTH);
        assert!(parse(&long).is_ok() && parse(&format!("{long}k")).is_err());
        assert_eq!(Keyword::new("a b"), None);
        assert_eq!(Keyword::new("\\Seen"), None);
    }

    #[test]
    fn a_list_has_an_end() {
        let many = vec!["x"; FLAG_LIMIT + 1].join(" ");
        let error = SyntaxError {
            expected: "at most 200 flags",
        };
        assert_eq!(parse(&many), Err(error));
        assert_eq!(parse(&format!("({many})")), Err(error));
    }

    proptest! {
        #[test]
        fn any_octets_are_taken_or_refused(text in "[(\\\\)a$ {}\"\\]Seen]{0,20}") {
            if let Ok(list) = parse(&text) {
                for (n, keyword) in list.keywords.iter().enumerate() {
                    prop_assert!(!list.keywords[..n].contains(keyword));
                }
            }
        }
    }
}
