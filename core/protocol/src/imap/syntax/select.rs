//! SELECT and EXAMINE (RFC 9051 section 6.3.2, RFC 4466, RFC 7162 section 3.1.8 and section 3.2.5).

use super::ArgumentError;
use super::args::{Args, Parsed, expected};
use super::mailbox::MailboxName;
use super::sequence::SequenceSet;
use crate::imap::types::{ModSeq, UidValidity};

/// `select = ("SELECT" / "EXAMINE") SP mailbox [SP "(" select-param *(SP select-param) ")"]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Select {
    /// Which mailbox.
    pub mailbox: MailboxName,
    /// `CONDSTORE`
    pub condstore: bool,
    /// `QRESYNC (…)`
    pub qresync: Option<Resync>,
}

/// What a client knows of a mailbox (RFC 7162 section 3.2.5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resync {
    /// The UIDVALIDITY it knows.
    pub uid_validity: UidValidity,
    /// The highest modification sequence it knows.
    pub modseq: ModSeq,
    /// The UIDs it knows, if it says so.
    pub known: Option<SequenceSet>,
    /// Sequence numbers and their UIDs, which tell how far it is right.
    pub matched: Option<(SequenceSet, SequenceSet)>,
}

impl Select {
    /// Parses what follows `SELECT` or `EXAMINE`, to the end.
    ///
    /// # Errors
    /// `Syntax`; a name that no mailbox can have.
    pub fn parse(args: &mut Args<'_>) -> Result<Self, ArgumentError> {
        args.sp()?;
        let name = args.astring()?;
        let (mut condstore, mut qresync) = (false, None);
        if args.try_sp() {
            args.parenthesised(|args| match () {
                () if args.try_word("CONDSTORE") => {
                    condstore = true;
                    Ok(())
                }
                () if qresync.is_none() && args.try_prefix("QRESYNC ") => {
                    qresync = Some(Resync::parse(args)?);
                    Ok(())
                }
                () => expected("CONDSTORE or QRESYNC"),
            })?;
        }
        args.end()?;
        Ok(Self {
            mailbox: MailboxName::from_wire(&name, args.utf8())?,
            condstore,
            qresync,
        })
    }
}

impl Resync {
    /// `"(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"`
    fn parse(args: &mut Args<'_>) -> Parsed<Self> {
        args.octet(b'(', "an opening parenthesis")?;
        let uid_validity = UidValidity(args.nz_number()?.get());
        args.sp()?;
        let modseq = ModSeq(args.number64()?);
        if modseq.0 == 0 {
            return expected("a modification sequence from 1");
        }
        let mut resync = Self {
            uid_validity,
            modseq,
            known: None,
            matched: None,
        };
        let mut more = args.try_sp();
        if more && args.peek() != Some(b'(') {
            resync.known = Some(known_set(args)?);
            more = args.try_sp();
        }
        if more {
            args.octet(b'(', "sequence numbers and their UIDs")?;
            let sequence = known_set(args)?;
            args.sp()?;
            resync.matched = Some((sequence, known_set(args)?));
            args.octet(b')', "a closing parenthesis")?;
        }
        args.octet(b')', "a closing parenthesis")?;
        Ok(resync)
    }
}

/// A set without `*` and `$`, which nobody can know.
fn known_set(args: &mut Args<'_>) -> Parsed<SequenceSet> {
    match SequenceSet::parse(args)? {
        SequenceSet::Listed(listed) if !listed.has_star() => Ok(SequenceSet::Listed(listed)),
        _ => expected("a set without * and $"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::Utf8;

    fn parse(text: &str) -> Result<Select, ArgumentError> {
        Select::parse(&mut Args::new(text.as_bytes(), Utf8::Off))
    }

    #[test]
    fn forms() {
        let select = parse(" INBOX").expect("a name alone");
        assert!(select.mailbox.is_inbox() && !select.condstore && select.qresync.is_none());
        assert!(
            parse(" \"inbox\" (CONDSTORE)")
                .expect("RFC 7162's")
                .condstore
        );
        let select = parse(" INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))")
            .expect("RFC 7162's");
        let resync = select.qresync.expect("it says what it knows");
        assert_eq!(resync.uid_validity, UidValidity(67_890_007));
        assert_eq!(resync.modseq, ModSeq(90_060_115_194_045_000));
        assert!(resync.known.is_some() && resync.matched.is_none());
        let select =
            parse(" INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541 (1,3 41,43)))")
                .expect("with a match");
        assert!(
            select
                .qresync
                .is_some_and(|resync| resync.matched.is_some())
        );
        assert!(parse(" x (QRESYNC (1 2 (1 2)))").is_ok());
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            " ",
            " x ",
            " x y",
            " x ()",
            " x (FOO)",
            " x (CONDSTORE",
            " x (CONDSTORE) ",
            " x (QRESYNC)",
            " x (QRESYNC (1))",
            " x (QRESYNC (0 1))",
            " x (QRESYNC (1 0))",
            " x (QRESYNC (1 1 1:*))",
            " x (QRESYNC (1 1 $))",
            " x (QRESYNC (1 1 1 (1)))",
            " x (QRESYNC (1 1) QRESYNC (1 1))",
        ] {
            assert!(
                matches!(parse(text), Err(ArgumentError::Syntax(_))),
                "{text}"
            );
        }
    }
}
