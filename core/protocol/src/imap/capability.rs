//! What the server announces (RFC 9051 section 7.2.2). A new extension gets its line here.

use std::fmt::Write;

use super::session::{ImapSession, State};
use crate::sasl::exchange::{Channel, offered};

/// Announced always.
const ALWAYS: &[&str] = &[
    "IMAP4rev2",
    "IMAP4rev1",
    "LITERAL+", // RFC 7888
    "SASL-IR",  // RFC 4959
    "ENABLE",   // RFC 5161
    "ID",       // RFC 2971
];

/// Announced after login.
const LOGGED_IN: &[&str] = &[
    "BINARY",             // RFC 3516
    "CHILDREN",           // RFC 3348
    "CREATE-SPECIAL-USE", // RFC 6154
    "ESEARCH",            // RFC 4731
    "IDLE",               // RFC 2177
    "LIST-EXTENDED",      // RFC 5258
    "LIST-STATUS",        // RFC 5819
    "MOVE",               // RFC 6851
    "NAMESPACE",          // RFC 2342
    "QUOTA",              // RFC 9208
    "QUOTA=RES-STORAGE",  // RFC 9208
    "SEARCHRES",          // RFC 5182
    "SPECIAL-USE",        // RFC 6154
    "STATUS=SIZE",        // RFC 8438
    "UIDPLUS",            // RFC 4315
    "UNSELECT",           // RFC 3691
];

/// The capabilities as they stand now, with spaces between them.
pub(super) fn list(session: &ImapSession) -> String {
    let mut list = ALWAYS.join(" ");
    if session.state() != State::NotAuthenticated {
        for capability in LOGGED_IN {
            list.push(' ');
            list.push_str(capability);
        }
        // RFC 7889
        let _ = write!(list, " APPENDLIMIT={}", session.config.limits.message);
        return list;
    }
    if session.offers_tls() {
        list.push_str(" STARTTLS");
    }
    if session.channel() == Channel::Clear {
        list.push_str(" LOGINDISABLED");
    }
    for mechanism in offered(session.channel()) {
        list.push_str(" AUTH=");
        list.push_str(mechanism);
    }
    list
}
