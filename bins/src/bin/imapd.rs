//! imapd.
fn main() {}
