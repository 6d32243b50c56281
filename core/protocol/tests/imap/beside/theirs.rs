//! How `imap-codec` understands a line.

use std::fmt::Write;

use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::{AString, Charset, IString};
use imap_codec::imap_types::datetime::NaiveDate;
use imap_codec::imap_types::extensions::binary::LiteralOrLiteral8;
use imap_codec::imap_types::fetch::{
    MacroOrMessageDataItemNames, MessageDataItemName, Part, Section,
};
use imap_codec::imap_types::flag::{Flag, StoreResponse, StoreType};
use imap_codec::imap_types::mailbox::{ListMailbox, Mailbox};
use imap_codec::imap_types::search::SearchKey;
use imap_codec::imap_types::sequence::{SeqOrUid, Sequence, SequenceSet};
use imap_codec::imap_types::status::StatusDataItemName;
use postrider_protocol::imap::syntax::pattern::ListPattern;
use postrider_protocol::imap::syntax::{MailboxName, Utf8};

use super::Meaning;
use super::ours::{self, Octets, named};
use crate::client::MESSAGES;

/// What the line means; none if it is refused.
pub fn meaning(line: &[u8]) -> Meaning {
    let (rest, command) = CommandCodec::default().decode(line).ok()?;
    if !rest.is_empty() {
        return None;
    }
    Some(format!("{} {}", command.tag.inner(), body(&command.body)))
}

fn body(body: &CommandBody<'_>) -> String {
    match body {
        CommandBody::Login { username, password } => {
            ours::login_with(astring(username), astring(password.declassify()))
        }
        CommandBody::Select { mailbox } => format!("SELECT {}", name(mailbox)),
        CommandBody::Examine { mailbox } => format!("EXAMINE {}", name(mailbox)),
        CommandBody::Create { mailbox } => {
            let made = MailboxName::to_create(&wire(mailbox), Utf8::Off).ok();
            let made = made.filter(|name| !name.is_inbox());
            format!("CREATE {}", named(made.as_ref()))
        }
        CommandBody::Delete { mailbox } => {
            format!(
                "DELETE {}",
                named(parsed(mailbox).filter(|it| !it.is_inbox()).as_ref())
            )
        }
        CommandBody::Rename { from, to } => {
            let to = MailboxName::to_create(&wire(to), Utf8::Off).ok();
            match (parsed(from), to.filter(|name| !name.is_inbox())) {
                (Some(from), Some(to)) => {
                    format!("RENAME {} {}", named(Some(&from)), named(Some(&to)))
                }
                _ => "RENAME NO".to_owned(),
            }
        }
        CommandBody::Subscribe { mailbox } => format!("SUBSCRIBE {}", name(mailbox)),
        CommandBody::Unsubscribe { mailbox } => format!("UNSUBSCRIBE {}", name(mailbox)),
        CommandBody::GetQuotaRoot { mailbox } => format!("GETQUOTAROOT {}", name(mailbox)),
        CommandBody::GetQuota { root } => ours::quota(astring(root).is_empty()),
        CommandBody::List {
            reference,
            mailbox_wildcard,
        } => {
            let pattern = list_mailbox(mailbox_wildcard);
            match pattern.is_empty() {
                true => "LIST".to_owned(),
                false => format!(
                    "LIST {}",
                    ours::pattern(pattern_of(reference, &pattern).as_ref())
                ),
            }
        }
        CommandBody::Lsub {
            reference,
            mailbox_wildcard,
        } => {
            let pattern = pattern_of(reference, &list_mailbox(mailbox_wildcard));
            format!("LSUB {}", ours::pattern(pattern.as_ref()))
        }
        CommandBody::Status {
            mailbox,
            item_names,
        } => {
            let mut items: Vec<&str> = Vec::new();
            for item in item_names.iter() {
                let item = status(item);
                if !items.contains(&item) {
                    items.push(item);
                }
            }
            format!("STATUS {} {}", name(mailbox), items.join(" "))
        }
        CommandBody::Append {
            mailbox,
            flags: list,
            date,
            message,
        } => {
            let date = date.as_ref().map(|date| date.as_ref().timestamp());
            let message = match message {
                LiteralOrLiteral8::Literal(literal) => literal.data(),
                LiteralOrLiteral8::Literal8(literal) => &literal.data,
            };
            match parsed(mailbox) {
                Some(mailbox) => {
                    let mailbox = named(Some(&mailbox));
                    format!(
                        "APPEND {mailbox} {} {date:?} {:?}",
                        flags(list),
                        Octets(message)
                    )
                }
                None => "APPEND NO".to_owned(),
            }
        }
        CommandBody::ExpungeUid { sequence_set } => {
            format!("EXPUNGE {}", messages(sequence_set, true))
        }
        CommandBody::Search {
            charset,
            criteria,
            uid,
        } => {
            let keys = criteria.as_ref().iter().map(key).collect();
            let charset = charset.as_ref().map(|charset| match charset {
                Charset::Atom(atom) => atom.inner().to_ascii_uppercase(),
                Charset::Quoted(quoted) => quoted.inner().to_ascii_uppercase(),
            });
            // Which names are known is another matter.
            let known = match charset.as_deref() {
                None => true,
                Some(name) => ours::is_known_charset(name),
            };
            match known {
                true => format!("{}SEARCH {}", ours::prefix(*uid), ours::and(keys)),
                false => format!("{}SEARCH NO", ours::prefix(*uid)),
            }
        }
        CommandBody::Fetch {
            sequence_set,
            macro_or_item_names,
            uid,
        } => {
            let items = match macro_or_item_names {
                MacroOrMessageDataItemNames::Macro(it) => {
                    it.expand().iter().map(item).collect::<Vec<_>>()
                }
                MacroOrMessageDataItemNames::MessageDataItemNames(names) => {
                    names.iter().map(item).collect()
                }
            };
            let messages = messages(sequence_set, *uid);
            format!(
                "{}FETCH {messages} {}",
                ours::prefix(*uid),
                items.join(", ")
            )
        }
        CommandBody::Store {
            sequence_set,
            kind,
            response,
            flags: list,
            uid,
        } => {
            let kind = match kind {
                StoreType::Replace => "Replace",
                StoreType::Add => "Add",
                StoreType::Remove => "Remove",
            };
            let echo = match response {
                StoreResponse::Answer => "Flags",
                StoreResponse::Silent => "Silent",
            };
            let messages = messages(sequence_set, *uid);
            format!(
                "{}STORE {messages} {kind} {echo} {}",
                ours::prefix(*uid),
                flags(list)
            )
        }
        CommandBody::Copy {
            sequence_set,
            mailbox,
            uid,
        } => {
            format!(
                "{}COPY {} {}",
                ours::prefix(*uid),
                messages(sequence_set, *uid),
                name(mailbox)
            )
        }
        CommandBody::Move {
            sequence_set,
            mailbox,
            uid,
        } => {
            format!(
                "{}MOVE {} {}",
                ours::prefix(*uid),
                messages(sequence_set, *uid),
                name(mailbox)
            )
        }
        other => other.name().to_owned(),
    }
}

