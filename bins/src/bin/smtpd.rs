//! smtpd.
fn main() {}
