//! `core/LIMITS.md` against the code: every limit has one row there, and every row is true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use postrider_protocol::imap::session::{self as imap, ImapSession};
use postrider_protocol::imap::syntax::{fetch, flag, list, mailbox, pattern, section};
use postrider_protocol::message::{address, dsn, parameter};
use postrider_protocol::pop3::{self, Pop3Session};
use postrider_protocol::sasl::{PASSWORD_LIMIT, PlaintextLogin, RESPONSE_LIMIT, USER_LIMIT};
use postrider_protocol::session::{Action, Input, Session};
use postrider_protocol::smtp;
use postrider_protocol::tls::Tls;
use postrider_storage::index::{KEYWORD_LIMIT, MAILBOX_LIMIT, SqliteIndex};

use super::*;
use crate::auth::password;
use crate::auth::resolver::{PATIENCE, PLACES};
use crate::config::{Config, KEYS};
use crate::telemetry::metrics::METRICS;

const PAGE: &str = include_str!("../../../LIMITS.md");
const EXAMPLE: &str = include_str!("../../../../examples/postrider.toml");

/// One limit.
#[derive(Debug)]
struct Row {
    what: String,
    setting: String,
    default: String,
    unit: String,
    told: String,
    counted: String,
}

fn rows() -> Vec<Row> {
    let rows = PAGE.lines().filter(|line| {
        line.starts_with("| ") && !line.starts_with("| What") && !line.starts_with("| ---")
    });
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [what, setting, default, unit, told, counted] = cells[..] else {
            panic!("a row without six cells: {line}");
        };
        Row {
            what: what.to_owned(),
            setting: setting.trim_matches('`').to_owned(),
            default: default.to_owned(),
            unit: unit.to_owned(),
            told: told.to_owned(),
            counted: counted.trim_matches('`').to_owned(),
        }
    };
    let rows: Vec<_> = rows.map(row).collect();
    assert!(rows.len() > 50, "the rows are read");
    rows
}

/// The defaults as the example shows them, which the configuration's own tests hold against what is read.
fn defaults() -> BTreeMap<String, String> {
    let mut section = String::new();
    let mut defaults = BTreeMap::new();
    for line in EXAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, value)) =
            line.strip_prefix('#').and_then(|it| it.split_once(" = "))
            && key
                .bytes()
                .all(|octet| octet.is_ascii_lowercase() || octet == b'_')
        {
            defaults.insert(
                format!("{section}.{key}"),
                value.trim_matches('"').to_owned(),
            );
        }
    }
    defaults
}

#[test]
fn every_row_has_its_default_and_says_what_happens() {
    let defaults = defaults();
    for row in rows() {
        assert!(!row.unit.is_empty() && !row.told.is_empty(), "{row:?}");
        if row.setting == "fixed" {
            continue;
        }
        assert!(KEYS.contains(&row.setting.as_str()), "no such key: {row:?}");
        let default = defaults.get(&row.setting);
        assert_eq!(default, Some(&row.default), "{row:?}");
    }
}

#[test]
fn every_setting_that_bounds_something_has_one_row() {
    let bounds = |key: &&&str| {
        let sections = ["limits.", "deadlines.", "queues.", "auth.throttle."];
        let single = [
            "smtp.recipients",
            "smtp.accounts",
            "smtp.hop_count",
            "auth.hash_wait",
        ];
        sections.iter().any(|it| key.starts_with(it)) || single.contains(*key)
    };
    let rows = rows();
    // Networks, not a number.
    for key in KEYS
        .iter()
        .filter(bounds)
        .filter(|it| **it != "limits.exempt")
    {
        let count = rows.iter().filter(|row| row.setting == *key).count();
        assert_eq!(count, 1, "{key}");
    }
    let mut names: Vec<_> = rows.iter().map(|row| &row.what).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), rows.len(), "two rows of one name");
}

