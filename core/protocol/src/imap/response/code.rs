//! Response codes (RFC 9051 section 7.1; RFC 3501; RFC 4315; RFC 7162; RFC 8438; RFC 8474; RFC 9208; RFC 3516; RFC 6154).

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use super::flags;
use super::string::number;
use crate::imap::syntax::NumberSet;
use crate::imap::types::{Flags, ModSeq, SeqNum, Uid, UidValidity};

/// `resp-text-code`
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Code {
    /// `ALERT`: the text must be shown to the user.
    Alert,
    /// `ALREADYEXISTS`
    AlreadyExists,
    /// `APPENDUID`
    AppendUid {
        /// Of the mailbox appended to.
        uid_validity: UidValidity,
        /// Of the messages, in the order they were appended.
        uids: NumberSet<Uid>,
    },
    /// `AUTHENTICATIONFAILED`
    AuthenticationFailed,
    /// `AUTHORIZATIONFAILED`
    AuthorizationFailed,
    /// `BADCHARSET` with the charsets that work best.
    BadCharset,
    /// `CANNOT`
    Cannot,
    /// `CAPABILITY` with what follows the word.
    Capability(Cow<'static, str>),
    /// `CLIENTBUG`
    ClientBug,
    /// `CLOSED`: what follows is of the newly selected mailbox.
    Closed,
    /// `CONTACTADMIN`
    ContactAdmin,
    /// `COPYUID`
    CopyUid {
        /// Of the mailbox copied to.
        uid_validity: UidValidity,
        /// UIDs there and then, rising.
        from: NumberSet<Uid>,
        /// UIDs here and now, rising, in the same order.
        to: NumberSet<Uid>,
    },
    /// `CORRUPTION`
    Corruption,
    /// `EXPIRED`
    Expired,
    /// `EXPUNGEISSUED`
    ExpungeIssued,
    /// `HASCHILDREN`
    HasChildren,
    /// `HIGHESTMODSEQ`
    HighestModSeq(ModSeq),
    /// `INUSE`
    InUse,
    /// `LIMIT`
    Limit,
    /// `MAILBOXID`, made of letters, digits, `-` and `_`.
    MailboxId(String),
    /// `MODIFIED` with sequence numbers.
    Modified(NumberSet<SeqNum>),
    /// `MODIFIED` with UIDs.
    ModifiedUids(NumberSet<Uid>),
    /// `NOMODSEQ`
    NoModSeq,
    /// `NONEXISTENT`
    NonExistent,
    /// `NOPERM`
    NoPerm,
    /// `NOTSAVED`
    NotSaved,
    /// `OVERQUOTA`
    OverQuota,
    /// `PARSE`
    Parse,
    /// `PERMANENTFLAGS`
    PermanentFlags {
        /// System flags that can be changed for good.
        flags: Flags,
        /// Keywords that can.
        keywords: Vec<String>,
        /// Whether new keywords can be made (`\*`).
        new_keywords: bool,
    },
    /// `PRIVACYREQUIRED`
    PrivacyRequired,
    /// `READ-ONLY`
    ReadOnly,
    /// `READ-WRITE`
    ReadWrite,
    /// `SERVERBUG`
    ServerBug,
    /// `TOOBIG`
    TooBig,
    /// `TRYCREATE`
    TryCreate,
    /// `UIDNEXT`
    UidNext(Uid),
    /// `UIDNOTSTICKY`
    UidNotSticky,
    /// `UIDVALIDITY`
    UidValidity(UidValidity),
    /// `UNAVAILABLE`
    Unavailable,
    /// `UNKNOWN-CTE`
    UnknownCte,
    /// `UNSEEN` (RFC 3501)
    Unseen(SeqNum),
    /// `USEATTR`
    UseAttr,
}

impl Code {
    /// Writes the code with its brackets.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_u8(b'[');
        out.put_slice(self.name().as_bytes());
        self.write_arguments(out);
        out.put_u8(b']');
    }

    fn name(&self) -> &'static str {
        match self {
            Code::Alert => "ALERT",
            Code::AlreadyExists => "ALREADYEXISTS",
            Code::AppendUid { .. } => "APPENDUID",
            Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Code::BadCharset => "BADCHARSET",
            Code::Cannot => "CANNOT",
            Code::Capability(_) => "CAPABILITY",
            Code::ClientBug => "CLIENTBUG",
            Code::Closed => "CLOSED",
            Code::ContactAdmin => "CONTACTADMIN",
            Code::CopyUid { .. } => "COPYUID",
            Code::Corruption => "CORRUPTION",
            Code::Expired => "EXPIRED",
            Code::ExpungeIssued => "EXPUNGEISSUED",
            Code::HasChildren => "HASCHILDREN",
            Code::HighestModSeq(_) => "HIGHESTMODSEQ",
            Code::InUse => "INUSE",
            Code::Limit => "LIMIT",
            Code::MailboxId(_) => "MAILBOXID",
            Code::Modified(_) | Code::ModifiedUids(_) => "MODIFIED",
            Code::NoModSeq => "NOMODSEQ",
            Code::NonExistent => "NONEXISTENT",
            Code::NoPerm => "NOPERM",
            Code::NotSaved => "NOTSAVED",
            Code::OverQuota => "OVERQUOTA",
            Code::Parse => "PARSE",
            Code::PermanentFlags { .. } => "PERMANENTFLAGS",
            Code::PrivacyRequired => "PRIVACYREQUIRED",
            Code::ReadOnly => "READ-ONLY",
            Code::ReadWrite => "READ-WRITE",
            Code::ServerBug => "SERVERBUG",
            Code::TooBig => "TOOBIG",
            Code::TryCreate => "TRYCREATE",
            Code::UidNext(_) => "UIDNEXT",
            Code::UidNotSticky => "UIDNOTSTICKY",
            Code::UidValidity(_) => "UIDVALIDITY",
            Code::Unavailable => "UNAVAILABLE",
            Code::UnknownCte => "UNKNOWN-CTE",
            Code::Unseen(_) => "UNSEEN",
            Code::UseAttr => "USEATTR",
        }
    }

    fn write_arguments(&self, out: &mut BytesMut) {
        let one = |value: u64, out: &mut BytesMut| {
            out.put_u8(b' ');
            number(value, out);
        };
        match self {
            Code::AppendUid { uid_validity, uids } => {
                one(uid_validity.0.into(), out);
                out.put_u8(b' ');
                uids.write(out);
            }
            Code::BadCharset => out.put_slice(b" (US-ASCII UTF-8)"),
            Code::Capability(list) => {
                out.put_u8(b' ');
                out.put_slice(list.as_bytes());
            }
            Code::CopyUid {
                uid_validity,
                from,
                to,
            } => {
                one(uid_validity.0.into(), out);
                out.put_u8(b' ');
                from.write(out);
                out.put_u8(b' ');
                to.write(out);
            }
            Code::HighestModSeq(modseq) => one(modseq.0, out),
            Code::MailboxId(id) => {
                out.put_slice(b" (");
                out.put_slice(id.as_bytes());
                out.put_u8(b')');
            }
            Code::Modified(set) => {
                out.put_u8(b' ');
                set.write(out);
            }
            Code::ModifiedUids(set) => {
                out.put_u8(b' ');
                set.write(out);
            }
            Code::PermanentFlags {
                flags,
                keywords,
                new_keywords,
            } => {
                out.put_slice(b" (");
                let names = flags::names(*flags | all_of(keywords), keywords);
                let any_more = new_keywords.then_some("\\*");
                flags::join(names.chain(any_more), out);
                out.put_u8(b')');
            }
            Code::UidNext(uid) => one(uid.0.into(), out),
            Code::UidValidity(uid_validity) => one(uid_validity.0.into(), out),
            Code::Unseen(seq) => one(seq.0.into(), out),
            _ => {}
        }
    }
}

