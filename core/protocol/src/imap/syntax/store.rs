//! STORE (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).

use super::args::{Args, Parsed, expected};
use super::flag::FlagList;
use super::sequence::SequenceSet;
use crate::imap::types::{ModSeq, StoreMode};

/// `store = "STORE" SP sequence-set [SP store-modifiers] SP store-att-flags`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Store {
    /// Of which messages.
    pub set: SequenceSet,
    /// `UNCHANGEDSINCE`: pass over messages changed after this.
    pub unchanged_since: Option<ModSeq>,
    /// Set, add or remove.
    pub mode: StoreMode,
    /// Whether the client wants the new flags.
    pub echo: Echo,
    /// Which flags.
    pub flags: FlagList,
}

/// Whether the client wants untagged FETCH responses with the new flags.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Echo {
    /// It does.
    Flags,
    /// It does not (`.SILENT`).
    Silent,
}

impl Store {
    /// Parses what follows `STORE`, to the end.
    ///
    /// # Errors
    /// `Syntax`.
    pub fn parse(args: &mut Args<'_>) -> Parsed<Self> {
        args.sp()?;
        let set = SequenceSet::parse(args)?;
        args.sp()?;
        let unchanged_since = match args.peek() {
            Some(b'(') => {
                let since = unchanged_since(args)?;
                args.sp()?;
                Some(since)
            }
            _ => None,
        };
        let mode = match args.peek() {
            Some(b'+') => StoreMode::Add,
            Some(b'-') => StoreMode::Remove,
            _ => StoreMode::Replace,
        };
        if mode != StoreMode::Replace {
            args.take_while(|octet| matches!(octet, b'+' | b'-'), "one sign")
                .and_then(|sign| match sign.len() {
                    1 => Ok(()),
                    _ => expected("one sign"),
                })?;
        }
        let echo = match () {
            () if args.try_word("FLAGS") => Echo::Flags,
            () if args.try_word("FLAGS.SILENT") => Echo::Silent,
            () => return expected("FLAGS or FLAGS.SILENT"),
        };
        args.sp()?;
        let flags = FlagList::parse_bare(args)?;
        args.end()?;
        Ok(Self {
            set,
            unchanged_since,
            mode,
            echo,
            flags,
        })
    }
}

/// `"(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"`
fn unchanged_since(args: &mut Args<'_>) -> Parsed<ModSeq> {
    args.octet(b'(', "a modifier")?;
    if !args.try_word("UNCHANGEDSINCE") {
        return expected("UNCHANGEDSINCE");
    }
    args.sp()?;
    let since = args.number64()?;
    args.octet(b')', "the end of the modifiers")?;
    Ok(ModSeq(since))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::Utf8;
    use crate::imap::types::Flags;

    fn parse(text: &str) -> Parsed<Store> {
        Store::parse(&mut Args::new(text.as_bytes(), Utf8::Off))
    }

    #[test]
    fn forms() {
        let store = parse(" 2:4 +FLAGS (\\Deleted)").expect("the RFC's example");
        assert_eq!((store.mode, store.echo), (StoreMode::Add, Echo::Flags));
        assert_eq!(store.flags.system, Flags::DELETED);
        let store = parse(" 7,5,9 (UNCHANGEDSINCE 320162338) +flags.silent (\\Deleted)")
            .expect("RFC 7162's");
        assert_eq!(store.unchanged_since, Some(ModSeq(320_162_338)));
        assert_eq!(store.echo, Echo::Silent);
        let store = parse(" $ -FLAGS a b").expect("flags without parentheses");
        assert_eq!(
            (store.mode, store.flags.keywords.len()),
            (StoreMode::Remove, 2)
        );
        let store = parse(" 1 FLAGS ()").expect("no flags");
        assert!(store.mode == StoreMode::Replace && store.flags.is_empty());
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            " 1",
            " 1 FLAGS",
            " 1 FLAGS ",
            " 1 FLAGS () ",
            " 1 FLAGS  ()",
            " 1 FLAG ()",
            " 1 ++FLAGS ()",
            " 1 +-FLAGS ()",
            " 1 FLAGSX ()",
            " 1 FLAGS.SILENTLY ()",
            " 0 FLAGS ()",
            " 1 (UNCHANGEDSINCE) FLAGS ()",
            " 1 (UNCHANGEDSINCE 1 2) FLAGS ()",
            " 1 () FLAGS ()",
            " 1 FLAGS (\\Recent)",
            "1 FLAGS ()",
            " 1 + FLAGS ()",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
