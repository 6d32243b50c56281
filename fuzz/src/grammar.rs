//! The grammars of commands: IMAP's arguments, names of mailboxes, SASL exchanges.

use bytes::BytesMut;
use postrider_protocol::imap::syntax::append::{Append, AppendData, after_message};
use postrider_protocol::imap::syntax::create::Create;
use postrider_protocol::imap::syntax::fetch::Fetch;
use postrider_protocol::imap::syntax::flag::FlagList;
use postrider_protocol::imap::syntax::list::List;
use postrider_protocol::imap::syntax::mailbox::{DELIMITER, LEVEL_LIMIT, NAME_LIMIT};
use postrider_protocol::imap::syntax::pattern::ListPattern;
use postrider_protocol::imap::syntax::search::Search;
use postrider_protocol::imap::syntax::select::Select;
use postrider_protocol::imap::syntax::status::Status;
use postrider_protocol::imap::syntax::store::Store;
use postrider_protocol::imap::syntax::{
    Args, Command, LiteralHeader, MailboxName, SequenceSet, Utf8, date, utf7,
};
use postrider_protocol::imap::types::Uid;
use postrider_protocol::sasl::{Channel, Exchange, Failure, PASSWORD_LIMIT, Step, USER_LIMIT};

use super::script::Script;

/// Every argument grammar of IMAP, on what follows a command's name.
pub fn command(octets: &[u8]) {
    let _ = LiteralHeader::at_end(octets);
    for utf8 in [Utf8::Off, Utf8::On] {
        let Ok(command) = Command::parse(octets, utf8) else {
            continue;
        };
        assert!(!command.tag.is_empty() && !command.name.is_empty());
        let args = || command.args.clone();
        let _ = Append::parse(&mut args());
        let _ = after_message(&mut args(), AppendData::Utf8);
        let _ = Create::parse(&mut args());
        let _ = Fetch::parse(&mut args());
        let _ = List::parse(&mut args());
        let _ = List::parse_lsub(&mut args());
        let _ = Search::parse(&mut args());
        let _ = Select::parse(&mut args());
        let _ = Status::parse(&mut args());
        let _ = Store::parse(&mut args());
        let mut behind = args();
        if behind.try_sp() {
            let _ = FlagList::parse_bare(&mut behind.clone());
            let _ = behind.clone().mailbox();
            let _ = date::date_time(&mut behind.clone());
            let _ = date::date(&mut behind.clone());
            sequence(&mut behind);
        }
    }
}

/// A set that is written and read again is the same.
fn sequence(args: &mut Args<'_>) {
    let Ok(SequenceSet::Listed(listed)) = SequenceSet::parse(args) else {
        return;
    };
    for largest in [0, 1, 1_000, u32::MAX] {
        let set = listed.resolve(Uid(largest));
        assert!(
            set.max().is_none_or(|max| max.0 <= largest) && set.min().is_none_or(|min| min.0 > 0)
        );
        if set.is_empty() {
            continue;
        }
        let text = set.to_string();
        let again = SequenceSet::parse(&mut Args::new(text.as_bytes(), Utf8::Off))
            .expect("what was written");
        let SequenceSet::Listed(again) = again else {
            panic!("{text} is no set")
        };
        assert_eq!(again.resolve(Uid(largest)), set);
    }
}

/// Names of mailboxes, modified UTF-7 and patterns: what is written is read as the same.
pub fn mailbox(octets: &[u8]) {
    if let Some(text) = utf7::decode(octets) {
        let mut again = BytesMut::new();
        utf7::encode(&text, &mut again);
        assert_eq!(again, octets, "two forms of one name");
    }
    if let Ok(text) = std::str::from_utf8(octets) {
        let mut wire = BytesMut::new();
        utf7::encode(text, &mut wire);
        assert_eq!(utf7::decode(&wire).as_deref(), Some(text));
    }
    for utf8 in [Utf8::Off, Utf8::On] {
        let names = [MailboxName::from_wire, MailboxName::to_create];
        for name in names.iter().flat_map(|read| read(octets, utf8)) {
            name_is_whole(&name);
        }
        let half = octets.len() / 2;
        if let Ok(pattern) = ListPattern::from_wire(&octets[..half], &octets[half..], utf8) {
            let name = pattern.as_str();
            assert!(
                !pattern.is_literal() || pattern.matches(name),
                "{name:?} does not match itself"
            );
        }
        if let Ok(pattern) = ListPattern::from_wire(octets, b"*", utf8) {
            assert!(!pattern.is_literal());
        }
    }
}

fn name_is_whole(name: &MailboxName) {
    let text = name.as_str();
    assert!(text.len() <= NAME_LIMIT && name.levels().count() <= LEVEL_LIMIT);
    assert!(
        text.split(DELIMITER)
            .all(|level| !matches!(level, "" | "." | ".."))
    );
    assert!(!text.chars().any(char::is_control));
    assert_eq!(
        MailboxName::new(text).as_ref(),
        Ok(name),
        "a second spelling"
    );
    assert!(name.parent().is_none_or(|parent| name.is_below(&parent)));
    for utf8 in [Utf8::Off, Utf8::On] {
        let mut wire = BytesMut::new();
        name.write(utf8, &mut wire);
        let again = Args::new(&wire, utf8).mailbox();
        assert_eq!(
            again.as_ref(),
            Ok(name),
            "{:?}",
            String::from_utf8_lossy(&wire)
        );
    }
}

/// SASL exchanges: each ends after two responses at most, and what it gives is whole.
pub fn sasl(octets: &[u8]) {
    let script = Script::of(octets);
    let mut lines = script.said.split(|octet| *octet == b'\n');
    let name: &[u8] = [&b"PLAIN"[..], b"LOGIN", b"plain", b"X"][usize::from(script.setting & 3)];
    let initial = if script.setting & 4 == 0 {
        None
    } else {
        lines.next()
    };
    let channel = if script.setting & 8 == 0 {
        Channel::Confidential
    } else {
        Channel::Clear
    };
    let mut step = Exchange::begin(name, channel, initial);
    for _ in 0..3 {
        step = match step {
            Step::Challenge { text, exchange } => {
                assert!(text.is_ascii() && !text.contains(['\r', '\n']));
                exchange.respond(lines.next().unwrap_or_default())
            }
            step => step,
        };
    }
    match step {
        Step::Challenge { .. } => panic!("no end"),
        Step::Failed(failure) => {
            assert!(channel == Channel::Confidential || failure != Failure::Encoding)
        }
        Step::Credentials(credentials) => {
            assert_eq!(channel, Channel::Confidential, "a password in clear");
            assert!((1..=USER_LIMIT).contains(&credentials.user.len()));
            assert!(credentials.authorize_as.len() <= USER_LIMIT);
            assert!((1..=PASSWORD_LIMIT).contains(&credentials.password.expose().len()));
            assert!(!credentials.user.chars().any(char::is_control));
        }
    }
}
