//! LIST and LSUB (RFC 9051 section 7.3.1; RFC 3501 section 7.2.3; RFC 5258; RFC 6154).

use bytes::{BufMut, BytesMut};

use crate::imap::syntax::{MailboxName, Utf8};
use crate::imap::types::SpecialUse;

/// Which response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listing {
    /// `LIST`
    List,
    /// `LSUB` (RFC 3501)
    Lsub,
}

/// `mbx-list-flags`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attribute {
    /// `\NonExistent`: only the name is known. It says `\Noselect` too, which never stands beside it (RFC 9051 section 9,
    /// `mbx-list-flags`).
    NonExistent,
    /// `\Noselect`
    NoSelect,
    /// `\Noinferiors`
    NoInferiors,
    /// `\HasChildren`
    HasChildren,
    /// `\HasNoChildren`
    HasNoChildren,
    /// `\Marked`
    Marked,
    /// `\Unmarked`
    Unmarked,
    /// `\Subscribed`
    Subscribed,
    /// `\Archive`, `\Drafts`, …
    Special(SpecialUse),
}

impl Attribute {
    fn name(self) -> &'static str {
        match self {
            Attribute::NonExistent => "\\NonExistent",
            Attribute::NoSelect => "\\Noselect",
            Attribute::NoInferiors => "\\Noinferiors",
            Attribute::HasChildren => "\\HasChildren",
            Attribute::HasNoChildren => "\\HasNoChildren",
            Attribute::Marked => "\\Marked",
            Attribute::Unmarked => "\\Unmarked",
            Attribute::Subscribed => "\\Subscribed",
            Attribute::Special(special_use) => {
                let mut all = SpecialUse::ALL.iter();
                all.find(|(known, _)| *known == special_use)
                    .map_or("", |(_, name)| name)
            }
        }
    }
}

/// What may follow the name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Extended<'a> {
    /// Nothing.
    #[default]
    None,
    /// `CHILDINFO`: names below are selected by these options (RECURSIVEMATCH).
    Below {
        /// `SUBSCRIBED`
        subscribed: bool,
        /// `SPECIAL-USE`
        special_use: bool,
    },
    /// `OLDNAME`: it was renamed, or the client wrote its name in another spelling.
    OldName(&'a MailboxName),
}

/// Writes `* LIST (\HasNoChildren) "/" name`.
pub fn list(
    listing: Listing,
    attributes: &[Attribute],
    name: &MailboxName,
    extended: Extended<'_>,
    utf8: Utf8,
    out: &mut BytesMut,
) {
    out.put_slice(match listing {
        Listing::List => b"* LIST (",
        Listing::Lsub => b"* LSUB (",
    });
    super::flags::join(attributes.iter().map(|attribute| attribute.name()), out);
    out.put_slice(b") \"/\" ");
    name.write(utf8, out);
    match extended {
        Extended::None => {}
        Extended::Below {
            subscribed,
            special_use,
        } => {
            out.put_slice(b" (\"CHILDINFO\" (");
            let options = [
                (subscribed, "\"SUBSCRIBED\""),
                (special_use, "\"SPECIAL-USE\""),
            ];
            let given = options.into_iter().filter(|(given, _)| *given);
            super::flags::join(given.map(|(_, name)| name), out);
            out.put_slice(b"))");
        }
        Extended::OldName(old) => {
            out.put_slice(b" (\"OLDNAME\" (");
            old.write(utf8, out);
            out.put_slice(b"))");
        }
    }
    out.put_slice(b"\r\n");
}

/// Writes the response to `LIST "" ""`: the delimiter alone.
pub fn delimiter(out: &mut BytesMut) {
    out.put_slice(b"* LIST (\\Noselect) \"/\" \"\"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(attributes: &[Attribute], name: &str, extended: Extended<'_>, utf8: Utf8) -> String {
        let mut out = BytesMut::new();
        let name = MailboxName::new(name).expect("a name");
        list(Listing::List, attributes, &name, extended, utf8, &mut out);
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    #[test]
    fn forms() {
        let attributes = [
            Attribute::HasNoChildren,
            Attribute::Special(SpecialUse::Sent),
        ];
        assert_eq!(
            written(&attributes, "Sent Items", Extended::None, Utf8::Off),
            "* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent Items\"\r\n"
        );
        assert_eq!(
            written(&[], "휴지통", Extended::None, Utf8::Off),
            "* LIST () \"/\" &1zTJwNG1-\r\n"
        );
        assert_eq!(
            written(&[], "휴지통", Extended::None, Utf8::On),
            "* LIST () \"/\" \"휴지통\"\r\n"
        );
        assert_eq!(
            written(
                &[],
                "Foo",
                Extended::Below {
                    subscribed: true,
                    special_use: false
                },
                Utf8::On
            ),
            "* LIST () \"/\" Foo (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
        );
        let old = MailboxName::new("a b").expect("a name");
        assert_eq!(
            written(
                &[Attribute::NonExistent],
                "c",
                Extended::OldName(&old),
                Utf8::On
            ),
            "* LIST (\\NonExistent) \"/\" c (\"OLDNAME\" (\"a b\"))\r\n"
        );
        let mut out = BytesMut::new();
        delimiter(&mut out);
        assert_eq!(&out[..], b"* LIST (\\Noselect) \"/\" \"\"\r\n");
    }
}
