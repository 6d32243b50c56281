//! Logins and synchronisation against a real slapd, which each test starts for itself on a free port, with certificates of a CA of its own.

#![allow(clippy::unwrap_used)]

mod attacks;
mod commands;
mod company;
mod contract;
mod faults;
mod slapd;
mod sync;
mod truth;
