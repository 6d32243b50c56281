//! What we say to a client: the grammar of responses (RFC 9051 section 9, RFC 3501 section 9).

pub mod string;
