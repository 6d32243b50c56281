//! What a session is told at its birth, and the numbers that bound it.

use crate::imap::syntax::args::Bounds;
use crate::sasl::exchange::PlaintextLogin;
use crate::tls::Tls;

/// Numbers that bound a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Octets of a line before login.
    pub line_before_login: usize,
    /// Octets of a line.
    pub line: usize,
    /// Octets of a command with its literals before login.
    pub command_before_login: usize,
    /// Octets of a command with its literals, but for a message that is appended.
    pub command: usize,
    /// Octets of a message that is appended.
    pub message: u64,
    /// Commands in a row that were not understood before the connection is closed, before login.
    pub errors_before_login: u32,
    /// Commands in a row that were not understood before the connection is closed.
    pub errors: u32,
    /// Failed logins before the connection is closed.
    pub login_failures: u32,
    /// How much one command may hold.
    pub syntax: Bounds,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // An ID may say 30 fields of 1054 octets (RFC 2971 section 3.3).
            line_before_login: 40 * 1024,
            line: 64 * 1024,
            command_before_login: 40 * 1024,
            command: 256 * 1024,
            message: 100 << 20,
            errors_before_login: 3,
            errors: 20,
            login_failures: 3,
            syntax: Bounds::USUAL,
        }
    }
}

/// What a session is told at its birth.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name in the greeting.
    pub hostname: String,
    /// TLS on this listener.
    pub tls: Tls,
    /// Whether passwords may be sent in clear, because a proxy has ended the TLS.
    pub plaintext_login: PlaintextLogin,
    /// Its bounds.
    pub limits: Limits,
}