fn astring<'a>(text: &'a AString<'_>) -> &'a [u8] {
    text.as_ref()
}

fn wire(mailbox: &Mailbox<'_>) -> Vec<u8> {
    match mailbox {
        Mailbox::Inbox => b"INBOX".to_vec(),
        Mailbox::Other(other) => astring(other.inner()).to_vec(),
    }
}

fn parsed(mailbox: &Mailbox<'_>) -> Option<MailboxName> {
    MailboxName::from_wire(&wire(mailbox), Utf8::Off).ok()
}

fn name(mailbox: &Mailbox<'_>) -> String {
    named(parsed(mailbox).as_ref())
}

fn list_mailbox(pattern: &ListMailbox<'_>) -> Vec<u8> {
    match pattern {
        ListMailbox::Token(token) => token.as_ref().to_vec(),
        ListMailbox::String(IString::Literal(literal)) => literal.data().to_vec(),
        ListMailbox::String(IString::Quoted(quoted)) => quoted.inner().as_bytes().to_vec(),
    }
}

fn pattern_of(reference: &Mailbox<'_>, pattern: &[u8]) -> Option<ListPattern> {
    // What they take for INBOX the client may have written otherwise.
    ListPattern::from_wire(&wire(reference), pattern, Utf8::Off).ok()
}

