//! How we understand a line: what the session asks for, and what the parsers read where it asks for nothing.

use std::fmt;

use postrider_protocol::imap::ask::{Access, Ask, CopyMode};
use postrider_protocol::imap::syntax::charset::Charset;
use postrider_protocol::imap::syntax::fetch::{Fetch, FetchItem, SectionName, Seen};
use postrider_protocol::imap::syntax::list::List;
use postrider_protocol::imap::syntax::pattern::ListPattern;
use postrider_protocol::imap::syntax::search::{DateOf, Search, SearchKey, When};
use postrider_protocol::imap::syntax::section::{Partial, Section, SectionText};
use postrider_protocol::imap::syntax::sequence::{Listed, SequenceSet};
use postrider_protocol::imap::syntax::status::{Status, StatusItem};
use postrider_protocol::imap::syntax::store::Store;
use postrider_protocol::imap::syntax::{
    Args, ArgumentError, Command, MailboxName, Numbering, Utf8,
};
use postrider_protocol::imap::types::{SeqNum, Uid};
use postrider_protocol::sasl::Credentials;

use super::Meaning;
use crate::client::{Heard, State, say};

/// A sequence number that no message has is named.
pub const BEYOND: &str = "BEYOND";
/// Sets of a search are looked at with so many messages, and with so many.
pub const FEW: u32 = 9;
/// All that there can be.
pub const MANY: u32 = u32::MAX;

/// Octets, as a text with escapes.
pub struct Octets<'a>(pub &'a [u8]);

impl fmt::Debug for Octets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// What the line means; none if it is refused.
pub fn meaning(state: State, line: &[u8]) -> Meaning {
    let heard = say(state, line);
    let is_beyond = heard.whole && heard.is_beyond();
    if !is_beyond && !heard.is_taken() {
        return None;
    }
    let command = Command::parse(line.strip_suffix(b"\r\n")?, Utf8::Off).ok()?;
    let tag = command.tag;
    Some(format!("{tag} {}", body(&heard, command)))
}

