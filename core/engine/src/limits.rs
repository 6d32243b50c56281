#![doc = include_str!("../../LIMITS.md")]
//!
//! # In the code
//!
//! The sessions say which bound they kept ([`Limit`]), the engine adds its own, and both are counted here.

pub(crate) mod rates;
#[cfg(test)]
mod tests;
pub(crate) mod window;

use metrics::Counter;
pub use postrider_protocol::limit::Limit;
use postrider_protocol::message::Flaws;

use crate::config;
use crate::telemetry::metrics::LIMITS_REACHED;

/// Counts a limit that something met.
pub fn reached(limit: Limit) {
    counter(limit).increment(1);
}

/// The counter of a limit.
fn counter(limit: Limit) -> Counter {
    metrics::counter!(LIMITS_REACHED, "limit" => limit.name())
}

/// Shows all limits as zero, so that a dashboard knows them before they are met.
pub(crate) fn announce() {
    Limit::ALL
        .into_iter()
        .for_each(|limit| counter(limit).increment(0));
}

/// Counts what of a message was not taken apart.
pub(crate) fn message(flaws: Flaws) {
    let header = [Flaws::HEADER_CUT, Flaws::PARAMETERS_CUT, Flaws::VALUES_CUT];
    for (limit, met) in [
        (Limit::MimeParts, flaws.contains(Flaws::TOO_MANY)),
        (Limit::MimeDepth, flaws.contains(Flaws::TOO_DEEP)),
        (
            Limit::Header,
            header.into_iter().any(|it| flaws.contains(it)),
        ),
    ] {
        if met {
            reached(limit);
        }
    }
}

/// How much of a message is taken apart.
pub(crate) fn of_messages(limits: &config::Limits) -> postrider_protocol::message::mime::Limits {
    let octets = |count: config::ByteCount| usize::try_from(count.0).unwrap_or(usize::MAX);
    postrider_protocol::message::mime::Limits {
        depth: limits.mime_depth as usize,
        parts: limits.mime_parts as usize,
        fields: limits.header_fields as usize,
        header: octets(limits.header_size),
        addresses: limits.addresses as usize,
        kept: octets(limits.kept),
    }
}
