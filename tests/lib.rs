//! Shared parts of the tests.

pub mod daemon;
pub mod door;
pub mod fault;
/// A PostgreSQL of its own for a test.
#[path = "../core/storage/src/index/postgres/tests/server/process.rs"]
pub mod postgres;