fn body(heard: &Heard, mut command: Command<'_>) -> String {
    let uid = command.numbering == Numbering::Uid;
    let name = command.name.to_ascii_uppercase();
    let args = &mut command.args;
    let mut first = String::new();
    match (&heard.ask, name.as_str()) {
        (Some(Ask::Authenticate(credentials)), "LOGIN") => login(Some(credentials)),
        (None, "LOGIN") => login(None),
        (
            Some(Ask::Open {
                mailbox, access, ..
            }),
            _,
        ) => {
            let verb = match access {
                Access::ReadWrite => "SELECT",
                Access::ReadOnly => "EXAMINE",
            };
            format!("{verb} {}", named(Some(mailbox)))
        }
        // The mailbox before is left all the same.
        (Some(Ask::Leave), "SELECT" | "EXAMINE") => format!("{name} NO"),
        (Some(Ask::Create { mailbox, .. }), _) => format!("CREATE {}", named(Some(mailbox))),
        (Some(Ask::Delete { mailbox }), _) => format!("DELETE {}", named(Some(mailbox))),
        (Some(Ask::Rename { from, to }), _) => {
            format!("RENAME {} {}", named(Some(from)), named(Some(to)))
        }
        (
            Some(Ask::Subscribe {
                mailbox,
                subscribed,
            }),
            _,
        ) => {
            let verb = match subscribed {
                true => "SUBSCRIBE",
                false => "UNSUBSCRIBE",
            };
            format!("{verb} {}", named(Some(mailbox)))
        }
        (Some(Ask::Status { mailbox }), "GETQUOTAROOT") => {
            format!("GETQUOTAROOT {}", named(Some(mailbox)))
        }
        (ask, "STATUS") => {
            let mailbox = match ask {
                Some(Ask::Status { mailbox }) => Some(mailbox),
                _ => None,
            };
            let items = match Status::parse(&mut args.clone()) {
                Ok(status) => item_names(&status.items),
                // The name stands before the list, and is looked at behind it.
                Err(_) => status_items(args),
            };
            format!("STATUS {} {items}", named(mailbox))
        }
        (Some(Ask::Quota), "GETQUOTA") => quota(true),
        (None, "GETQUOTA") => quota(false),
        (_, "LIST") => {
            let list = List::parse(args);
            match list.as_ref().map(|list| list.patterns.first()) {
                Ok(None) => "LIST".to_owned(),
                Ok(some) => format!("LIST {}", pattern(some)),
                Err(_) => format!("LIST {}", pattern(None)),
            }
        }
        (_, "LSUB") => {
            let list = List::parse_lsub(args);
            let some = list.as_ref().ok().and_then(|list| list.patterns.first());
            format!("LSUB {}", pattern(some))
        }
        (ask, "APPEND") => match ask {
            Some(Ask::Append {
                mailbox,
                flags: list,
                internal_date,
            }) => format!(
                "APPEND {} {} {internal_date:?} {:?}",
                named(Some(mailbox)),
                flag_list(list),
                Octets(&heard.spooled)
            ),
            _ => "APPEND NO".to_owned(),
        },
        (ask, "COPY" | "MOVE") => {
            let (uids, to) = match ask {
                Some(Ask::Copy { uids, to, mode }) => {
                    assert_eq!(*mode == CopyMode::Move, name == "MOVE");
                    (uids.as_slice(), Some(to))
                }
                _ => (&[][..], None),
            };
            // Where no message is named, or the name is refused, nothing is asked.
            let to = to.cloned().or_else(|| destination(args));
            let messages = match heard.is_beyond() {
                true => BEYOND.to_owned(),
                false if uids.is_empty() => self::messages(args, uid),
                false => list(uids),
            };
            format!("{}{name} {messages} {}", prefix(uid), named(to.as_ref()))
        }
        (ask, "EXPUNGE") if uid => {
            let uids = match ask {
                Some(Ask::Expunge { uids: Some(uids) }) => uids.as_slice(),
                _ => &[],
            };
            format!("EXPUNGE {}", list(uids))
        }
        (ask, "STORE") => {
            let uids = match ask {
                Some(Ask::Store { uids, .. }) => uids.as_slice(),
                _ => &[],
            };
            let Ok(store) = Store::parse(args) else {
                return "a STORE that only the session takes".to_owned();
            };
            if let Some(Ask::Store { mode, flags, .. }) = ask {
                assert!(*mode == store.mode && *flags == store.flags, "{ask:?}");
            }
            let messages = match heard.is_beyond() {
                true => BEYOND.to_owned(),
                false => list(uids),
            };
            format!(
                "{}STORE {messages} {:?} {:?} {}",
                prefix(uid),
                store.mode,
                store.echo,
                flag_list(&store.flags)
            )
        }
        (_, "FETCH") => {
            let Ok(fetch) = Fetch::parse(args) else {
                return "a FETCH that only the session takes".to_owned();
            };
            first.push_str(&match heard.is_beyond() {
                true => BEYOND.to_owned(),
                false => resolved(&fetch.set, uid),
            });
            let items: Vec<String> = fetch.items.iter().map(item).collect();
            format!("{}FETCH {first} {}", prefix(uid), items.join(", "))
        }
        (_, "SEARCH") => match Search::parse(args) {
            Ok(search) => format!("{}SEARCH {}", prefix(uid), key(&search.key)),
            Err(ArgumentError::Charset { .. }) => format!("{}SEARCH NO", prefix(uid)),
            Err(error) => format!("a SEARCH that only the session takes: {error}"),
        },
        (
            None,
            "SELECT" | "EXAMINE" | "CREATE" | "DELETE" | "RENAME" | "SUBSCRIBE" | "UNSUBSCRIBE"
            | "GETQUOTAROOT",
        ) => {
            assert!(heard.is_refused(), "{heard:?}");
            format!("{name} NO")
        }
        (_, name) => name.to_owned(),
    }
}

/// LOGIN, as far as the names and passwords can be any.
fn login(credentials: Option<&Credentials>) -> String {
    match credentials {
        None => "LOGIN NO".to_owned(),
        Some(it) => format!(
            "LOGIN {:?} {:?}",
            Octets(it.user.as_bytes()),
            Octets(it.password.expose())
        ),
    }
}

/// LOGIN with these words.
pub fn login_with(user: &[u8], password: &[u8]) -> String {
    login(Credentials::new("LOGIN", b"", user, password).ok().as_ref())
}

/// A name, or that there can be none such.
pub fn named(name: Option<&MailboxName>) -> String {
    match name {
        Some(name) => format!("{:?}", name.as_str()),
        None => "NO".to_owned(),
    }
}

/// GETQUOTA of the root, or of another.
pub fn quota(root: bool) -> String {
    format!("GETQUOTA {root}")
}

