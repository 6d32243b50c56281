//! The rows that appends read, in one way to the server, and those that they write, in another.

use std::collections::HashMap;

use futures_util::try_join;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::ledger::{Account, Known, Ledger, Mailbox, State};
use crate::{
    Error,
    index::{
        self, Append,
        postgres::{
            Conn,
            conn::Value,
            fault::{Fault, number},
            mailbox::Shift,
            place::Born,
        },
    },
};

const ACCOUNTS: &str =
    "SELECT id::bigint, quota, used_quota FROM virtual_users WHERE id = ANY ($1)";
const MAILBOXES: &str = "SELECT id, account_id, uid_validity, uid_next, highest_modseq FROM mailbox \
    WHERE account_id = ANY ($1) AND id = ANY ($2) AND selectable";
const KNOWN: &str = "SELECT key, id, account_id, size, sha256, birth_mailbox, birth_uid, birth_modseq, \
    doomed IS NOT NULL FROM blob WHERE key = ANY ($1)";
const KEYWORDS: &str = "SELECT mailbox_id, number, name FROM mailbox_keyword \
    WHERE account_id = ANY ($1) AND mailbox_id = ANY ($2) ORDER BY mailbox_id, number";
const PLACES: &str = "SELECT DISTINCT ON (mailbox_id, blob_id) blob_id, mailbox_id, uid, modseq FROM message \
    WHERE account_id = ANY ($1) AND blob_id = ANY ($2) ORDER BY mailbox_id, blob_id, uid";

const NEW_BODIES: &str = "INSERT INTO blob \
    (account_id, key, size, sha256, birth_mailbox, birth_uid, birth_modseq, line_size, id) \
    SELECT account, key, size, sha256, mailbox, uid, modseq, line_size, nextval('blob_number') \
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[]) \
    WITH ORDINALITY AS n (account, key, size, sha256, mailbox, uid, modseq, line_size, place) ORDER BY place";
const NEW_SUMMARIES: &str = "INSERT INTO summary (account_id, blob_id, octets) \
    SELECT b.account_id, b.id, n.octets FROM unnest($1::text[], $2::bytea[]) AS n (key, octets) JOIN blob b ON b.key = n.key";
const NEW_MESSAGES: &str = "INSERT INTO message \
    (account_id, mailbox_id, uid, modseq, flags, size, internal_date, save_date, blob_id) \
    SELECT n.account, n.mailbox, n.uid, n.modseq, n.flags, n.size, n.internal_date, n.save_date, b.id \
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
    $8::bigint[], $9::text[]) AS n (account, mailbox, uid, modseq, flags, size, internal_date, save_date, key) \
    JOIN blob b ON b.key = n.key";
const NEW_KEYWORDS: &str = "INSERT INTO mailbox_keyword (account_id, mailbox_id, number, name) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])";
const COUNTERS: &str = "UPDATE mailbox m SET messages = m.messages + n.messages, unseen = m.unseen + n.unseen, \
    deleted = m.deleted + n.deleted, size = m.size + n.size, uid_next = n.uid_next, highest_modseq = n.modseq \
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
    $8::bigint[]) AS n (account, id, messages, unseen, deleted, size, uid_next, modseq) \
    WHERE m.account_id = n.account AND m.id = n.id";
const CHARGES: &str = "UPDATE virtual_users u SET used_quota = n.used \
    FROM unnest($1::bigint[], $2::bigint[]) AS n (id, used) WHERE u.id = n.id";

/// What is to be read.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) accounts: Vec<i64>,
    pub(super) mailboxes: Vec<i64>,
    pub(super) keys: Vec<String>,
    pub(super) keywords: bool,
}

/// A message to be written.
#[derive(Debug)]
pub(super) struct NewMessage<'a> {
    pub(super) change: &'a Append,
    pub(super) uid: i64,
    pub(super) modseq: i64,
    pub(super) flags: i64,
    pub(super) size: i64,
    pub(super) blob: i64,
    /// Its body's row too, with its size as lines.
    pub(super) body: Option<Option<i64>>,
}

impl NewMessage<'_> {
    fn key(&self) -> String {
        self.change.blob.key.as_str().to_owned()
    }
}

