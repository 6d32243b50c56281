//! pop3.