fn status(item: &StatusDataItemName) -> &'static str {
    match item {
        StatusDataItemName::Messages => "Messages",
        StatusDataItemName::Recent => "Recent",
        StatusDataItemName::UidNext => "UidNext",
        StatusDataItemName::UidValidity => "UidValidity",
        StatusDataItemName::Unseen => "Unseen",
        StatusDataItemName::Deleted => "Deleted",
        StatusDataItemName::Size => "Size",
        StatusDataItemName::DeletedStorage => "DeletedStorage",
    }
}

fn flags(list: &[Flag<'_>]) -> String {
    let names: Vec<String> = list.iter().map(ToString::to_string).collect();
    ours::flags(&names)
}

fn number(number: &SeqOrUid, largest: u32) -> u32 {
    match number {
        SeqOrUid::Value(number) => number.get(),
        SeqOrUid::Asterisk => largest,
    }
}

/// The ranges of a set, each from its smaller end.
fn ranges(set: &SequenceSet, largest: u32) -> Vec<(u32, u32)> {
    let range = |sequence: &Sequence| {
        let (one, other) = match sequence {
            Sequence::Single(one) => (number(one, largest), number(one, largest)),
            Sequence::Range(one, other) => (number(one, largest), number(other, largest)),
        };
        (one.min(other), one.max(other))
    };
    set.0.as_ref().iter().map(range).collect()
}

/// The UIDs that a set names in the mailbox of the test.
fn messages(set: &SequenceSet, by_uid: bool) -> String {
    let largest = match by_uid {
        true => crate::client::uid(MESSAGES),
        false => MESSAGES,
    };
    let ranges = ranges(set, largest);
    if !by_uid && ranges.iter().any(|(_, last)| *last > MESSAGES) {
        return ours::BEYOND.to_owned();
    }
    let number = |seq| match by_uid {
        true => crate::client::uid(seq),
        false => seq,
    };
    let is_named = |seq: &u32| {
        let number = number(*seq);
        ranges
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&number))
    };
    let uids: Vec<u32> = (1..=MESSAGES)
        .filter(is_named)
        .map(crate::client::uid)
        .collect();
    format!("{uids:?}")
}

