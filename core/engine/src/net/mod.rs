//! The network as the engine sees it: from a bound socket to a stream with a known peer.
//!
//! A connection comes in by these steps, and each may turn it away:
//!
//! | Step | Where |
//! | --- | --- |
//! | bind, or inherit; accept while there is a free slot | [`listener`], [`inherited`] |
//! | PROXY header, from the peers that are believed | [`proxy_protocol`], [`peer`] |
//! | permit for the address, later for the account | [`limit`] |
//! | TLS at once, or later by STARTTLS | [`tls`], [`stream`] |
//!
//! [`entrance`] does all but the first. A connection that is in reads through [`buffer`], so that an idle
//! one holds no memory, and is held to the deadlines of [`deadline`] in both directions.

pub mod buffer;
pub mod deadline;
pub mod descriptors;
pub mod entrance;
pub mod inherited;
pub mod limit;
pub mod listener;
pub mod peer;
pub mod proxy_protocol;
pub mod stream;
pub mod tls;
