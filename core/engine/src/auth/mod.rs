//! Who may log in.

mod hasher;
pub mod password;

pub use hasher::{Hasher, HasherError};
