//! What a POP3 session is told at its beginning (RFC 1939, RFC 2449).

use crate::sasl::PlaintextLogin;
use crate::tls::Tls;

/// Settings of a listener, shared by its sessions.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name, in the greeting.
    pub hostname: String,
    /// TLS on this listener.
    pub tls: Tls,
    /// Whether passwords may be sent without TLS.
    pub plaintext_login: PlaintextLogin,
    /// Errors of the client until the session ends.
    pub errors: u32,
    /// How long mail stays at least, whoever logs in, as CAPA says it before.
    pub expire: Expire,
}

impl Default for Config {
    /// A listener without a certificate.
    fn default() -> Self {
        Self {
            hostname: "localhost".to_owned(),
            tls: Tls::Absent,
            plaintext_login: PlaintextLogin::Refused,
            errors: 20,
            expire: Expire::Never,
        }
    }
}

/// How long the server keeps mail that was retrieved (RFC 2449 section 6.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expire {
    /// Until the client deletes it.
    Never,
    /// So many days.
    Days(u32),
    /// So many days at least; who logs in hears more.
    DaysAtLeast(u32),
}