/// A pattern with its reference. INBOX is INBOX in any letters, and the other reader says which it takes for it.
pub fn pattern(pattern: Option<&ListPattern>) -> String {
    match pattern.map(ListPattern::as_str) {
        None | Some("\0") => "NO".to_owned(),
        Some(text) => match text.split_at_checked("INBOX".len()) {
            Some((inbox, rest)) if inbox.eq_ignore_ascii_case("INBOX") => {
                format!("{:?}", format!("INBOX{rest}"))
            }
            _ => format!("{text:?}"),
        },
    }
}

pub fn prefix(uid: bool) -> &'static str {
    match uid {
        true => "UID ",
        false => "",
    }
}

/// Flags by their names: system flags in their order, then keywords, each once.
pub fn flags(names: &[String]) -> String {
    let mut names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let (mut system, keywords): (Vec<_>, Vec<_>) =
        names.drain(..).partition(|name| name.starts_with('\\'));
    system.sort();
    system.dedup();
    for keyword in keywords {
        if !system.contains(&keyword) {
            system.push(keyword);
        }
    }
    format!("({})", system.join(" "))
}

fn flag_list(list: &postrider_protocol::imap::syntax::flag::FlagList) -> String {
    use postrider_protocol::imap::syntax::flag::SYSTEM_FLAGS;
    let system = SYSTEM_FLAGS
        .iter()
        .filter(|(flag, _)| list.system.contains(*flag));
    let system = system.map(|(_, name)| (*name).to_owned());
    let keywords = list.keywords.iter().map(ToString::to_string);
    flags(&system.chain(keywords).collect::<Vec<_>>())
}

/// One key for all of these.
pub fn and(mut keys: Vec<String>) -> String {
    match keys.len() {
        1 => keys.remove(0),
        _ => format!("AND({})", keys.join("; ")),
    }
}

pub fn is_known_charset(name: &str) -> bool {
    Charset::of(name.as_bytes()).is_some()
}

fn list(uids: &[Uid]) -> String {
    let uids: Vec<u32> = uids.iter().map(|uid| uid.0).collect();
    format!("{uids:?}")
}

fn status_items(args: &Args<'_>) -> String {
    let mut args = args.clone();
    let items = args.sp().ok().and_then(|()| {
        args.astring().ok()?;
        args.sp().ok()?;
        StatusItem::parse_list(&mut args).ok()
    });
    item_names(&items.unwrap_or_default())
}

fn item_names(items: &[StatusItem]) -> String {
    let names: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
    names.join(" ")
}

fn set_and_name(args: &Args<'_>) -> Option<(SequenceSet, Option<MailboxName>)> {
    let mut args = args.clone();
    args.sp().ok()?;
    let set = SequenceSet::parse(&mut args).ok()?;
    args.sp().ok()?;
    Some((set, args.mailbox().ok()))
}

fn destination(args: &Args<'_>) -> Option<MailboxName> {
    set_and_name(args)?.1
}

fn messages(args: &Args<'_>, uid: bool) -> String {
    match set_and_name(args) {
        Some((SequenceSet::Listed(listed), _))
            if !uid && listed.largest_written() > crate::client::MESSAGES =>
        {
            BEYOND.to_owned()
        }
        Some((set, _)) => resolved(&set, uid),
        None => "no set".to_owned(),
    }
}

/// The UIDs of the messages that a set names.
fn resolved(set: &SequenceSet, uid: bool) -> String {
    use crate::client::{MESSAGES, uid as uid_of};
    let SequenceSet::Listed(listed) = set else {
        return "$".to_owned();
    };
    let uids: Vec<u32> = match uid {
        true => {
            let set = listed.resolve(Uid(uid_of(MESSAGES)));
            (1..=MESSAGES)
                .map(uid_of)
                .filter(|it| set.contains(Uid(*it)))
                .collect()
        }
        false => {
            let set = listed.resolve(SeqNum(MESSAGES));
            (1..=MESSAGES)
                .filter(|it| set.contains(SeqNum(*it)))
                .map(uid_of)
                .collect()
        }
    };
    format!("{uids:?}")
}

fn in_search(set: &SequenceSet) -> String {
    let SequenceSet::Listed(listed) = set else {
        return "$".to_owned();
    };
    let with = |listed: &Listed, largest| listed.resolve(SeqNum(largest)).to_string();
    format!("{}/{}", with(listed, FEW), with(listed, MANY))
}

