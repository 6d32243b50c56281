//! What every back end checks of a change before it touches anything, and the arithmetic they share.
//!
//! **Bounds.** Names of domains, addresses and hashes: 255 octets. Sizes and quotas: 2^63 - 1 octets.

use super::{
    Change, DELIMITER, ExpungedFrom, Flags, INBOX, KEYWORD_LENGTH, KEYWORD_LIMIT, MAILBOX_LIMIT,
    Mailbox, NAME_LIMIT, NewEntry, PLACED_AT_ONCE, PlaceExpunged, PlaceMailbox, PlaceMessages,
    PlacedExpunged, PlacedMessage, Reflag, Repeat, Retention, Timestamp, UNIQUE_ID_LIMIT, Uid,
};
use crate::Error;

/// Longest domain name, address, hash or DN, in octets.
const TEXT_LIMIT: usize = 255;

/// A domain's name: lower-case A-labels.
pub(super) fn domain_name(name: &str) -> Result<(), Error> {
    let good = |c: char| c.is_ascii_graphic() && !c.is_ascii_uppercase() && !"@/\\".contains(c);
    if name.is_empty() || name.len() > TEXT_LIMIT || !name.chars().all(good) {
        return Err(Error::Invalid("not the name of a domain"));
    }
    Ok(())
}

/// A DN or a hash that must fit its column.
pub(super) fn column(text: Option<&str>, why: &'static str) -> Result<(), Error> {
    match text {
        Some(text) if text.len() > TEXT_LIMIT || text.contains('\0') => Err(Error::Invalid(why)),
        _ => Ok(()),
    }
}

/// An account's address; brings local part and domain.
pub(super) fn address(text: &str) -> Result<(&str, &str), Error> {
    let refused = Error::Invalid("not a lower-case address");
    match text.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && fits(text) && lower(text) => {
            Ok((local, domain))
        }
        _ => Err(refused),
    }
}

/// The source of an alias, an address or `@domain`; brings the domain.
pub(super) fn alias_source(text: &str) -> Result<&str, Error> {
    match text.rsplit_once('@') {
        Some((_, domain)) if fits(text) && lower(text) => Ok(domain),
        _ => Err(Error::Invalid("not the source of an alias")),
    }
}

/// Where an alias leads.
pub(super) fn alias_destination(text: &str) -> Result<(), Error> {
    if text.is_empty() || !fits(text) {
        return Err(Error::Invalid("not the destination of an alias"));
    }
    Ok(())
}

/// What names and describes the entry of a directory.
pub(super) fn entry(entry: &NewEntry) -> Result<(), Error> {
    let named = |text: &str| !text.is_empty() && fits(text);
    if !named(&entry.source) || !named(&entry.stable_id) {
        return Err(Error::Invalid("not the id of a directory entry"));
    }
    column(entry.display_name.as_deref(), "the name is too long")?;
    column(entry.department.as_deref(), "the department is too long")?;
    entry
        .aliases
        .iter()
        .try_for_each(|it| address(it).map(drop))
}

/// The name of a lease or its holder.
pub(super) fn lease(text: &str) -> Result<(), Error> {
    match !text.is_empty() && fits(text) {
        true => Ok(()),
        false => Err(Error::Invalid("not the name of a lease")),
    }
}

/// The name of the lease of an account's maildrop.
pub(super) fn maildrop(account: super::AccountId) -> String {
    format!("maildrop/{}", account.0)
}

fn fits(text: &str) -> bool {
    text.len() <= TEXT_LIMIT && !text.chars().any(char::is_control)
}

fn lower(text: &str) -> bool {
    text.to_lowercase() == text
}

/// How long messages stay that POP3 retrieved.
pub(super) fn retention(retention: Retention) -> Result<Retention, Error> {
    match retention {
        Retention::Days(days) if !(1..=Retention::LONGEST).contains(&days) => {
            Err(Error::Invalid("a retention is 1 to 36500 days"))
        }
        good => Ok(good),
    }
}

