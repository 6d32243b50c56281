//! What is kept: the index and the store of message bodies.

pub mod blob;
pub mod index;