fn item(item: &FetchItem) -> String {
    let cut = |partial: &Option<Partial>| match partial {
        Some(Partial { offset, octets }) => format!("<{offset}.{octets}>"),
        None => String::new(),
    };
    let peek = |seen: &Seen| match seen {
        Seen::Peek => ".PEEK",
        Seen::Set => "",
    };
    match item {
        FetchItem::Section {
            section,
            partial,
            seen,
            name: SectionName::Body,
        } => {
            format!(
                "BODY{}[{}]{}",
                peek(seen),
                self::section(section),
                cut(partial)
            )
        }
        FetchItem::Section {
            name: SectionName::Rfc822,
            ..
        } => "RFC822".to_owned(),
        FetchItem::Section {
            name: SectionName::Rfc822Header,
            ..
        } => "RFC822.HEADER".to_owned(),
        FetchItem::Section {
            name: SectionName::Rfc822Text,
            ..
        } => "RFC822.TEXT".to_owned(),
        FetchItem::Binary {
            part,
            partial,
            seen,
        } => {
            format!("BINARY{}[{}]{}", peek(seen), levels(part), cut(partial))
        }
        FetchItem::BinarySize { part } => format!("BINARY.SIZE[{}]", levels(part)),
        FetchItem::Size => "RFC822.SIZE".to_owned(),
        FetchItem::InternalDate => "INTERNALDATE".to_owned(),
        FetchItem::BodyStructure => "BODYSTRUCTURE".to_owned(),
        other => format!("{other:?}").to_ascii_uppercase(),
    }
}

fn levels(part: &[u32]) -> String {
    let levels: Vec<String> = part.iter().map(ToString::to_string).collect();
    levels.join(".")
}

fn section(section: &Section) -> String {
    let names = |fields: &[String]| {
        let names: Vec<String> = fields
            .iter()
            .map(|it| format!("{:?}", Octets(it.as_bytes())))
            .collect();
        format!(" ({})", names.join(" "))
    };
    let text = match &section.text {
        SectionText::All => String::new(),
        SectionText::Header => "HEADER".to_owned(),
        SectionText::HeaderFields(fields) => "HEADER.FIELDS".to_owned() + &names(fields),
        SectionText::HeaderFieldsNot(fields) => "HEADER.FIELDS.NOT".to_owned() + &names(fields),
        SectionText::Text => "TEXT".to_owned(),
        SectionText::Mime => "MIME".to_owned(),
    };
    let part = levels(&section.part);
    match part.is_empty() || text.is_empty() {
        true => part + &text,
        false => format!("{part}.{text}"),
    }
}

fn key(search: &SearchKey) -> String {
    let text = |name: &str, text: &str| format!("{name} {:?}", Octets(text.as_bytes()));
    match search {
        SearchKey::All => "ALL".to_owned(),
        SearchKey::And(keys) => and(keys.iter().map(key).collect()),
        SearchKey::Or(one, other) => format!("OR({}; {})", key(one), key(other)),
        SearchKey::Not(inner) => format!("NOT({})", key(inner)),
        SearchKey::Sequence(set) => format!("SEQ {}", in_search(set)),
        SearchKey::Uid(set) => format!("UID {}", in_search(set)),
        SearchKey::Flag(flag) => {
            let mut all = postrider_protocol::imap::syntax::flag::SYSTEM_FLAGS.iter();
            all.find(|(known, _)| known == flag)
                .map_or("", |(_, name)| name)
                .to_owned()
        }
        SearchKey::Keyword(keyword) => format!("KEYWORD {}", keyword.as_str().to_ascii_lowercase()),
        SearchKey::Recent => "RECENT".to_owned(),
        SearchKey::Address { field, text: it } => text(&format!("ADDRESS {field}"), it),
        SearchKey::Header { field, text: it } => {
            text(&format!("HEADER {:?}", Octets(field.as_bytes())), it)
        }
        SearchKey::Body(it) => text("BODY", it),
        SearchKey::Text(it) => text("TEXT", it),
        SearchKey::Larger(octets) => format!("LARGER {octets}"),
        SearchKey::Smaller(octets) => format!("SMALLER {octets}"),
        SearchKey::Date { of, is, day } => {
            let of = match of {
                DateOf::Arrival => "Arrival",
                DateOf::Sent => "Sent",
                DateOf::Saved => "Saved",
            };
            let is = match is {
                When::Before => "Before",
                When::On => "On",
                When::Since => "Since",
            };
            let (year, month, day) = day.parts();
            format!("{of} {is} {year:04}-{month}-{day}")
        }
        other => format!("{other:?}"),
    }
}
