//! Messages that were expunged elsewhere, and can be brought back here as they could be there (I10).

use std::collections::HashSet;

use diesel::{
    ExpressionMethods, RunQueryDsl, insert_into,
    sql_types::{BigInt, Text},
};

use super::{
    Conn, account, append, counter,
    fault::Fault,
    mailbox,
    place::{self, Born, Known},
    restore,
    schema::expunged,
    sql::{self, Bind, rows},
};
use crate::{
    Error,
    index::{
        ExpungedFrom, Flags, Mailbox, MailboxId, Outcome, PlaceExpunged, PlacedExpunged, Uid, check,
    },
};

/// Where messages were, as far as it is known here.
enum Whence {
    There(Mailbox),
    /// With the names of its keywords.
    Noted(MailboxId, Vec<String>),
    /// Nothing that was in it came yet.
    New,
}

/// A message that will be a row.
struct Row<'a> {
    from: &'a PlacedExpunged,
    modseq: i64,
    keywords: i64,
    size: i64,
    /// Its body is not here yet.
    new: bool,
}

pub(super) fn place(conn: &mut Conn, change: &PlaceExpunged) -> Result<Outcome, Fault> {
    check::placed_expunged(change)?;
    account::existing(conn, change.account)?;
    let whence = whence(conn, change)?;
    let here = here(conn, change, &whence)?;
    let mut known = place::known(conn, &keys(change.messages.iter()))?;
    let mut names = match &whence {
        Whence::There(mailbox) => mailbox::keywords(conn, mailbox)?,
        Whence::Noted(_, names) => names.clone(),
        Whence::New => Vec::new(),
    };
    let before = names.len();
    let (mut coming, mut placed) = (Vec::new(), Vec::new());
    for from in &change.messages {
        if here.has(from) {
            placed.push(None);
            continue;
        }
        let size = check::octets(from.blob.size)?;
        let key = from.blob.key.as_str();
        let body = known.get(key);
        let new = body.is_none();
        match body {
            Some(body) => body.fits(change.account, &from.blob, size)?,
            None => {
                // Where it is born is not known yet, and nobody asks.
                let born = Known::born(change.account, MailboxId(0), &from.blob, size);
                known.insert(key.to_owned(), born);
            }
        }
        let keywords = match &change.from {
            ExpungedFrom::Unknown => Flags(0),
            _ => check::keywords(&mut names, &from.keywords, check::Unknown::Add)?,
        };
        let modseq = i64::try_from(from.modseq.0).map_err(|_| Error::Invalid("not a MODSEQ"))?;
        coming.push(Row {
            from,
            modseq,
            keywords: keywords.0 as i64,
            size,
            new,
        });
        placed.push(Some(from.uid));
    }
    if coming.is_empty() {
        return Ok(Outcome::Placed(placed));
    }
    let id = match &whence {
        Whence::There(mailbox) => {
            let added = names.get(before..).unwrap_or_default();
            mailbox::keyword_bits(conn, mailbox, added, check::Unknown::Add)?;
            mailbox.id
        }
        Whence::Noted(id, _) => {
            if names.len() > before {
                restore::note_keywords(conn, change.account, *id, &names)?;
            }
            *id
        }
        Whence::New => {
            let id = MailboxId(counter::raise(conn, "mailbox", 1)?);
            if let ExpungedFrom::Gone { name, deleted } = &change.from {
                restore::note_as(conn, change.account, id, (name, &names), *deleted)?;
            }
            id
        }
    };
    write_bodies(conn, change, id, &coming)?;
    write_rows(conn, change, id, &coming)?;
    Ok(Outcome::Placed(placed))
}

fn whence(conn: &mut Conn, change: &PlaceExpunged) -> Result<Whence, Fault> {
    match &change.from {
        ExpungedFrom::There(id) => {
            let mailbox = mailbox::owned(conn, change.account, *id)?;
            let mut all = change.messages.iter();
            all.try_for_each(|it| check::went_from(&mailbox, it))?;
            Ok(Whence::There(mailbox))
        }
        ExpungedFrom::Gone { name, deleted } => {
            let noted = restore::noted(conn, change.account, name, *deleted)?;
            Ok(noted.map_or(Whence::New, |(id, names)| Whence::Noted(id, names)))
        }
        ExpungedFrom::Unknown => Ok(Whence::New),
    }
}

/// What was placed before, or has a UID that nothing else may have.
enum Here {
    Uids(HashSet<i64>),
    /// Nobody noted which mailbox it was, so UID, time and body tell together.
    Unnamed(HashSet<(i64, i64, String)>),
}

