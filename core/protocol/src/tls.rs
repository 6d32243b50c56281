//! TLS as a session knows it: what its listener offers and what is on now (RFC 8314, RFC 3207, RFC 2595).

/// TLS on a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    /// None.
    Absent,
    /// STARTTLS or STLS, if the client wants.
    Offered,
    /// The same, and before anything that matters, unless plaintext login is allowed.
    Required,
    /// From the first octet (RFC 8314 section 3.3).
    Implicit,
}

/// Whether the octets of the connection are encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Secrecy {
    /// No TLS.
    Clear,
    /// TLS, from the start or since STARTTLS.
    Tls,
}

impl Tls {
    /// What is on when a connection opens.
    pub const fn at_first(self) -> Secrecy {
        match self {
            Self::Implicit => Secrecy::Tls,
            Self::Absent | Self::Offered | Self::Required => Secrecy::Clear,
        }
    }

    /// Whether a client in clear is told to begin TLS.
    pub const fn is_offered(self) -> bool {
        matches!(self, Self::Offered | Self::Required)
    }
}
