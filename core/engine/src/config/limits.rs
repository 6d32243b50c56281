//! `[limits]`, `[deadlines]` and `[retention]`: how much, how long.

use std::time::Duration;

use ipnet::IpNet;

use super::{ByteCount, source::Table};

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
    /// Peers that are never throttled, banned or counted per address.
    pub exempt: Vec<IpNet>,
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
    /// For a peer that has not greeted or logged in.
    pub greeting: Duration,
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
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Reads `[limits]`.
pub(super) fn read_limits(root: &Table<'_>) -> Limits {
    let table = root.table("limits");
    let many = 1..=10_000_000;
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
        exempt: table
            .list("exempt")
            .into_iter()
            .map(|it| it.value)
            .collect(),
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
        command: table.within("command", 10 * MINUTE, bounds.clone()),
        idle: table.within("idle", 35 * MINUTE, bounds.clone()),
        data: table.within("data", 3 * MINUTE, bounds.clone()),
        write: table.within("write", 2 * MINUTE, bounds.clone()),
        answer: table.within("answer", MINUTE, bounds.clone()),
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
    }
}
