//! STATUS (RFC 9051 section 6.3.11; RFC 3501 section 6.3.10; RFC 7162; RFC 7889; RFC 8474).

use super::ArgumentError;
use super::args::{Args, Parsed, expected};
use super::mailbox::MailboxName;

/// `status-att`
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StatusItem {
    /// `MESSAGES`
    Messages,
    /// `UIDNEXT`
    UidNext,
    /// `UIDVALIDITY`
    UidValidity,
    /// `UNSEEN`
    Unseen,
    /// `DELETED`
    Deleted,
    /// `SIZE`
    Size,
    /// `RECENT` (RFC 3501)
    Recent,
    /// `HIGHESTMODSEQ` (RFC 7162)
    HighestModSeq,
    /// `APPENDLIMIT` (RFC 7889)
    AppendLimit,
    /// `MAILBOXID` (RFC 8474)
    MailboxId,
}

impl StatusItem {
    /// All items with their names.
    pub const ALL: [(StatusItem, &'static str); 10] = [
        (StatusItem::Messages, "MESSAGES"),
        (StatusItem::UidNext, "UIDNEXT"),
        (StatusItem::UidValidity, "UIDVALIDITY"),
        (StatusItem::Unseen, "UNSEEN"),
        (StatusItem::Deleted, "DELETED"),
        (StatusItem::Size, "SIZE"),
        (StatusItem::Recent, "RECENT"),
        (StatusItem::HighestModSeq, "HIGHESTMODSEQ"),
        (StatusItem::AppendLimit, "APPENDLIMIT"),
        (StatusItem::MailboxId, "MAILBOXID"),
    ];

    /// `"(" status-att *(SP status-att) ")"`; each is kept once.
    ///
    /// # Errors
    /// `Syntax`.
    pub fn parse_list(args: &mut Args<'_>) -> Parsed<Vec<StatusItem>> {
        let mut items = Vec::new();
        args.parenthesised(|args| {
            let name = args.atom()?;
            let known = Self::ALL
                .iter()
                .find(|(_, known)| known.eq_ignore_ascii_case(name));
            let Some((item, _)) = known else {
                return expected("a STATUS item");
            };
            if !items.contains(item) {
                items.push(*item);
            }
            Ok(())
        })?;
        Ok(items)
    }
}

/// `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Status {
    /// Of which mailbox.
    pub mailbox: MailboxName,
    /// Which items.
    pub items: Vec<StatusItem>,
}

impl Status {
    /// Parses what follows `STATUS`, to the end.
    ///
    /// # Errors
    /// `Syntax`; a name that no mailbox can have.
    pub fn parse(args: &mut Args<'_>) -> Result<Self, ArgumentError> {
        args.sp()?;
        let name = args.astring()?;
        args.sp()?;
        let items = StatusItem::parse_list(args)?;
        args.end()?;
        let mailbox = MailboxName::from_wire(&name, args.utf8())?;
        Ok(Self { mailbox, items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::{NameError, Utf8};

    fn parse(text: &str) -> Result<Status, ArgumentError> {
        Status::parse(&mut Args::new(text.as_bytes(), Utf8::Off))
    }

    #[test]
    fn forms() {
        let status = parse(" blurdybloop (UIDNEXT MESSAGES uidnext)").expect("the RFC's example");
        assert_eq!(status.mailbox.as_str(), "blurdybloop");
        assert_eq!(status.items, [StatusItem::UidNext, StatusItem::Messages]);
        for (item, name) in StatusItem::ALL {
            assert_eq!(
                parse(&format!(" \"inbox\" ({name})")).expect(name).items,
                [item]
            );
        }
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            " x",
            " x ",
            " x ()",
            " x (FOO)",
            " x MESSAGES",
            " x (MESSAGES",
            " x (MESSAGES) ",
            " x  (MESSAGES)",
            " x (MESSAGES  SIZE)",
        ] {
            assert!(
                matches!(parse(text), Err(ArgumentError::Syntax(_))),
                "{text}"
            );
        }
        assert_eq!(
            parse(" ../x (MESSAGES)").err(),
            Some(NameError::Dots.into())
        );
    }
}
