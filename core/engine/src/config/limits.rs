//! `[limits]`, `[deadlines]` and `[retention]`: how much, how long. `core/LIMITS.md` is the operator's table.

use std::time::Duration;

use ipnet::IpNet;

use super::{ByteCount, Keep, source::Table};

/// How much of what there may be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Octets of a message.
    pub message_size: ByteCount,
    /// Connections in all.
    pub connections: u32,
    /// Connections of one address; a whole office may sit behind it.
    pub connections_per_ip: u32,
    /// Connections of one address that have not logged in.
    pub connections_before_login_per_ip: u32,
    /// Logged-in connections of one account.
    pub connections_per_account: u32,
    /// What message bodies in flight may hold in this process.
    pub memory: ByteCount,
    /// Octets of an IMAP line before login.
    pub line_before_login: ByteCount,
    /// Octets of an IMAP line.
    pub line: ByteCount,
    /// Octets of an IMAP command with its literals before login.
    pub command_before_login: ByteCount,
    /// Octets of an IMAP command with its literals, but for a message that is appended.
    pub command: ByteCount,
    /// Levels of parentheses and search keys in an IMAP command.
    pub nesting: u32,
    /// Elements of a list or a sequence set in an IMAP command.
    pub elements: u32,
    /// Keys of a search.
    pub search_keys: u32,
    /// Errors in a row of an IMAP client that has not logged in before the connection is closed.
    pub errors_before_login: u32,
    /// Errors before the connection is closed; over IMAP those in a row.
    pub errors: u32,
    /// Failed logins on one IMAP connection before it is closed.
    pub login_failures: u32,
    /// Commands of SMTP that bring no mail forward (NOOP, RSET, VRFY) before each counts as an error.
    pub chatter: u32,
    /// Parts of a message that are told apart.
    pub mime_parts: u32,
    /// Parts inside each other that are looked into.
    pub mime_depth: u32,
    /// Fields of a header that are read.
    pub header_fields: u32,
    /// Octets of a header that are read.
    pub header_size: ByteCount,
    /// Addresses of a message that are kept for message lists.
    pub addresses: u32,
    /// Octets of header values of a message that are kept for message lists.
    pub kept: ByteCount,
    /// Octets a second that a body must reach on average, in either direction.
    pub slowest: u32,
    /// Peers that are never throttled, banned or counted per address.
    pub exempt: Vec<IpNet>,
    /// How much may be sent within a window of time.
    pub rates: Rates,
}

/// How much a client, an account and a domain may send within a window of time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rates {
    /// How long a message counts.
    pub window: Duration,
    /// Messages of an address that has not logged in (IPv6: its /64).
    pub messages_per_ip: u32,
    /// Their recipients.
    pub recipients_per_ip: u32,
    /// Messages of an account.
    pub messages_per_account: u32,
    /// Their recipients.
    pub recipients_per_account: u32,
    /// Messages of all accounts of a domain.
    pub messages_per_domain: u32,
    /// Their recipients.
    pub recipients_per_domain: u32,
}

impl Limits {
    /// Whether this peer is never throttled, banned or counted per address.
    pub fn is_exempt(&self, peer: std::net::IpAddr) -> bool {
        self.exempt.iter().any(|net| net.contains(&peer))
    }
}

/// How long a peer, or we, may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadlines {
    /// For the PROXY header, and for the TLS handshake.
    pub handshake: Duration,
    /// For the next line of a peer that has not greeted or logged in.
    pub greeting: Duration,
    /// From the beginning to the login, whatever is said meanwhile; where nobody logs in there is none.
    pub login: Duration,
    /// From the first octet of a line to its end.
    pub line: Duration,
    /// For the next command.
    pub command: Duration,
    /// For a client in IMAP IDLE, or with a mailbox selected and silent.
    pub idle: Duration,
    /// For the next octets of a message or literal.
    pub data: Duration,
    /// For a peer to take what we write.
    pub write: Duration,
    /// For our own answer to a command, before it becomes "try again later".
    pub answer: Duration,
    /// How long a POP3 session that a dead host had keeps others from its maildrop, where several hosts share the index.
    pub maildrop: Duration,
    /// For open commands when the server goes down.
    pub drain: Duration,
}

/// How long what is no longer needed is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retention {
    /// Deleted mail can be brought back so long (I10).
    pub expunged: Duration,
    /// Temporary files and broken uploads go after this.
    pub temporary: Duration,
    /// Mail that POP3 has retrieved goes after this, where its account says nothing.
    pub retrieved: Keep,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Reads `[limits]`.
