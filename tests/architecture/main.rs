//! The shape of the house: what may know what, what lies where, and that the pages beside the code tell the truth.
//!
//! A wall that only a page describes falls within a month. Whoever meets a failing test here either moved something to
//! the wrong side, or has a reason, which then belongs into the list that the test reads.

mod folders;
mod licences;
mod manifest;
mod metrics;
mod readme;
mod rfcs;
mod source;
mod walls;
