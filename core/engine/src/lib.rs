//! Postrider, a mail engine.

pub mod actor;
pub mod admin;
pub mod auth;
pub mod blob;
pub mod config;
pub mod connection;
pub mod directory;
pub mod filter;
pub mod mailbox;
pub mod net;
pub mod telemetry;
