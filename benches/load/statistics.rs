//! Latencies and their percentiles.

use std::time::Duration;

/// Every latency of a run, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    micros: Vec<u32>,
}

impl Latencies {
    /// Takes one down.
    pub fn record(&mut self, latency: Duration) {
        self.micros
            .push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// Takes over those of another.
    pub fn merge(&mut self, other: &Self) {
        self.micros.extend_from_slice(&other.micros);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.micros.len()
    }

    /// What is told of them; `None` without any.
    pub fn summary(&self) -> Option<Summary> {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let last = *sorted.last()?;
        let rank = |percent: usize| {
            f64::from(sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]) / 1000.0
        };
        Some(Summary {
            count: sorted.len(),
            p50: rank(50),
            p90: rank(90),
            p95: rank(95),
            p99: rank(99),
            max: f64::from(last) / 1000.0,
        })
    }
}

/// Percentiles by nearest rank, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many latencies.
    pub count: usize,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut latencies = Latencies::default();
        for n in (1..=200).rev() {
            latencies.record(Duration::from_millis(n));
        }
        let summary = latencies.summary().expect("200 of them");
        assert_eq!(
            (summary.count, summary.p50, summary.p90),
            (200, 100.0, 180.0)
        );
        assert_eq!(
            (summary.p95, summary.p99, summary.max),
            (190.0, 198.0, 200.0)
        );
    }

    #[test]
    fn one_latency_is_every_percentile_and_none_has_none() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.summary(), None);
        latencies.record(Duration::from_millis(3));
        let summary = latencies.summary().expect("one");
        assert_eq!((summary.p50, summary.p99, summary.max), (3.0, 3.0, 3.0));
    }
}