/// The flags of all these keywords.
fn all_of(keywords: &[String]) -> Flags {
    let mut all = Flags::NONE;
    for n in 0..keywords.len().min(flags::KEYWORDS) {
        all = all | Flags::keyword(n);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(code: &Code) -> String {
        let mut out = BytesMut::new();
        code.write(&mut out);
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    fn uids(uids: impl IntoIterator<Item = u32>) -> NumberSet<Uid> {
        uids.into_iter().map(Uid).collect()
    }

    #[test]
    fn forms() {
        let uid_validity = UidValidity(38_505);
        for (code, wire) in [
            (Code::Alert, "[ALERT]"),
            (
                Code::AppendUid {
                    uid_validity,
                    uids: uids([3955]),
                },
                "[APPENDUID 38505 3955]",
            ),
            (Code::BadCharset, "[BADCHARSET (US-ASCII UTF-8)]"),
            (
                Code::Capability("IMAP4rev2 IDLE".into()),
                "[CAPABILITY IMAP4rev2 IDLE]",
            ),
            (
                Code::CopyUid {
                    uid_validity,
                    from: uids([304, 319, 320]),
                    to: uids([3956, 3957, 3958]),
                },
                "[COPYUID 38505 304,319:320 3956:3958]",
            ),
            (
                Code::HighestModSeq(ModSeq(715_194_045_007)),
                "[HIGHESTMODSEQ 715194045007]",
            ),
            (
                Code::MailboxId("F2212ea87".into()),
                "[MAILBOXID (F2212ea87)]",
            ),
            (
                Code::Modified([7, 9].map(SeqNum).into_iter().collect()),
                "[MODIFIED 7,9]",
            ),
            (Code::ModifiedUids(uids([7, 8])), "[MODIFIED 7:8]"),
            (Code::ReadOnly, "[READ-ONLY]"),
            (Code::UidNext(Uid(4392)), "[UIDNEXT 4392]"),
            (Code::UidValidity(uid_validity), "[UIDVALIDITY 38505]"),
            (Code::UnknownCte, "[UNKNOWN-CTE]"),
            (Code::Unseen(SeqNum(12)), "[UNSEEN 12]"),
        ] {
            assert_eq!(written(&code), wire);
        }
        let permanent = |flags, keywords: &[&str], new_keywords| Code::PermanentFlags {
            flags,
            keywords: keywords.iter().map(|name| (*name).to_owned()).collect(),
            new_keywords,
        };
        let deleted_and_seen = Flags::DELETED | Flags::SEEN;
        assert_eq!(
            written(&permanent(deleted_and_seen, &[], true)),
            "[PERMANENTFLAGS (\\Seen \\Deleted \\*)]"
        );
        assert_eq!(
            written(&permanent(Flags::NONE, &[], false)),
            "[PERMANENTFLAGS ()]"
        );
        assert_eq!(
            written(&permanent(Flags::SEEN, &["$Forwarded", "Work"], false)),
            "[PERMANENTFLAGS (\\Seen $Forwarded Work)]"
        );
    }
}
