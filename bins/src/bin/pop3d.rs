//! pop3d.
fn main() {}
