//! Addresses of the envelope (RFC 5321 section 4.1.2).

/// An RFC 5321 Mailbox.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Address {
    local: String,
    domain: String,
}