/// A mailbox's name: levels that are not empty, INBOX in exactly these letters.
pub(super) fn mailbox_name(name: &str) -> Result<(), Error> {
    let first = name.split(DELIMITER).next().unwrap_or_default();
    let good = name.len() <= NAME_LIMIT
        && name.split(DELIMITER).all(|level| !level.is_empty())
        && !name.chars().any(char::is_control)
        && (first == INBOX || !first.eq_ignore_ascii_case(INBOX));
    if !good {
        return Err(Error::Invalid("not the name of a mailbox"));
    }
    Ok(())
}

/// A name to subscribe to; need not be one of a mailbox.
pub(super) fn subscription(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > NAME_LIMIT || name.chars().any(char::is_control) {
        return Err(Error::Invalid("not the name of a mailbox"));
    }
    Ok(())
}

/// The parents of a name, outermost first.
pub(super) fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(DELIMITER).map(|(at, _)| &name[..at])
}

/// Whether `name` lies below `parent`.
pub(super) fn below(name: &str, parent: &str) -> bool {
    name.strip_prefix(parent)
        .is_some_and(|rest| rest.starts_with(DELIMITER))
}

/// What a renaming may not be, whatever mailboxes there are.
pub(super) fn renaming(from: &str, to: &str) -> Result<(), Error> {
    mailbox_name(to)?;
    if below(to, from) && from != INBOX {
        return Err(Error::Invalid("a mailbox cannot lie below itself"));
    }
    Ok(())
}

/// Whether an account with `present` mailboxes may have `more`.
pub(super) fn room_for_mailboxes(present: u64, more: u64) -> Result<(), Error> {
    if present.saturating_add(more) > MAILBOX_LIMIT {
        return Err(Error::Limit {
            what: "mailboxes",
            limit: MAILBOX_LIMIT,
        });
    }
    Ok(())
}

/// Whether an account with `present` subscriptions may have one more.
pub(super) fn room_for_subscription(present: u64) -> Result<(), Error> {
    if present >= MAILBOX_LIMIT {
        return Err(Error::Limit {
            what: "subscriptions",
            limit: MAILBOX_LIMIT,
        });
    }
    Ok(())
}

/// Whether unknown keywords are added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unknown {
    Add,
    PassOver,
}

/// Finds the bits of keywords in the list of a mailbox, in any case, and adds to the list those it does not know.
pub(super) fn keywords(
    known: &mut Vec<String>,
    names: &[String],
    unknown: Unknown,
) -> Result<Flags, Error> {
    let mut bits = 0;
    for name in names {
        let good = |c: char| !c.is_control() && !c.is_whitespace();
        if name.is_empty() || name.len() > KEYWORD_LENGTH || !name.chars().all(good) {
            return Err(Error::Invalid("not a keyword"));
        }
        let number = match known.iter().position(|it| it.eq_ignore_ascii_case(name)) {
            Some(number) => number,
            None if unknown == Unknown::PassOver => continue,
            None if known.len() >= KEYWORD_LIMIT => {
                return Err(Error::Limit {
                    what: "keywords",
                    limit: KEYWORD_LIMIT as u64,
                });
            }
            None => {
                known.push(name.clone());
                known.len() - 1
            }
        };
        bits |= keyword_bit(number);
    }
    Ok(Flags(bits))
}

/// The bit of a keyword by its number.
pub(super) fn keyword_bit(number: usize) -> u64 {
    1 << (Flags::FIRST_KEYWORD as usize + number)
}

/// The names of the keywords that are set, where they are known.
pub(super) fn keywords_in(flags: u64, known: &[String]) -> Vec<String> {
    let set = known.iter().enumerate();
    let set = set.filter(|(number, _)| flags & keyword_bit(*number) != 0);
    set.map(|(_, name)| name.clone()).collect()
}

