//! Several hosts over one PostgreSQL: the built daemons, each host with a folder of its own, and one store.

#![allow(clippy::unwrap_used)]

mod access;
#[allow(dead_code)] // that of the hostile tests, of which we need a part
#[path = "../hostile/client.rs"]
mod client;
mod company;
mod foreign;
mod model;
mod news;
mod pop3;
mod race;
mod restored;
#[allow(dead_code)] // that of the index, of which we need a part
#[path = "../../core/storage/src/index/postgres/tests/server.rs"]
mod server;
mod undelete;

use postrider_storage::index::{Hearing, PostgresIndex, PostgresSettings};
