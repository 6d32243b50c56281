//! Postrider, a mail engine: SMTP, LMTP, IMAP and POP3 over a SQL index and a store of message bodies.
//!
//! ```text
//!  listener ─► connection ─► session (no I/O) ─► mailbox / delivery / auth ─► index + blob pool ─► SQL, files
//!    accept      actor        Input → Actions          actors                     actors
//!  ◄──────────────── answers, and `changed` marks that may be missed ─────────────────────────
//! ```
//!
//! A layer knows the one to its right, never the one to its left. To run all of it:
//!
//! ```no_run
//! use postrider::config::Config;
//! use postrider::engine::{Engine, Parts};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::embedded("./postrider-data".as_ref());
//! let patience = config.deadlines.drain;
//! let server = Engine::start(config, Parts::default()).await?;
//! println!("listening: {:?}", server.ports());
//! // Until the program has to go. Inside an actix system, as `#[actix_rt::main]` makes one.
//! server.drain(patience).await;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/` has a whole server with an account, an own resolver and an own filter; an own index or store goes in by
//! [`engine::Parts`] too. Domains, accounts and aliases are made with [`admin::Admin`]. For one part, its room:
//!
//! | Room | What is in it |
//! | --- | --- |
//! | [`engine`] | building, running and draining the whole |
//! | [`actor`] | bounded, supervised actors; arbiters, service runtime, memory budget, drain |
//! | [`net`] | sockets, TLS, PROXY protocol, permits, deadlines |
//! | [`connection`] | one actor for a connection of any protocol |
//! | [`auth`] | resolvers, password hashing, throttle |
//! | [`directory`] | where mail for an address goes |
//! | [`filter`] | what looks at a message before it is delivered |
//! | [`delivery`] | from a received message to bodies and rows |
//! | [`mailbox`] | open mailboxes, shared by their sessions |
//! | [`moving`] | mail that comes from other servers, goes to them, or to another index and store |
//! | [`index`], [`blob`] | the ways to the index and to the store |
//! | [`admin`] | domains, accounts and aliases, for control programs |
//! | [`config`], [`telemetry`] | settings; logs, metrics, health |

pub mod actor;
pub mod admin;
pub mod auth;
pub mod blob;
pub mod clock;
pub mod config;
pub mod connection;
pub mod delivery;
pub mod directory;
pub mod engine;
pub mod filter;
pub mod index;
pub mod limits;
pub mod mailbox;
pub mod moving;
pub mod net;
pub mod telemetry;

pub use postrider_protocol as protocol;
pub use postrider_storage as storage;