#[test]
fn every_limit_is_counted_by_a_metric_that_exists() {
    let mut counted = BTreeSet::new();
    for row in rows() {
        let (name, label) = row.counted.split_once('{').unwrap_or((&row.counted, ""));
        let metric = METRICS.iter().find(|it| it.name == name);
        let metric = metric.unwrap_or_else(|| panic!("no such metric: {row:?}"));
        let value = label.split('"').nth(1).unwrap_or_default();
        match name {
            LIMITS_REACHED => {
                assert!(Limit::ALL.iter().any(|it| it.name() == value), "{row:?}");
                counted.insert(value.to_owned());
            }
            // The table of metrics names the values of their labels.
            _ if value.is_empty() || label.starts_with("actor") => {}
            _ => assert!(metric.help.contains(value), "{row:?}"),
        }
    }
    let all: BTreeSet<_> = Limit::ALL.iter().map(|it| it.name().to_owned()).collect();
    assert_eq!(counted, all, "limits that the page does not know");
}

#[test]
fn fixed_numbers_are_those_of_the_code() {
    let rows = rows();
    let is = |what: &str, number: u64| {
        let mut found = rows.iter().filter(|row| row.what.starts_with(what));
        let row = found.next().unwrap_or_else(|| panic!("no row: {what}"));
        assert_eq!(
            (row.setting.as_str(), &row.default),
            ("fixed", &number.to_string()),
            "{what}"
        );
    };
    let pop3 = Pop3Session::new(Arc::new(pop3::Config::default()));
    is("A line of POP3", pop3.line_limit() as u64 + 2);
    is(
        "A line of SMTP",
        postrider_protocol::smtp::LINE_LIMIT as u64,
    );
    is("A message after DATA", crate::connection::ENDLESS);
    is("Octets behind our goodbye", crate::connection::UNHEARD);
    is("A chunk of BDAT", postrider_protocol::smtp::CHUNK_LIMIT);
    is("A response of a SASL", RESPONSE_LIMIT as u64);
    is("A new password", password::PASSWORD_LIMIT as u64);
    is(
        "A password compared",
        password::FOREIGN_PASSWORD_LIMIT as u64,
    );
    is("Cost of a hash of bcrypt", password::COST_LIMIT.into());
    is(
        "Rounds of a hash of SHA-crypt",
        password::SHA_CRYPT_ROUNDS as u64,
    );
    is("Iterations of a hash", password::PBKDF2_ITERATIONS.into());
    is("Memory of a hash of Argon2", password::ARGON2_MEMORY.into());
    is(
        "Memory times passes of a hash of Argon2",
        password::ARGON2_WORK,
    );
    is("Memory of a hash of yescrypt", password::YESCRYPT_MEMORY);
    is(
        "All hashes of Argon2 and yescrypt",
        password::ARGON2_MEMORY_TOGETHER.into(),
    );
    is("Items of a FETCH", fetch::ITEMS as u64);
    is("Header fields of a FETCH", section::FIELDS as u64);
    is("Levels of a part number", section::LEVELS as u64);
    is("Patterns of a LIST", list::PATTERNS as u64);
    is("Mailboxes of an account", MAILBOX_LIMIT);
    is("Pipelined octets", crate::net::buffer::CAPACITY as u64);
    is(
        "Accounts that one recipient",
        crate::directory::TARGETS as u64,
    );
    is("Parameters of a header field", parameter::PARAMETERS as u64);
    is(
        "Metrics and health",
        crate::telemetry::http::CONNECTIONS as u64,
    );
    is(
        "Header of a request",
        crate::telemetry::http::HEADER_OCTETS as u64,
    );
    is(
        "A PROXY header of version 2",
        crate::net::proxy_protocol::BINARY_MAX as u64,
    );
    is("A pattern of a LIST", pattern::PATTERN_LIMIT as u64);
    is("Flags of a STORE", flag::FLAG_LIMIT as u64);
    is("A keyword", flag::KEYWORD_LENGTH as u64);
    is("The name of a mailbox", mailbox::NAME_LIMIT as u64);
    is(
        "Levels of the name of a mailbox",
        mailbox::LEVEL_LIMIT as u64,
    );
    is("Keywords of a mailbox", KEYWORD_LIMIT as u64);
    is("A user name", USER_LIMIT as u64);
    is("A password that a client sends", PASSWORD_LIMIT as u64);
    is("The local part of an address", address::LOCAL_LIMIT as u64);
    is("An address", address::ADDRESS_LIMIT as u64);
    is("An ENVID", smtp::dsn::ID_LIMIT as u64);
    is("An ORCPT", smtp::dsn::ORIGINAL_LIMIT as u64);
    is("Aliases behind each other", crate::directory::DEPTH as u64);
    is(
        "Recipients of a message over LMTP",
        crate::delivery::EACH_AT_ONCE as u64,
    );
    is(
        "Copies of a message that are written",
        crate::delivery::AT_ONCE as u64,
    );
    is("Header of a message in a report", dsn::HEADER as u64);
    is(
        "A filter looks at a message",
        crate::filter::chain::DEADLINE.as_secs(),
    );
    is("A login resolver before the last", PATIENCE.as_secs());
    is("Logins that a resolver works on", PLACES as u64);
    is(
        "Logins that are remembered",
        crate::auth::cache::LIMIT as u64,
    );
    is("Addresses, accounts and domains", rates::COUNTS as u64);
    is(
        "Messages whose summaries a session reads",
        postrider_protocol::imap::ask::MESSAGES_PER_ASK as u64,
    );
    is(
        "Their summaries, or one alone",
        postrider_storage::index::SUMMARIES_LIMIT as u64,
    );
    is("Reads that wait for the index", SqliteIndex::READS as u64);
    is("A read waits", SqliteIndex::READ_WAIT.as_secs());
}

