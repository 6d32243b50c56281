//! Shared parts of the tests.

pub mod daemon;
pub mod fault;