impl Here {
    fn has(&self, from: &PlacedExpunged) -> bool {
        let uid = i64::from(from.uid.0);
        match self {
            Here::Uids(uids) => uids.contains(&uid),
            Here::Unnamed(all) => {
                all.contains(&(uid, from.expunged.0, from.blob.key.as_str().to_owned()))
            }
        }
    }
}

fn here(conn: &mut Conn, change: &PlaceExpunged, whence: &Whence) -> Result<Here, Fault> {
    let uids: Vec<Uid> = change.messages.iter().map(|it| it.uid).collect();
    let list = sql::uid_list(&uids);
    if change.from == ExpungedFrom::Unknown {
        let found = rows::<(BigInt, BigInt, Text), (i64, i64, String)>(
            conn,
            concat!(
                "SELECT e.uid, e.expunged_at, b.key FROM expunged e JOIN blob b ON ",
                same_account!("b", "e"),
                "b.id = e.blob_id WHERE e.account_id = ? AND e.uid ? \
                 AND NOT EXISTS (SELECT 1 FROM mailbox m WHERE m.account_id = e.account_id AND m.id = e.mailbox_id) \
                 AND NOT EXISTS (SELECT 1 FROM gone_mailbox g WHERE g.account_id = e.account_id AND g.id = e.mailbox_id)",
            ),
            &[Bind::Number(change.account.0), Bind::Among(&list)],
        )?;
        return Ok(Here::Unnamed(found.into_iter().collect()));
    }
    let id = match whence {
        Whence::There(mailbox) => mailbox.id,
        Whence::Noted(id, _) => *id,
        Whence::New => return Ok(Here::Uids(HashSet::new())),
    };
    let found = rows::<(BigInt,), (i64,)>(
        conn,
        "SELECT uid FROM expunged WHERE account_id = ? AND mailbox_id = ? AND uid ? \
         UNION ALL SELECT uid FROM message WHERE account_id = ? AND mailbox_id = ? AND uid ?",
        &[
            Bind::Number(change.account.0),
            Bind::Number(id.0),
            Bind::Among(&list),
            Bind::Number(change.account.0),
            Bind::Number(id.0),
            Bind::Among(&list),
        ],
    )?;
    Ok(Here::Uids(found.into_iter().map(|(uid,)| uid).collect()))
}

fn keys<'a>(messages: impl Iterator<Item = &'a PlacedExpunged>) -> Vec<&'a str> {
    messages.map(|it| it.blob.key.as_str()).collect()
}

/// Writes the bodies that are new, and what was read from them.
fn write_bodies(
    conn: &mut Conn,
    change: &PlaceExpunged,
    mailbox: MailboxId,
    coming: &[Row<'_>],
) -> Result<(), Fault> {
    let mut born = Vec::new();
    for row in coming.iter().filter(|it| it.new) {
        born.push(Born {
            blob: &row.from.blob,
            size: row.size,
            line_size: place::line_size(&row.from.blob)?,
            uid: row.from.uid.0.into(),
            modseq: row.modseq,
        });
    }
    match born.is_empty() {
        true => Ok(()),
        false => append::bodies(conn, change.account, mailbox, &born),
    }
}

fn write_rows(
    conn: &mut Conn,
    change: &PlaceExpunged,
    mailbox: MailboxId,
    coming: &[Row<'_>],
) -> Result<(), Fault> {
    let ids = place::ids(conn, &keys(coming.iter().map(|it| it.from)))?;
    let mut values = Vec::with_capacity(coming.len());
    for row in coming {
        let from = row.from;
        let blob = ids.get(from.blob.key.as_str()).copied();
        let blob =
            blob.ok_or_else(|| Error::Corrupt("a body that was written is not there".to_owned()))?;
        values.push((
            expunged::account_id.eq(change.account.0),
            expunged::mailbox_id.eq(mailbox.0),
            expunged::uid.eq(i64::from(from.uid.0)),
            expunged::modseq.eq(row.modseq),
            expunged::recoverable.eq(true),
            expunged::flags.eq((from.flags.0 & Flags::SYSTEM.0) as i64),
            expunged::keywords.eq(row.keywords),
            expunged::size.eq(row.size),
            expunged::internal_date.eq(from.internal_date.0),
            expunged::expunged_at.eq(from.expunged.0),
            expunged::blob_id.eq(blob),
        ));
    }
    insert_into(expunged::table).values(&values).execute(conn)?;
    Ok(())
}