/// Where the number is nowhere but in the command.
#[test]
fn an_id_has_thirty_fields() {
    let said = |fields: usize| {
        let mut session = ImapSession::new(imap::Config {
            hostname: "a.test".to_owned(),
            tls: Tls::Implicit,
            plaintext_login: PlaintextLogin::Refused,
            limits: imap::Limits::default(),
        });
        session.on(Input::Open);
        let line = format!("a ID ({})", vec!["\"k\" \"v\""; fields].join(" "));
        let actions = session.on(Input::Line(line.as_bytes()));
        let text = |action: &Action<_>| match action {
            Action::Write(octets) => String::from_utf8_lossy(octets).into_owned(),
            _ => String::new(),
        };
        actions.iter().map(text).collect::<String>()
    };
    let row = rows().into_iter().find(|row| row.what == "Fields of an ID");
    let limit: usize = row.expect("a row").default.parse().expect("a number");
    assert!(said(limit).contains("a OK"), "{}", said(limit));
    assert_eq!(said(limit + 1), format!("a BAD at most {limit} fields\r\n"));
}

#[test]
fn the_defaults_of_the_parts_are_those_of_the_configuration() {
    let config = Config::embedded("/nowhere".as_ref());
    let (limits, queues) = (&config.limits, config.queues);
    assert_eq!(
        of_messages(limits),
        postrider_protocol::message::mime::Limits::default()
    );
    assert_eq!(queues.mailbox as usize, crate::mailbox::PLACES);
    assert_eq!(queues.mailboxes as usize, crate::mailbox::OPEN);
    assert_eq!(queues.summaries.0, crate::mailbox::SUMMARIES);
    assert_eq!(queues.hasher as usize, crate::auth::PLACES);
    let usual = postrider_protocol::smtp::Config::default();
    assert_eq!(
        (limits.errors, limits.chatter),
        (usual.errors, usual.chatter)
    );
    let net = crate::net::limit::Limits::from(limits);
    assert_eq!(net, crate::net::limit::Limits::default());
    assert_eq!(
        u64::from(limits.slowest),
        crate::net::deadline::Pace::default().floor
    );
}