/// The numbers of a mailbox from elsewhere.
pub(super) fn numbers(change: &PlaceMailbox) -> Result<(), Error> {
    let modseq = i64::try_from(change.highest_modseq.0);
    let good = change.uid_validity.0 > 0
        && change.uid_next.0 > 0
        && change.first_recent.0 > 0
        && modseq.is_ok_and(|it| it > 0 && it < i64::MAX);
    match good {
        true => Ok(()),
        false => Err(Error::Invalid("not the numbers of a mailbox")),
    }
}

/// What is done with a mailbox that is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Placing {
    /// It gets the numbers from elsewhere.
    Settle,
    /// It has them already, and they only rise.
    Raise,
}

/// What is done with a mailbox that is there. One that nothing ever happened to may have the same UIDVALIDITY by chance.
pub(super) fn placing(found: &Mailbox, change: &PlaceMailbox) -> Result<Placing, Error> {
    let same = found.uid_validity == change.uid_validity;
    match found.uid_next.0 == 1 {
        true if !same || found.highest_modseq.0 == 1 => Ok(Placing::Settle),
        _ if same => Ok(Placing::Raise),
        _ => Err(Error::Exists("mailbox")),
    }
}

/// Messages from elsewhere.
pub(super) fn placed(change: &PlaceMessages) -> Result<(), Error> {
    if change.messages.len() > PLACED_AT_ONCE {
        return Err(Error::Limit {
            what: "messages at once",
            limit: PLACED_AT_ONCE as u64,
        });
    }
    let good = |it: &PlacedMessage| {
        it.uid.is_none_or(|uid| uid.0 > 0)
            && (it.uid.is_some() || change.repeat == Repeat::Body)
            && it.unique_id.as_deref().is_none_or(is_unique_id)
    };
    match change.messages.iter().all(good) {
        true => Ok(()),
        false => Err(Error::Invalid("not a message from elsewhere")),
    }
}

/// Expunged messages from elsewhere.
pub(super) fn placed_expunged(change: &PlaceExpunged) -> Result<(), Error> {
    if change.messages.len() > PLACED_AT_ONCE {
        return Err(Error::Limit {
            what: "messages at once",
            limit: PLACED_AT_ONCE as u64,
        });
    }
    if let ExpungedFrom::Gone { name, .. } = &change.from {
        mailbox_name(name)?;
    }
    let all = &change.messages;
    let good = |it: &PlacedExpunged| it.uid.0 > 0 && i64::try_from(it.modseq.0).is_ok();
    match all.iter().all(good) && all.is_sorted_by(|one, next| one.uid < next.uid) {
        true => Ok(()),
        false => Err(Error::Invalid("not messages that were expunged")),
    }
}

/// What was expunged elsewhere had its numbers from the mailbox it was in (I3).
pub(super) fn went_from(mailbox: &Mailbox, from: &PlacedExpunged) -> Result<(), Error> {
    match from.uid < mailbox.uid_next && from.modseq <= mailbox.highest_modseq {
        true => Ok(()),
        false => Err(Error::Invalid("not the numbers of an expunged message")),
    }
}

/// Flags from elsewhere.
pub(super) fn reflagged(change: &Reflag) -> Result<(), Error> {
    match change.messages.len() > PLACED_AT_ONCE {
        true => Err(Error::Limit {
            what: "messages at once",
            limit: PLACED_AT_ONCE as u64,
        }),
        false => Ok(()),
    }
}

/// 1 to 70 visible characters of ASCII (RFC 1939 section 7).
fn is_unique_id(text: &str) -> bool {
    (1..=UNIQUE_ID_LIMIT).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic())
}

/// Whether a message from elsewhere is here already, or was.
pub(super) fn was_placed(
    repeat: Repeat,
    from: &PlacedMessage,
    uid_next: Uid,
    born_here: bool,
) -> bool {
    match repeat {
        Repeat::Uid => from.uid.is_some_and(|uid| uid < uid_next),
        Repeat::Body => born_here,
    }
}

