//! Until when somebody waits for an operation of the store, told to stores that repeat by themselves.
//!
//! It travels beside the call: most stores do not repeat and need not know.

use std::future::Future;

use tokio::time::Instant;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Runs an operation of a store for which somebody waits until `deadline`.
pub async fn until<T>(deadline: Instant, operation: impl Future<Output = T>) -> T {
    DEADLINE.scope(deadline, operation).await
}

/// Until when somebody waits for the operation that runs, if anybody said.
pub fn deadline() -> Option<Instant> {
    DEADLINE.try_with(|it| *it).ok()
}
