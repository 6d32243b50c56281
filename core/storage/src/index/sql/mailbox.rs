//! Mailboxes: reads, counters, keywords, subscriptions.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable,
    SelectableHelper, delete, insert_into, update,
};

use super::{
    Conn, account,
    fault::{Fault, number},
    schema::{mailbox, mailbox_keyword, subscription},
    sql::{Bind, run},
};
use crate::{
    Error,
    index::{
        AccountId, ClaimRecent, Flags, INBOX, Mailbox, MailboxId, ModSeq, Outcome, SpecialUse,
        Subscribe, Timestamp, Uid, UidValidity, check,
    },
};

#[derive(Queryable, Selectable)]
#[diesel(table_name = mailbox)]
struct Row {
    account_id: i64,
    id: i64,
    name: String,
    selectable: bool,
    special_use: Option<String>,
    uid_validity: i64,
    uid_next: i64,
    highest_modseq: i64,
    first_recent: i64,
    messages: i64,
    unseen: i64,
    deleted: i64,
    size: i64,
    created: i64,
}

impl TryFrom<Row> for Mailbox {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Mailbox {
            account: AccountId(row.account_id),
            id: MailboxId(row.id),
            name: row.name,
            selectable: row.selectable,
            special_use: row.special_use.as_deref().map(special_use).transpose()?,
            uid_validity: UidValidity(number(row.uid_validity, "UIDVALIDITY")?),
            uid_next: Uid(number(row.uid_next, "UIDNEXT")?),
            highest_modseq: ModSeq(number(row.highest_modseq, "HIGHESTMODSEQ")?),
            first_recent: Uid(number(row.first_recent, "first recent UID")?),
            messages: number(row.messages, "count of messages")?,
            unseen: number(row.unseen, "count of unseen messages")?,
            deleted: number(row.deleted, "count of deleted messages")?,
            size: number(row.size, "size of a mailbox")?,
            created: Timestamp(row.created),
        })
    }
}

/// Reads the column of a [`SpecialUse`].
pub(super) fn special_use(text: &str) -> Result<SpecialUse, Error> {
    match text {
        "archive" => Ok(SpecialUse::Archive),
        "drafts" => Ok(SpecialUse::Drafts),
        "junk" => Ok(SpecialUse::Junk),
        "sent" => Ok(SpecialUse::Sent),
        "trash" => Ok(SpecialUse::Trash),
        _ => Err(Error::Corrupt(format!("special use is {text:?}"))),
    }
}

/// Writes the column of a [`SpecialUse`].
pub(super) fn special_use_text(special_use: SpecialUse) -> &'static str {
    match special_use {
        SpecialUse::Archive => "archive",
        SpecialUse::Drafts => "drafts",
        SpecialUse::Junk => "junk",
        SpecialUse::Sent => "sent",
        SpecialUse::Trash => "trash",
    }
}

pub(super) fn all(conn: &mut Conn, account: AccountId) -> Result<Vec<Mailbox>, Fault> {
    let rows: Vec<Row> = mailbox::table
        .filter(mailbox::account_id.eq(account.0))
        .order((mailbox::name.ne(INBOX), mailbox::name))
        .select(Row::as_select())
        .load(conn)?;
    let mailboxes = rows.into_iter().map(Mailbox::try_from);
    Ok(mailboxes.collect::<Result<_, _>>()?)
}

pub(super) fn by_name(
    conn: &mut Conn,
    account: AccountId,
    name: &str,
) -> Result<Option<Mailbox>, Fault> {
    let row: Option<Row> = mailbox::table
        .filter(mailbox::account_id.eq(account.0))
        .filter(mailbox::name.eq(name))
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    Ok(row.map(Mailbox::try_from).transpose()?)
}

pub(super) fn by_id(conn: &mut Conn, id: MailboxId) -> Result<Option<Mailbox>, Fault> {
    let row: Option<Row> = mailbox::table
        .filter(mailbox::id.eq(id.0))
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    Ok(row.map(Mailbox::try_from).transpose()?)
}

/// A mailbox that holds messages. `NotFound` if it is gone or only a name.
pub(super) fn selectable(conn: &mut Conn, id: MailboxId) -> Result<Mailbox, Fault> {
    let found = by_id(conn, id)?.filter(|it| it.selectable);
    Ok(found.ok_or(Error::NotFound("mailbox"))?)
}

/// As [`selectable`], and the account's own (I6).
pub(super) fn owned(conn: &mut Conn, account: AccountId, id: MailboxId) -> Result<Mailbox, Fault> {
    let mailbox = selectable(conn, id)?;
    if mailbox.account != account {
        return Err(Error::NotFound("mailbox").into());
    }
    Ok(mailbox)
}

/// How much the counters of a mailbox move.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shift {
    pub(super) messages: i64,
    pub(super) unseen: i64,
    pub(super) deleted: i64,
    pub(super) size: i64,
}

impl Shift {
    /// Counts a message with these flags `times` times (1 comes, -1 goes).
    pub(super) fn count(&mut self, flags: u64, size: i64, times: i64) {
        let flags = Flags(flags);
        self.messages += times;
        self.unseen += times * i64::from(!flags.contains(Flags::SEEN));
        self.deleted += times * i64::from(flags.contains(Flags::DELETED));
        self.size += times * size;
    }
}