/// Reads it; behind what goes ahead, which holds the accounts.
pub(super) fn read<'a>(conn: &mut Conn, wanted: &Wanted) -> Result<Ledger<'a>, Fault> {
    let accounts = [(param(&wanted.accounts), Type::INT8_ARRAY)];
    let mailboxes = [
        (param(&wanted.accounts), Type::INT8_ARRAY),
        (param(&wanted.mailboxes), Type::INT8_ARRAY),
    ];
    let keys = [(param(&wanted.keys), Type::TEXT_ARRAY)];
    let found = conn.with(async |client| {
        let keywords = async {
            match wanted.keywords {
                true => client.query_typed(KEYWORDS, &mailboxes).await,
                false => Ok(Vec::new()),
            }
        };
        try_join!(
            client.query_typed(ACCOUNTS, &accounts),
            client.query_typed(MAILBOXES, &mailboxes),
            client.query_typed(KNOWN, &keys),
            keywords,
        )
    })?;
    let (accounts, mailboxes, known, keywords) = found;
    let mut ledger = Ledger {
        state: state(&accounts, &mailboxes, &known, &keywords)?,
        ..Ledger::default()
    };
    if !ledger.state.known.is_empty() {
        let bodies: Vec<i64> = ledger.state.known.values().map(|it| it.id).collect();
        let of = [
            (param(&wanted.accounts), Type::INT8_ARRAY),
            (param(&bodies), Type::INT8_ARRAY),
        ];
        let found = conn.with(async |client| client.query_typed(PLACES, &of).await)?;
        for row in &found {
            let place = ((get(row, 0)?, get(row, 1)?), (get(row, 2)?, get(row, 3)?));
            ledger.places.insert(place.0, place.1);
        }
    }
    Ok(ledger)
}

fn param<T: ToSql + Sync>(value: &T) -> &(dyn ToSql + Sync) {
    value
}

fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Error> {
    row.try_get(at).map_err(|it| Error::Corrupt(it.to_string()))
}

fn state(
    accounts: &[Row],
    mailboxes: &[Row],
    known: &[Row],
    keywords: &[Row],
) -> Result<State, Error> {
    let mut state = State::default();
    for row in accounts {
        let quota: Option<i64> = get(row, 1)?;
        let account = Account {
            quota: quota.map(|it| number(it, "quota")).transpose()?,
            used: number(get(row, 2)?, "used quota")?,
            touched: false,
        };
        state.accounts.insert(get(row, 0)?, account);
    }
    let mut names: HashMap<i64, Vec<String>> = HashMap::new();
    for row in keywords {
        let of_mailbox = names.entry(get(row, 0)?).or_default();
        if usize::try_from(get::<i64>(row, 1)?) != Ok(of_mailbox.len()) {
            return Err(Error::Corrupt("keyword numbers have a gap".to_owned()));
        }
        of_mailbox.push(get(row, 2)?);
    }
    for row in mailboxes {
        let id = get(row, 0)?;
        let keywords = names.remove(&id).unwrap_or_default();
        let mailbox = Mailbox {
            account: get(row, 1)?,
            uid_validity: number(get(row, 2)?, "UIDVALIDITY")?,
            uid_next: number(get(row, 3)?, "UIDNEXT")?,
            highest_modseq: number(get(row, 4)?, "HIGHESTMODSEQ")?,
            shift: Shift::default(),
            touched: false,
            keywords_kept: keywords.len(),
            keywords,
        };
        state.mailboxes.insert(id, mailbox);
    }
    for row in known {
        let body = Known {
            id: get(row, 1)?,
            account: get(row, 2)?,
            size: get(row, 3)?,
            sha256: get(row, 4)?,
            birth_mailbox: get(row, 5)?,
            birth_uid: get(row, 6)?,
            birth_modseq: get(row, 7)?,
            doomed: get(row, 8)?,
        };
        state.known.insert(get(row, 0)?, body);
    }
    Ok(state)
}

