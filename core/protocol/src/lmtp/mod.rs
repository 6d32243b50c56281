//! LMTP: SMTP for the last hop, one reply a recipient (RFC 2033).

pub mod session;

pub use session::LmtpSession;
