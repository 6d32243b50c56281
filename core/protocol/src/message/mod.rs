//! RFC 5322 and MIME.

pub mod address;
