//! LIST and LSUB (RFC 9051 section 6.3.9; RFC 3501 section 6.3.8 and section 6.3.9; RFC 5258; RFC 5819; RFC 6154).
//!
//! **Bounds.** At most [`PATTERNS`] patterns.

use super::args::{Args, Parsed, SyntaxError, expected};
use super::pattern::ListPattern;
use super::status::StatusItem;
use super::{ArgumentError, NameError};

/// Most patterns of one LIST.
pub const PATTERNS: usize = 50;

/// `list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]`
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Selection options.
    pub select: Select,
    /// Patterns with their reference; empty for `LIST "" ""`, which asks for the delimiter alone.
    pub patterns: Vec<ListPattern>,
    /// Return options.
    pub returns: Returns,
    /// Whether the command has anything beyond reference and pattern: then the response tells of children (RFC 5258).
    pub extended: bool,
}

/// `list-select-opts`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Select {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `REMOTE`
    pub remote: bool,
    /// `RECURSIVEMATCH`
    pub recursive_match: bool,
    /// `SPECIAL-USE`
    pub special_use: bool,
}

/// `list-return-opts`
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Returns {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `CHILDREN`
    pub children: bool,
    /// `SPECIAL-USE`
    pub special_use: bool,
    /// `STATUS (…)`; empty: no STATUS responses.
    pub status: Vec<StatusItem>,
}

impl List {
    /// Parses what follows `LIST`, to the end.
    ///
    /// # Errors
    /// `Syntax`; a pattern that is too long.
    pub fn parse(args: &mut Args<'_>) -> Result<Self, ArgumentError> {
        let mut list = Self::default();
        args.sp()?;
        if args.peek() == Some(b'(') {
            list.select = Select::parse(args)?;
            list.extended = true;
            args.sp()?;
        }
        let reference = args.astring()?;
        args.sp()?;
        let patterns = match args.peek() {
            Some(b'(') => {
                list.extended = true;
                let mut count = 0;
                args.parenthesised(|args| {
                    count += 1;
                    if count > PATTERNS {
                        return expected("at most 50 patterns");
                    }
                    args.list_mailbox()
                })?
            }
            _ => vec![args.list_mailbox()?],
        };
        if args.try_sp() {
            if !args.try_prefix("RETURN ") {
                return Err(SyntaxError { expected: "RETURN" }.into());
            }
            list.returns = Returns::parse(args)?;
            list.extended = true;
        }
        args.end()?;
        if !list.extended && patterns.iter().all(|pattern| pattern.is_empty()) {
            return Ok(list);
        }
        for pattern in patterns {
            list.patterns
                .push(self::pattern(&reference, &pattern, args)?);
        }
        Ok(list)
    }

    /// Parses what follows `LSUB`, to the end. It selects what is subscribed.
    ///
    /// # Errors
    /// `Syntax`; a pattern that is too long.
    pub fn parse_lsub(args: &mut Args<'_>) -> Result<Self, ArgumentError> {
        args.sp()?;
        let reference = args.astring()?;
        args.sp()?;
        let pattern = args.list_mailbox()?;
        args.end()?;
        let select = Select {
            subscribed: true,
            ..Select::default()
        };
        let pattern = self::pattern(&reference, &pattern, args)?;
        Ok(Self {
            select,
            patterns: vec![pattern],
            ..Self::default()
        })
    }
}

/// What is in no encoding of names matches none of them; asking is no error (RFC 9051 section 6.3.9).
fn pattern(
    reference: &[u8],
    pattern: &[u8],
    args: &Args<'_>,
) -> Result<ListPattern, ArgumentError> {
    match ListPattern::from_wire(reference, pattern, args.utf8()) {
        Err(NameError::Encoding) => Ok(ListPattern::nothing()),
        made => Ok(made?),
    }
}

impl Select {
    /// `"(" [list-select-opt *(SP list-select-opt)] ")"`
    fn parse(args: &mut Args<'_>) -> Parsed<Self> {
        let mut select = Self::default();
        args.parenthesised_or_empty(|args| {
            let option = match args.atom()?.to_ascii_uppercase().as_str() {
                "SUBSCRIBED" => &mut select.subscribed,
                "REMOTE" => &mut select.remote,
                "RECURSIVEMATCH" => &mut select.recursive_match,
                "SPECIAL-USE" => &mut select.special_use,
                _ => return expected("a selection option of LIST"),
            };
            *option = true;
            Ok(())
        })?;
        // RECURSIVEMATCH changes what another option selects, and REMOTE is none that it could change.
        if select.recursive_match && !select.subscribed && !select.special_use {
            return expected("an option that RECURSIVEMATCH can widen");
        }
        Ok(select)
    }
}