/// Octets as the columns hold them.
pub(super) fn octets(octets: u64) -> Result<i64, Error> {
    i64::try_from(octets).map_err(|_| Error::Invalid("more octets than can be counted"))
}

/// What is used after `wanted` more octets, if they find room (I4).
pub(super) fn room_for(used: u64, wanted: u64, quota: Option<u64>) -> Result<u64, Error> {
    let after = used.checked_add(wanted).filter(|it| octets(*it).is_ok());
    match (after, quota) {
        (Some(after), None) => Ok(after),
        (Some(after), Some(quota)) if after <= quota => Ok(after),
        // Nothing more is wanted, so nothing is refused, however far above its quota the account is.
        (Some(after), _) if wanted == 0 => Ok(after),
        (_, quota) => Err(Error::OverQuota {
            used,
            quota: quota.unwrap_or(i64::MAX as u64),
            wanted,
        }),
    }
}

/// `UIDNEXT` after `count` more messages (I3).
pub(super) fn uid_after(uid_next: u32, count: usize) -> Result<u32, Error> {
    u32::try_from(count)
        .ok()
        .and_then(|count| uid_next.checked_add(count))
        .ok_or(Error::Limit {
            what: "UIDs in a mailbox",
            limit: u64::from(u32::MAX),
        })
}

/// The next UIDVALIDITY of an account: above all it had, and not below the time in seconds, so that it also rises over a
/// restored backup.
pub(super) fn uid_validity_after(last: u32, now: Timestamp) -> Result<u32, Error> {
    let seconds = u32::try_from(now.0.max(0) / 1_000_000).unwrap_or(0);
    last.checked_add(1)
        .map(|next| next.max(seconds))
        .ok_or(Error::Limit {
            what: "UIDVALIDITY values",
            limit: u64::from(u32::MAX),
        })
}

/// The time from which UIDVALIDITY values go on after a backup was restored. Those that were given behind the backup may have run ahead of
/// the clock, one second for each mailbox that an account made in the same one: a day is more than it may have mailboxes.
pub(super) fn beyond_backups(now: Timestamp) -> Timestamp {
    const DAY: i64 = 86_400_000_000;
    Timestamp(now.0.saturating_add(DAY))
}

/// Whether caches of accounts, domains and aliases must hear of a change. A login alone changes nothing that they hold.
pub(super) fn of_directory(change: &Change) -> bool {
    match change {
        Change::AddDomain(_)
        | Change::SetDomainActive(_)
        | Change::SetDomainAuth(_)
        | Change::RemoveDomain(_)
        | Change::AddAccounts(_)
        | Change::SetPassword(_)
        | Change::SetQuota(_)
        | Change::SetRetention(_)
        | Change::SetAccountActive(_)
        | Change::RemoveAccount(_)
        | Change::AddAlias(_)
        | Change::RemoveAlias(_)
        | Change::BindEntry(_)
        | Change::UnbindEntry(_)
        | Change::RenameAccount(_)
        | Change::SetEntryActive(_)
        | Change::RenewUidValidities(_) => true,
        Change::TouchLogin(_)
        | Change::TakeLease(_)
        | Change::HoldMaildrop(_)
        | Change::CreateMailbox(_)
        | Change::DeleteMailbox(_)
        | Change::RenameMailbox(_)
        | Change::Subscribe(_)
        | Change::ClaimRecent(_)
        | Change::Append(_)
        | Change::AppendAll(_)
        | Change::Store(_)
        | Change::Copy(_)
        | Change::Expunge(_)
        | Change::ExpungeMaildrop(_)
        | Change::Retrieved(_)
        | Change::Restore(_)
        | Change::PlaceMailbox(_)
        | Change::PlaceMessages(_)
        | Change::PlaceExpunged(_)
        | Change::Reflag(_)
        | Change::Reap(_)
        | Change::Forget(_) => false,
    }
}