/// Writes bodies that came from elsewhere, and what was read from them.
pub(in crate::index::postgres) fn bodies(
    conn: &mut Conn,
    account: index::AccountId,
    mailbox: index::MailboxId,
    born: &[Born<'_>],
) -> Result<(), Fault> {
    let all = || born.iter();
    conn.send_typed_ahead(
        NEW_BODIES,
        vec![
            numbers(all().map(|_| account.0)),
            texts(all().map(|it| it.blob.key.as_str().to_owned())),
            numbers(all().map(|it| it.size)),
            octets(all().map(|it| it.blob.sha256.to_vec())),
            numbers(all().map(|_| mailbox.0)),
            numbers(all().map(|it| it.uid)),
            numbers(all().map(|it| it.modseq)),
            (
                Box::new(all().map(|it| it.line_size).collect::<Vec<_>>()),
                Type::INT8_ARRAY,
            ),
        ],
    );
    conn.send_typed_ahead(
        NEW_SUMMARIES,
        vec![
            texts(all().map(|it| it.blob.key.as_str().to_owned())),
            octets(all().map(|it| it.blob.summary.clone())),
        ],
    );
    Ok(())
}

/// Lets all rows go ahead of what comes next.
pub(super) fn write(conn: &mut Conn, ledger: Ledger<'_>) {
    if ledger.messages.is_empty() {
        return;
    }
    let bodies = || ledger.messages.iter().filter(|it| it.body.is_some());
    if bodies().next().is_some() {
        conn.send_typed_ahead(
            NEW_BODIES,
            vec![
                numbers(bodies().map(|it| it.change.account.0)),
                texts(bodies().map(|it| it.key())),
                numbers(bodies().map(|it| it.size)),
                octets(bodies().map(|it| it.change.blob.sha256.to_vec())),
                numbers(bodies().map(|it| it.change.mailbox.0)),
                numbers(bodies().map(|it| it.uid)),
                numbers(bodies().map(|it| it.modseq)),
                (
                    Box::new(bodies().map(|it| it.body.flatten()).collect::<Vec<_>>()),
                    Type::INT8_ARRAY,
                ),
            ],
        );
        conn.send_typed_ahead(
            NEW_SUMMARIES,
            vec![
                texts(bodies().map(|it| it.key())),
                octets(bodies().map(|it| it.change.blob.summary.clone())),
            ],
        );
    }
    let all = || ledger.messages.iter();
    conn.send_typed_ahead(
        NEW_MESSAGES,
        vec![
            numbers(all().map(|it| it.change.account.0)),
            numbers(all().map(|it| it.change.mailbox.0)),
            numbers(all().map(|it| it.uid)),
            numbers(all().map(|it| it.modseq)),
            numbers(all().map(|it| it.flags)),
            numbers(all().map(|it| it.size)),
            numbers(all().map(|it| it.change.internal_date.0)),
            numbers(all().map(|it| it.change.now.0)),
            texts(all().map(|it| it.key())),
        ],
    );
    write_keywords(conn, &ledger.state);
    let mut mailboxes: Vec<_> = ledger.state.mailboxes.iter().collect();
    mailboxes.retain(|(_, it)| it.touched);
    let each = || mailboxes.iter().map(|(_, it)| *it);
    conn.send_typed_ahead(
        COUNTERS,
        vec![
            numbers(each().map(|it| it.account)),
            numbers(mailboxes.iter().map(|(id, _)| **id)),
            numbers(each().map(|it| it.shift.messages)),
            numbers(each().map(|it| it.shift.unseen)),
            numbers(each().map(|it| it.shift.deleted)),
            numbers(each().map(|it| it.shift.size)),
            numbers(each().map(|it| it.uid_next.into())),
            // What was counted up from the column fits it.
            numbers(each().map(|it| it.highest_modseq as i64)),
        ],
    );
    let mut accounts: Vec<_> = ledger.state.accounts.iter().collect();
    accounts.retain(|(_, it)| it.touched);
    conn.send_typed_ahead(
        CHARGES,
        vec![
            numbers(accounts.iter().map(|(id, _)| **id)),
            numbers(accounts.iter().map(|(_, it)| it.used as i64)),
        ],
    );
}

fn write_keywords(conn: &mut Conn, state: &State) {
    let mut new: Vec<(i64, i64, i64, String)> = Vec::new();
    for (id, mailbox) in &state.mailboxes {
        let names = (0i64..).zip(&mailbox.keywords);
        let names = names.skip(mailbox.keywords_kept);
        new.extend(names.map(|(number, name)| (mailbox.account, *id, number, name.clone())));
    }
    if new.is_empty() {
        return;
    }
    conn.send_typed_ahead(
        NEW_KEYWORDS,
        vec![
            numbers(new.iter().map(|it| it.0)),
            numbers(new.iter().map(|it| it.1)),
            numbers(new.iter().map(|it| it.2)),
            texts(new.into_iter().map(|it| it.3)),
        ],
    );
}

fn numbers(values: impl Iterator<Item = i64>) -> (Value, Type) {
    (Box::new(values.collect::<Vec<_>>()), Type::INT8_ARRAY)
}

fn texts(values: impl Iterator<Item = String>) -> (Value, Type) {
    (Box::new(values.collect::<Vec<_>>()), Type::TEXT_ARRAY)
}

fn octets(values: impl Iterator<Item = Vec<u8>>) -> (Value, Type) {
    (Box::new(values.collect::<Vec<_>>()), Type::BYTEA_ARRAY)
}
