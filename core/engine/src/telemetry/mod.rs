//! What operators see of a running server: logs, metrics, health.

pub mod check;
mod field;
pub mod http;
mod log;
pub mod metrics;
mod process;
mod store;
#[cfg(test)]
pub(crate) mod testing;

pub use http::{Endpoints, Readiness};
#[cfg(test)]
pub(crate) use log::never_deaf;
pub use log::{LogError, LogHandle, LogLayer, check_filter, init_log};
pub use metrics::{Metrics, RecorderTaken};
