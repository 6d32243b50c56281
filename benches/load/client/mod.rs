//! The protocols as a client speaks them: just enough to measure.

pub mod imap;
pub mod message;
pub mod pop3;
pub mod s3;
pub mod smtp;
