//! What the programs share: command lines, where the configuration lies, what is printed, and serving until a signal.
//!
//! The programs are thin: what they do to the index is `postrider::admin`, what they serve is the engine.

pub mod cli;
pub mod command;
pub mod daemon;
mod failure;
mod first_start;
mod inherited;
pub mod manager;
mod open;
mod password;
mod place;
mod ports_file;
mod progress;
mod report;
pub mod serve;

pub use failure::Failure;
pub use place::Place;
pub use report::Report;
