//! The actor runtime from the outside: bounds, failures, ends. Paused time, no sleeping.
#![allow(clippy::unwrap_used)]

mod budget;
mod drain;
mod handle;
mod registry;
mod schedule;
mod service;
mod supervisor;
mod unwind;
mod worker;
