//! The running engine, over real sockets of 127.0.0.1 and folders of its own: what no part can be tested for alone.

#![allow(clippy::unwrap_used)]

mod accounts;
mod ahead;
mod certificate;
mod client;
mod damage;
mod drain;
mod examples;
mod failures;
mod house;
mod limits;
mod logins;
mod octets;
mod pop3;
mod quota;
mod rates;
mod restore;
mod shared;
mod smtp;
mod store;
mod strangers;
mod walls;
