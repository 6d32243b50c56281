//! Which `NO` a refused ask gets (RFC 9051 section 7.1, RFC 5530). Texts are fixed; details are in the log.

use super::code::Code;
use crate::imap::ask::Trouble;

/// What a missing mailbox means to a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Missing {
    /// It had to be there: `NONEXISTENT`.
    NonExistent,
    /// It is where messages should go: `TRYCREATE` (APPEND, COPY, MOVE).
    TryCreate,
}

/// The code, if there is one, and the text of the `NO`.
pub fn refusal(trouble: Trouble, missing: Missing) -> (Option<Code>, &'static str) {
    match trouble {
        Trouble::NonExistent => match missing {
            Missing::NonExistent => (Some(Code::NonExistent), "no such mailbox"),
            Missing::TryCreate => (Some(Code::TryCreate), "no such mailbox"),
        },
        Trouble::NoSelect => (Some(Code::NonExistent), "mailbox cannot be selected"),
        Trouble::AlreadyExists => (Some(Code::AlreadyExists), "mailbox exists already"),
        Trouble::HasChildren => (Some(Code::HasChildren), "mailbox has children"),
        Trouble::Use(why) => (Some(Code::UseAttr), why),
        Trouble::Cannot(why) => (Some(Code::Cannot), why),
        Trouble::Limit(which) => (Some(Code::Limit), which),
        Trouble::OverQuota => (Some(Code::OverQuota), "quota exceeded"),
        Trouble::Expunged => (Some(Code::ExpungeIssued), "some messages are gone"),
        Trouble::Damaged => (Some(Code::Corruption), "some messages are damaged"),
        Trouble::UnknownTransferEncoding => (Some(Code::UnknownCte), "part cannot be decoded"),
        Trouble::Unavailable => (Some(Code::Unavailable), "try again later"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_destination_may_be_created() {
        let no = refusal(Trouble::NonExistent, Missing::TryCreate);
        assert_eq!(no, (Some(Code::TryCreate), "no such mailbox"));
        let no = refusal(Trouble::NonExistent, Missing::NonExistent);
        assert_eq!(no.0, Some(Code::NonExistent));
        let no = refusal(
            Trouble::Limit("at most 10000 mailboxes"),
            Missing::NonExistent,
        );
        assert_eq!(no, (Some(Code::Limit), "at most 10000 mailboxes"));
    }
}