/// The set as a key of a search: what it comes to with few and with many messages.
fn set(set: &SequenceSet) -> String {
    let merged = |largest: u32| {
        let mut ranges = ranges(set, largest);
        ranges.retain(|(first, _)| *first <= largest);
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::new();
        for (first, last) in ranges {
            let last = last.min(largest);
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        let texts: Vec<String> = merged
            .iter()
            .map(|(first, last)| match first == last {
                true => first.to_string(),
                false => format!("{first}:{last}"),
            })
            .collect();
        texts.join(",")
    };
    format!("{}/{}", merged(ours::FEW), merged(ours::MANY))
}

fn item(name: &MessageDataItemName<'_>) -> String {
    let cut = |partial: &Option<(u32, std::num::NonZeroU32)>| match partial {
        Some((offset, octets)) => format!("<{offset}.{octets}>"),
        None => String::new(),
    };
    let part = |section: &[std::num::NonZeroU32]| {
        let levels: Vec<String> = section.iter().map(ToString::to_string).collect();
        levels.join(".")
    };
    match name {
        MessageDataItemName::BodyExt {
            section: it,
            partial,
            peek,
        } => {
            let peek = if *peek { ".PEEK" } else { "" };
            format!(
                "BODY{peek}[{}]{}",
                it.as_ref().map_or(String::new(), section),
                cut(partial)
            )
        }
        MessageDataItemName::Binary {
            section,
            partial,
            peek,
        } => {
            let peek = if *peek { ".PEEK" } else { "" };
            format!("BINARY{peek}[{}]{}", part(section), cut(partial))
        }
        MessageDataItemName::BinarySize { section } => format!("BINARY.SIZE[{}]", part(section)),
        MessageDataItemName::Body => "BODY".to_owned(),
        MessageDataItemName::BodyStructure => "BODYSTRUCTURE".to_owned(),
        MessageDataItemName::Envelope => "ENVELOPE".to_owned(),
        MessageDataItemName::Flags => "FLAGS".to_owned(),
        MessageDataItemName::InternalDate => "INTERNALDATE".to_owned(),
        MessageDataItemName::Rfc822 => "RFC822".to_owned(),
        MessageDataItemName::Rfc822Header => "RFC822.HEADER".to_owned(),
        MessageDataItemName::Rfc822Size => "RFC822.SIZE".to_owned(),
        MessageDataItemName::Rfc822Text => "RFC822.TEXT".to_owned(),
        MessageDataItemName::Uid => "UID".to_owned(),
    }
}

fn section(section: &Section<'_>) -> String {
    let of = |part: &Part, text: &str| {
        let mut name = String::new();
        for level in part.0.as_ref() {
            let _ = write!(name, "{level}.");
        }
        match text {
            "" => name.trim_end_matches('.').to_owned(),
            text => name + text,
        }
    };
    let maybe = |part: &Option<Part>, text: &str| match part {
        Some(part) => of(part, text),
        None => text.to_owned(),
    };
    let names = |fields: &[AString<'_>]| {
        let names: Vec<String> = fields
            .iter()
            .map(|it| format!("{:?}", Octets(astring(it))))
            .collect();
        format!(" ({})", names.join(" "))
    };
    match section {
        Section::Part(part) => of(part, ""),
        Section::Header(part) => maybe(part, "HEADER"),
        Section::HeaderFields(part, fields) => {
            maybe(part, "HEADER.FIELDS") + &names(fields.as_ref())
        }
        Section::HeaderFieldsNot(part, fields) => {
            maybe(part, "HEADER.FIELDS.NOT") + &names(fields.as_ref())
        }
        Section::Text(part) => maybe(part, "TEXT"),
        Section::Mime(part) => of(part, "MIME"),
    }
}

fn key(search: &SearchKey<'_>) -> String {
    let text = |name: &str, text: &AString<'_>| format!("{name} {:?}", Octets(astring(text)));
    let date =
        |name: &str, date: &NaiveDate| format!("{name} {}", date.as_ref().format("%Y-%-m-%-d"));
    let not = |key: &str| format!("NOT({key})");
    match search {
        SearchKey::And(keys) => ours::and(keys.as_ref().iter().map(key).collect()),
        SearchKey::SequenceSet(it) => format!("SEQ {}", set(it)),
        SearchKey::Uid(it) => format!("UID {}", set(it)),
        SearchKey::All => "ALL".to_owned(),
        SearchKey::Answered => "\\Answered".to_owned(),
        SearchKey::Deleted => "\\Deleted".to_owned(),
        SearchKey::Draft => "\\Draft".to_owned(),
        SearchKey::Flagged => "\\Flagged".to_owned(),
        SearchKey::Seen => "\\Seen".to_owned(),
        SearchKey::Unanswered => not("\\Answered"),
        SearchKey::Undeleted => not("\\Deleted"),
        SearchKey::Undraft => not("\\Draft"),
        SearchKey::Unflagged => not("\\Flagged"),
        SearchKey::Unseen => not("\\Seen"),
        SearchKey::Recent => "RECENT".to_owned(),
        SearchKey::Old => not("RECENT"),
        SearchKey::New => ours::and(vec!["RECENT".to_owned(), not("\\Seen")]),
        SearchKey::Keyword(word) => format!("KEYWORD {}", word.inner().to_ascii_lowercase()),
        SearchKey::Unkeyword(word) => {
            not(&format!("KEYWORD {}", word.inner().to_ascii_lowercase()))
        }
        SearchKey::Bcc(it) => text("ADDRESS Bcc", it),
        SearchKey::Cc(it) => text("ADDRESS Cc", it),
        SearchKey::From(it) => text("ADDRESS From", it),
        SearchKey::To(it) => text("ADDRESS To", it),
        SearchKey::Subject(it) => text("HEADER \"Subject\"", it),
        SearchKey::Header(field, it) => text(&format!("HEADER {:?}", Octets(astring(field))), it),
        SearchKey::Body(it) => text("BODY", it),
        SearchKey::Text(it) => text("TEXT", it),
        SearchKey::Larger(octets) => format!("LARGER {octets}"),
        SearchKey::Smaller(octets) => format!("SMALLER {octets}"),
        SearchKey::Before(it) => date("Arrival Before", it),
        SearchKey::On(it) => date("Arrival On", it),
        SearchKey::Since(it) => date("Arrival Since", it),
        SearchKey::SentBefore(it) => date("Sent Before", it),
        SearchKey::SentOn(it) => date("Sent On", it),
        SearchKey::SentSince(it) => date("Sent Since", it),
        SearchKey::Not(inner) => not(&key(inner)),
        SearchKey::Or(one, other) => format!("OR({}; {})", key(one), key(other)),
    }
}