pub(super) fn read_limits(root: &Table<'_>) -> Limits {
    let table = root.table("limits");
    let many = 1..=10_000_000;
    let kib = |count: u64| ByteCount(count << 10);
    Limits {
        message_size: table.within(
            "message_size",
            ByteCount::mebibytes(100),
            ByteCount(64 << 10)..=ByteCount::mebibytes(2047),
        ),
        connections: table.within("connections", 10_000, many.clone()),
        connections_per_ip: table.within("connections_per_ip", 1000, many.clone()),
        connections_before_login_per_ip: table.within(
            "connections_before_login_per_ip",
            100,
            many.clone(),
        ),
        connections_per_account: table.within("connections_per_account", 50, many),
        memory: table.within(
            "memory",
            ByteCount::mebibytes(1024),
            ByteCount::mebibytes(16)..=ByteCount(1 << 50),
        ),
        line_before_login: table.within(
            "line_before_login",
            kib(40),
            kib(1)..=ByteCount::mebibytes(1),
        ),
        line: table.within("line", kib(64), kib(8)..=ByteCount::mebibytes(16)),
        command_before_login: table.within(
            "command_before_login",
            kib(40),
            kib(2)..=ByteCount::mebibytes(1),
        ),
        command: table.within("command", kib(256), kib(16)..=ByteCount::mebibytes(64)),
        nesting: table.within("nesting", 50, 5..=100),
        elements: table.within("elements", 10_000, 100..=1_000_000),
        search_keys: table.within("search_keys", 1000, 10..=100_000),
        errors_before_login: table.within("errors_before_login", 3, 1..=1000),
        errors: table.within("errors", 20, 1..=100_000),
        login_failures: table.within("login_failures", 3, 1..=1000),
        chatter: table.within("chatter", 100, 1..=1_000_000),
        mime_parts: table.within("mime_parts", 1000, 10..=9000),
        mime_depth: table.within("mime_depth", 50, 5..=100),
        header_fields: table.within("header_fields", 1000, 50..=100_000),
        header_size: table.within("header_size", kib(256), kib(16)..=kib(1024)),
        addresses: table.within("addresses", 2000, 10..=9000),
        kept: table.within("kept", kib(256), kib(16)..=kib(768)),
        slowest: table.within("slowest", 100, 1..=1_000_000),
        exempt: table
            .list("exempt")
            .into_iter()
            .map(|it| it.value)
            .collect(),
        rates: read_rates(&table.table("rates")),
    }
}

fn read_rates(table: &Table<'_>) -> Rates {
    let count = |key: &str, default: u32| table.within(key, default, 1..=1_000_000_000);
    Rates {
        window: table.within("window", 60 * MINUTE, SECOND..=30 * DAY),
        messages_per_ip: count("messages_per_ip", 10_000),
        recipients_per_ip: count("recipients_per_ip", 50_000),
        messages_per_account: count("messages_per_account", 1000),
        recipients_per_account: count("recipients_per_account", 5000),
        messages_per_domain: count("messages_per_domain", 10_000),
        recipients_per_domain: count("recipients_per_domain", 50_000),
    }
}

/// Reads `[deadlines]`.
pub(super) fn read_deadlines(root: &Table<'_>) -> Deadlines {
    let table = root.table("deadlines");
    let bounds = Duration::from_millis(10)..=7 * DAY;
    let warn_below = |key: &str, least: Duration, why: &str| {
        if let Some(found) = table.get::<Duration>(key).filter(|it| it.value < least) {
            let message = format!("deadlines.{key}: {why}");
            table.source.warning(Some(found.at), message);
        }
    };
    warn_below(
        "command",
        5 * MINUTE,
        "RFC 5321 section 4.5.3.2.7 asks for at least 5m, RFC 1939 section 3 for at least 10m",
    );
    warn_below(
        "idle",
        30 * MINUTE,
        "RFC 9051 section 5.4 asks for at least 30m",
    );
    Deadlines {
        handshake: table.within("handshake", 15 * SECOND, bounds.clone()),
        greeting: table.within("greeting", MINUTE, bounds.clone()),
        login: table.within("login", 3 * MINUTE, bounds.clone()),
        line: table.within("line", MINUTE, bounds.clone()),
        command: table.within("command", 10 * MINUTE, bounds.clone()),
        idle: table.within("idle", 35 * MINUTE, bounds.clone()),
        data: table.within("data", 3 * MINUTE, bounds.clone()),
        write: table.within("write", 2 * MINUTE, bounds.clone()),
        answer: table.within("answer", MINUTE, bounds.clone()),
        maildrop: table.within("maildrop", MINUTE, SECOND..=60 * MINUTE),
        drain: table.within("drain", 30 * SECOND, bounds),
    }
}

/// Reads `[retention]`.
pub(super) fn read_retention(root: &Table<'_>) -> Retention {
    let table = root.table("retention");
    let years = 3650 * DAY;
    Retention {
        expunged: table.within("expunged", 30 * DAY, Duration::ZERO..=years),
        temporary: table.within("temporary", 7 * DAY, 3600 * SECOND..=years),
        retrieved: table
            .get::<Keep>("retrieved")
            .map_or(Keep::DEFAULT, |found| found.value),
    }
}
