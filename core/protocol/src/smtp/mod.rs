//! SMTP: server side (RFC 5321).

pub mod ask;
