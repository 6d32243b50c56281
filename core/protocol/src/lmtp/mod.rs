//! lmtp.
