//! CREATE (RFC 9051 section 6.3.4, RFC 4466, RFC 6154 section 3).

use super::ArgumentError;
use super::args::{Args, Parsed, SyntaxError, expected};
use super::mailbox::MailboxName;
use crate::imap::types::SpecialUse;

/// `create = "CREATE" SP mailbox [SP "(" create-param *(SP create-param) ")"]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Create {
    /// Which mailbox; one `/` at the end is gone.
    pub mailbox: MailboxName,
    /// `USE (…)`
    pub uses: Vec<Use>,
}

/// `use-attr`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Use {
    /// One that a mailbox here can have.
    Known(SpecialUse),
    /// One that none can: the answer is `NO [USEATTR]`.
    Unknown,
}

impl Create {
    /// Parses what follows `CREATE`, to the end.
    ///
    /// # Errors
    /// `Syntax`; a name that no mailbox can have.
    pub fn parse(args: &mut Args<'_>) -> Result<Self, ArgumentError> {
        args.sp()?;
        let name = args.astring()?;
        let mut uses = Vec::new();
        if args.try_sp() {
            args.octet(b'(', "parameters of CREATE")?;
            if !args.try_prefix("USE ") {
                return Err(SyntaxError { expected: "USE" }.into());
            }
            uses = args.parenthesised_or_empty(use_attribute)?;
            args.octet(b')', "the end of the parameters")?;
        }
        args.end()?;
        Ok(Self {
            mailbox: MailboxName::to_create(&name, args.utf8())?,
            uses,
        })
    }
}

fn use_attribute(args: &mut Args<'_>) -> Parsed<Use> {
    args.octet(b'\\', "a special use")?;
    let name = args.atom().or(expected("a special use"))?;
    let known = SpecialUse::ALL
        .iter()
        .find(|(_, known)| known[1..].eq_ignore_ascii_case(name));
    Ok(known.map_or(Use::Unknown, |(special_use, _)| Use::Known(*special_use)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::{NameError, Utf8};

    fn parse(text: &str) -> Result<Create, ArgumentError> {
        Create::parse(&mut Args::new(text.as_bytes(), Utf8::Off))
    }

    #[test]
    fn forms() {
        assert_eq!(
            parse(" owatagusiam/")
                .expect("the RFC's example")
                .mailbox
                .as_str(),
            "owatagusiam"
        );
        let create =
            parse(" MyDrafts (USE (\\drafts \\Important))").expect("RFC 6154's, and one more");
        assert_eq!(create.uses, [Use::Known(SpecialUse::Drafts), Use::Unknown]);
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            " ",
            " a b",
            " a (USE)",
            " a (USE (Drafts))",
            " a (FOO (\\Drafts))",
            " a (USE (\\Drafts)",
            " a ()",
        ] {
            assert!(
                matches!(parse(text), Err(ArgumentError::Syntax(_))),
                "{text}"
            );
        }
        for text in [" \"\"", " /", " a//", " /a", " //"] {
            assert_eq!(parse(text).err(), Some(NameError::Empty.into()), "{text}");
        }
    }
}
