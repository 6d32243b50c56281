//! postrider.
fn main() {}