impl Returns {
    /// `"(" [return-option *(SP return-option)] ")"`
    fn parse(args: &mut Args<'_>) -> Parsed<Self> {
        let mut returns = Self::default();
        args.parenthesised_or_empty(|args| {
            let option = match args.atom()?.to_ascii_uppercase().as_str() {
                "SUBSCRIBED" => &mut returns.subscribed,
                "CHILDREN" => &mut returns.children,
                "SPECIAL-USE" => &mut returns.special_use,
                "STATUS" => {
                    args.sp()?;
                    returns.status = StatusItem::parse_list(args)?;
                    return Ok(());
                }
                _ => return expected("a return option of LIST"),
            };
            *option = true;
            Ok(())
        })?;
        Ok(returns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::Utf8;

    fn parse(text: &str) -> Result<List, ArgumentError> {
        List::parse(&mut Args::new(text.as_bytes(), Utf8::Off))
    }

    fn patterns(list: &List) -> Vec<&str> {
        list.patterns.iter().map(ListPattern::as_str).collect()
    }

    #[test]
    fn basic() {
        let list = parse(" \"~/Mail/\" %").expect("the RFC's example");
        assert_eq!(patterns(&list), ["~/Mail/%"]);
        assert!(!list.extended);
        let delimiter = parse(" \"\" \"\"").expect("asks for the delimiter");
        assert!(delimiter.patterns.is_empty());
        let list = parse(" \"\" {3}\r\na*b").expect("a literal");
        assert_eq!(patterns(&list), ["a*b"]);
    }

    #[test]
    fn extended() {
        let list = parse(" (SUBSCRIBED recursivematch) \"\" (\"INBOX\" Drafts Sent/%) RETURN (CHILDREN STATUS (MESSAGES UNSEEN) special-use)")
            .expect("options on both sides");
        assert!(list.extended && list.select.subscribed && list.select.recursive_match);
        assert_eq!(patterns(&list), ["INBOX", "Drafts", "Sent/%"]);
        assert!(list.returns.children && list.returns.special_use && !list.returns.subscribed);
        assert_eq!(
            list.returns.status,
            [StatusItem::Messages, StatusItem::Unseen]
        );
        let list = parse(" () \"\" \"*\" RETURN ()").expect("no options, but extended");
        assert!(list.extended && list.select == Select::default());
    }

    #[test]
    fn what_no_name_can_be_matches_nothing() {
        let list = parse(" \"\" (R&D* &Jjo)").expect("a question like others");
        assert_eq!(list.patterns.len(), 2);
        let names = ["R&D", "R", "INBOX", "&Jjo", ""];
        let found = |name: &&str| list.patterns.iter().any(|pattern| pattern.matches(name));
        assert_eq!(names.iter().find(|name| found(name)), None);
    }

    #[test]
    fn lsub() {
        let list = List::parse_lsub(&mut Args::new(b" \"#news.\" \"comp.mail.*\"", Utf8::Off))
            .expect("the RFC's example");
        assert_eq!(patterns(&list), ["#news.comp.mail.*"]);
        assert!(list.select.subscribed);
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            " \"\"",
            " \"\" ",
            " \"\" % ",
            " \"\" () ",
            " \"\" ()",
            " (FOO) \"\" %",
            " (RECURSIVEMATCH) \"\" %",
            " (REMOTE RECURSIVEMATCH) \"\" %",
            " \"\" % RETURN",
            " \"\" % RETURN (FOO)",
            " \"\" % RETURN (STATUS)",
            " \"\" % RETURN (STATUS ())",
            " \"\" % FOO ()",
            " (SUBSCRIBED)\"\" %",
            " %  %",
            " \"\" (a (b))",
        ] {
            assert!(
                matches!(parse(text), Err(ArgumentError::Syntax(_))),
                "{text}"
            );
        }
        let many = vec!["a"; PATTERNS + 1].join(" ");
        assert!(parse(&format!(" \"\" ({many})")).is_err());
        let long = "a".repeat(2000);
        let long = parse(&format!(" \"\" {long}"));
        assert!(matches!(long, Err(ArgumentError::Name(_))));
    }
}
