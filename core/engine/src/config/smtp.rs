//! `[smtp]`: what SMTP and LMTP take.

use postrider_protocol::message::address::Address;

use super::source::Table;

/// What SMTP and LMTP take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Smtp {
    /// Recipients of one message (RFC 5321 section 4.5.3.1.8 asks for at least 100).
    pub recipients: u32,
    /// Accounts that the recipients of one message may lead to.
    pub accounts: u32,
    /// Received fields after which a message is going in circles (RFC 5321 section 6.3).
    pub hop_count: u32,
    /// What parts a user from a detail, as in `ada+lists@example.com`; none: nothing does.
    pub recipient_delimiter: Option<char>,
    /// Where mail goes for `<Postmaster>` without a domain, and for the postmaster of a domain here that has no such account or alias
    /// (RFC 5321 section 4.5.1).
    pub postmaster: Option<Address>,
}

/// Reads the section.
pub(super) fn read(root: &Table<'_>) -> Smtp {
    let table = root.table("smtp");
    let source = table.source;
    let recipients = table.within("recipients", 1000, 1..=100_000);
    if let Some(found) = table
        .get::<u32>("recipients")
        .filter(|it| (1..100).contains(&it.value))
    {
        let message = "smtp.recipients: RFC 5321 section 4.5.3.1.8 asks for at least 100";
        source.warning(Some(found.at), message);
    }
    Smtp {
        recipients,
        accounts: table.within("accounts", 5000, 1..=1_000_000),
        hop_count: table.within("hop_count", 50, 1..=1000),
        recipient_delimiter: read_delimiter(&table),
        postmaster: table.get::<Address>("postmaster").map(|it| it.value),
    }
}

fn read_delimiter(table: &Table<'_>) -> Option<char> {
    // An empty string is a value here, so it is looked at before the common reading refuses it.
    if let Some(value) = table.value("recipient_delimiter")
        && matches!(value.string("a character").as_deref(), Ok(""))
    {
        return None;
    }
    let Some(found) = table.get::<String>("recipient_delimiter") else {
        return Some('+');
    };
    let mut characters = found.value.chars();
    match (characters.next(), characters.next()) {
        (Some(delimiter @ ('+' | '-' | '=' | '#' | '_')), None) => Some(delimiter),
        _ => {
            let message = "smtp.recipient_delimiter: must be one of + - = # _ or empty";
            table.source.error(Some(found.at), message);
            Some('+')
        }
    }
}