/// Moves the counters of a mailbox; `uid_next` and `modseq` are what they become.
pub(super) fn advance(
    conn: &mut Conn,
    mailbox: &Mailbox,
    shift: Shift,
    uid_next: u32,
    modseq: i64,
) -> Result<(), Fault> {
    run(
        conn,
        "UPDATE mailbox SET messages = messages + ?, unseen = unseen + ?, deleted = deleted + ?, size = size + ?, \
         uid_next = ?, highest_modseq = ? WHERE account_id = ? AND id = ?",
        &[
            Bind::Number(shift.messages),
            Bind::Number(shift.unseen),
            Bind::Number(shift.deleted),
            Bind::Number(shift.size),
            Bind::Number(uid_next.into()),
            Bind::Number(modseq),
            Bind::Number(mailbox.account.0),
            Bind::Number(mailbox.id.0),
        ],
    )?;
    Ok(())
}

/// The next modification sequence of a mailbox (I3).
pub(super) fn next_modseq(mailbox: &Mailbox) -> Result<i64, Fault> {
    Ok(modseq_after(mailbox.highest_modseq.0)?)
}

/// The modification sequence after the highest (I3).
pub(super) fn modseq_after(highest: u64) -> Result<i64, Error> {
    let next = highest.checked_add(1);
    let next = next.and_then(|it| i64::try_from(it).ok());
    next.ok_or(Error::Limit {
        what: "modification sequences",
        limit: i64::MAX as u64,
    })
}

/// Names of the keywords of a mailbox by number.
pub(super) fn keywords(conn: &mut Conn, mailbox: &Mailbox) -> Result<Vec<String>, Fault> {
    let rows: Vec<(i64, String)> = mailbox_keyword::table
        .filter(mailbox_keyword::account_id.eq(mailbox.account.0))
        .filter(mailbox_keyword::mailbox_id.eq(mailbox.id.0))
        .order(mailbox_keyword::number)
        .select((mailbox_keyword::number, mailbox_keyword::name))
        .load(conn)?;
    let mut names = Vec::with_capacity(rows.len());
    for (number, name) in rows {
        if usize::try_from(number) != Ok(names.len()) {
            return Err(Error::Corrupt("keyword numbers have a gap".to_owned()).into());
        }
        names.push(name);
    }
    Ok(names)
}

/// The bits of keywords; writes those that the mailbox did not know.
pub(super) fn keyword_bits(
    conn: &mut Conn,
    mailbox: &Mailbox,
    names: &[String],
    unknown: check::Unknown,
) -> Result<Flags, Fault> {
    if names.is_empty() {
        return Ok(Flags::default());
    }
    let mut known = keywords(conn, mailbox)?;
    let before = known.len();
    let bits = check::keywords(&mut known, names, unknown)?;
    for (number, name) in (0i64..).zip(&known).skip(before) {
        insert_into(mailbox_keyword::table)
            .values((
                mailbox_keyword::account_id.eq(mailbox.account.0),
                mailbox_keyword::mailbox_id.eq(mailbox.id.0),
                mailbox_keyword::number.eq(number),
                mailbox_keyword::name.eq(name),
            ))
            .execute(conn)?;
    }
    Ok(bits)
}

pub(super) fn claim_recent(conn: &mut Conn, change: &ClaimRecent) -> Result<Outcome, Fault> {
    let found = selectable(conn, change.mailbox)?;
    // Most claims find nothing new, and need no write.
    if found.first_recent != found.uid_next {
        update(mailbox::table.find((found.account.0, found.id.0)))
            .set(mailbox::first_recent.eq(i64::from(found.uid_next.0)))
            .execute(conn)?;
    }
    Ok(Outcome::Recent(found.first_recent))
}

pub(super) fn subscriptions(conn: &mut Conn, account: AccountId) -> Result<Vec<String>, Fault> {
    Ok(subscription::table
        .filter(subscription::account_id.eq(account.0))
        .order(subscription::name)
        .select(subscription::name)
        .load(conn)?)
}

pub(super) fn subscribe(conn: &mut Conn, change: &Subscribe) -> Result<Outcome, Fault> {
    check::subscription(&change.name)?;
    account::existing(conn, change.account)?;
    let key = (change.account.0, &change.name);
    let present: Option<String> = subscription::table
        .find(key)
        .select(subscription::name)
        .get_result(conn)
        .optional()?;
    match (present, change.subscribed) {
        (None, true) => {
            let count: i64 = subscription::table
                .filter(subscription::account_id.eq(change.account.0))
                .count()
                .get_result(conn)?;
            check::room_for_subscription(number(count, "count of subscriptions")?)?;
            insert_into(subscription::table)
                .values((
                    subscription::account_id.eq(change.account.0),
                    subscription::name.eq(&change.name),
                ))
                .execute(conn)?;
        }
        (Some(_), false) => {
            delete(subscription::table.find(key)).execute(conn)?;
        }
        (Some(_), true) | (None, false) => {}
    }
    Ok(Outcome::Done)
}
