//! Hostile clients against the built server: each gets a clear answer or a closed door, costs what `core/LIMITS.md` says and no
//! more, and hinders nobody.
//!
//! The server is a process of its own, so that its memory and CPU time are its own too. A test that others are served meanwhile
//! logs in and delivers a message while the attack lasts.

mod client;
mod flood;
mod guess;
mod message;
mod server;
mod silent;
mod slow;
mod small;
