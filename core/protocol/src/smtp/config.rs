//! What an SMTP or LMTP session is told at its beginning (RFC 5321 section 4.5.3).

use crate::sasl::PlaintextLogin;
use crate::tls::Tls;

/// Settings of a listener, shared by its sessions.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whom it serves. LMTP sessions ignore it.
    pub role: Role,
    /// Our name, in the greeting and in 221 and 421.
    pub hostname: String,
    /// TLS on this listener.
    pub tls: Tls,
    /// Whether passwords may be sent without TLS.
    pub plaintext_login: PlaintextLogin,
    /// Octets a message may have: announced as SIZE and enforced.
    pub message_size: u64,
    /// Recipients a transaction may have; RFC 5321 wants 100 at least.
    pub recipients: usize,
    /// Errors of the client until 421.
    pub errors: u32,
    /// NOOP, RSET, VRFY and their like until each counts as an error.
    pub chatter: u32,
    /// Whether BDAT is offered.
    pub chunking: Chunking,
    /// Whether delivery reports are offered. LMTP sessions ignore it.
    pub reports: Reports,
}

impl Default for Config {
    /// A listener on port 25 without a certificate.
    fn default() -> Self {
        Self {
            role: Role::Mx,
            hostname: "localhost".to_owned(),
            tls: Tls::Absent,
            plaintext_login: PlaintextLogin::Refused,
            message_size: 100 * 1024 * 1024,
            recipients: 1_000,
            errors: 20,
            chatter: 100,
            chunking: Chunking::Offered,
            reports: Reports::Absent,
        }
    }
}

/// Whom a listener serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Other servers, port 25: no login.
    Mx,
    /// Users, ports 587 and 465: login before MAIL (RFC 6409 section 4.3).
    Submission,
}

/// Whether senders may ask for delivery reports (RFC 3461).
///
/// Who offers it promises a report of each success that is asked for. Where the engine can write to every sender, which is
/// where all of them have logged in, it is offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reports {
    /// DSN in EHLO.
    Offered,
    /// RET, ENVID, NOTIFY and ORCPT are unknown parameters.
    Absent,
}

/// Whether BDAT is offered (RFC 3030).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Chunking {
    /// CHUNKING and BINARYMIME in EHLO.
    Offered,
    /// BDAT is an unknown command, but its octets are thrown away.
    Absent,
}
