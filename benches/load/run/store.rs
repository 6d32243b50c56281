//! `load s3-put` and `load s3-get`: what an S3-compatible store can do by itself, the yardstick for a mail server in front of it.
//!
//! Objects are named by their number below a prefix, so that `s3-get` finds what `s3-put` with the same options has put. Connections
//! are opened before the clock starts, and kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{none_opened, open_all, run_all};
use crate::client::s3::{Bucket, Client, Payload};
use crate::fault::{Fault, Faults};
use crate::net::Target;
use crate::pattern::Security;
use crate::random::Random;
use crate::report::Report;
use crate::scope::Scope;
use crate::statistics::Latencies;

/// Options of both.
#[derive(clap::Args)]
pub struct Arguments {
    /// The store [default: S3_TEST_ENDPOINT in the environment, as tests/services/ceph sets it]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The bucket [default: S3_TEST_BUCKET]
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// Its region
    #[arg(long, value_name = "NAME", default_value = "default")]
    region: String,
    /// Access key [default: S3_TEST_ACCESS_KEY]
    #[arg(long, value_name = "KEY")]
    access_key: Option<String>,
    /// File with the secret key [default: the key in S3_TEST_SECRET_KEY]
    #[arg(long, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
    /// Connections, each with one request at a time
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    connections: u64,
    /// Objects in all
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    objects: u64,
    /// Octets of each
    #[arg(long, value_name = "OCTETS", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(8..=128 * 1024 * 1024))]
    size: u64,
    /// What their names begin with: letters, digits, "-", "." and "/"
    #[arg(long, value_name = "TEXT", default_value = "load", value_parser = prefix)]
    prefix: String,
    /// Do not sign the octets, so that the store has no checksum to verify
    #[arg(long)]
    unsigned_payload: bool,
}

/// Puts the objects.
pub async fn put(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    run(scope, &arguments, Operation::Put).await
}

/// Gets them.
pub async fn get(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    run(scope, &arguments, Operation::Get).await
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    Put,
    Get,
}

/// What all connections share.
struct Plan {
    operation: Operation,
    bucket: Bucket,
    prefix: String,
    octets: Vec<u8>,
    objects: u64,
    next: AtomicU64,
}

#[derive(Default)]
struct Tally {
    latencies: Latencies,
    faults: Faults,
}

async fn run(scope: &Scope, arguments: &Arguments, operation: Operation) -> Result<Report, Fault> {
    let endpoint = given(&arguments.endpoint, "--endpoint", "S3_TEST_ENDPOINT")?;
    let (security, host) = place(&endpoint)?;
    let target = scope.target(&host, security)?;
    let plan = Plan {
        operation,
        bucket: Bucket {
            host,
            name: given(&arguments.bucket, "--bucket", "S3_TEST_BUCKET")?,
            region: arguments.region.clone(),
            access_key: given(&arguments.access_key, "--access-key", "S3_TEST_ACCESS_KEY")?,
            secret_key: secret(arguments.secret_key_file.as_deref())?,
            payload: match arguments.unsigned_payload {
                true => Payload::Unsigned,
                false => Payload::Signed,
            },
        },
        prefix: format!("{}/{}", arguments.prefix, arguments.size),
        octets: octets(arguments.size)?,
        objects: arguments.objects,
        next: AtomicU64::new(0),
    };
    let (clients, mut faults) = open_all(arguments.connections, |_| {
        let target: Target = target.clone();
        async move { Client::open(&target).await }
    })
    .await;
    if clients.is_empty() {
        return Err(none_opened(&faults));
    }
    let (opened, plan) = (clients.len(), Arc::new(plan));
    let meter = scope.meter()?;
    let mut sum = Tally::default();
    let panics = run_all(
        clients,
        |_, client| session(plan.clone(), client),
        |tally: Tally| {
            sum.latencies.merge(&tally.latencies);
            sum.faults.merge(tally.faults);
        },
    )
    .await;
    let elapsed = meter.elapsed().as_secs_f64();
    faults.merge(sum.faults);
    faults.merge(panics);

    let (load, what) = match operation {
        Operation::Put => ("s3-put", "puts"),
        Operation::Get => ("s3-get", "gets"),
    };
    let done = sum.latencies.count();
    let mut report = Report::new(load, &endpoint);
    report.figure("connections", opened as f64, "");
    report.figure("size", arguments.size as f64, "octets");
    report.figure(what, done as f64, "");
    report.figure("seconds", elapsed, "s");
    report.figure(format!("{what}_per_second"), done as f64 / elapsed, "/s");
    report.figure(
        "megabytes_per_second",
        done as f64 * arguments.size as f64 / elapsed / 1e6,
        "MB/s",
    );
    meter.report(&mut report, what, done as u64)?;
    report.latency(what.trim_end_matches('s'), &sum.latencies);
    report.faults(faults);
    Ok(report)
}

async fn session(plan: Arc<Plan>, mut client: Client) -> Tally {
    let mut tally = Tally::default();
    let mut octets = plan.octets.clone();
    loop {
        let n = plan.next.fetch_add(1, Ordering::Relaxed);
        if n >= plan.objects {
            return tally;
        }
        let key = format!("{}/{n}", plan.prefix);
        // No two objects are the same.
        octets[..8].copy_from_slice(&n.to_be_bytes());
        let size = octets.len() as u64;
        let begun = Instant::now();
        let outcome = match plan.operation {
            Operation::Put => client.put(&plan.bucket, &key, &octets).await,
            Operation::Get => match client.get(&plan.bucket, &key).await {
                Ok(got) if got != size => {
                    Err(Fault::Protocol("an object of another size".to_owned()))
                }
                outcome => outcome.map(drop),
            },
        };
        match outcome {
            Ok(()) => tally.latencies.record(begun.elapsed()),
            Err(fault) => {
                tally.faults.add(&fault);
                if matches!(fault, Fault::Late) {
                    return tally;
                }
            }
        }
    }
}

/// An option, or what the environment has for it.
fn given(option: &Option<String>, name: &str, variable: &str) -> Result<String, Fault> {
    let missing = |_| {
        Fault::Usage(format!(
            "{name} is needed, or {variable} in the environment"
        ))
    };
    match option {
        Some(value) => Ok(value.clone()),
        None => std::env::var(variable).map_err(missing),
    }
}

fn secret(file: Option<&Path>) -> Result<String, Fault> {
    match file {
        Some(path) => std::fs::read_to_string(path)
            .map(|text| text.trim().to_owned())
            .map_err(|error| Fault::Usage(format!("{}: {error}", path.display()))),
        None => given(&None, "--secret-key-file", "S3_TEST_SECRET_KEY"),
    }
}

/// Security and `HOST:PORT` of an endpoint.
fn place(endpoint: &str) -> Result<(Security, String), Fault> {
    let (security, rest) = if let Some(rest) = endpoint.strip_prefix("https://") {
        (Security::Implicit, rest)
    } else if let Some(rest) = endpoint.strip_prefix("http://") {
        (Security::Plain, rest)
    } else {
        return Err(Fault::Usage(format!("{endpoint} is no URL")));
    };
    let host = rest.trim_end_matches('/');
    match host.is_empty() || host.contains('/') {
        true => Err(Fault::Usage(format!("{endpoint} is no URL of a store"))),
        false => Ok((security, host.to_owned())),
    }
}

fn prefix(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-./".contains(c);
    match !text.is_empty() && text.chars().all(good) {
        true => Ok(text.to_owned()),
        false => Err("has other characters".to_owned()),
    }
}

/// Octets that no store can compress.
fn octets(size: u64) -> Result<Vec<u8>, Fault> {
    let size = usize::try_from(size).map_err(|_| Fault::Usage("--size is too large".to_owned()))?;
    let mut random = Random::new(size as u64);
    let mut octets = Vec::with_capacity(size + 8);
    while octets.len() < size {
        octets.extend_from_slice(&random.next().to_ne_bytes());
    }
    octets.truncate(size);
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_without_a_path() {
        let there = |endpoint: &str| place(endpoint).ok();
        let found = there("https://127.0.0.1:9000/");
        assert_eq!(
            found,
            Some((Security::Implicit, "127.0.0.1:9000".to_owned()))
        );
        let found = there("http://[::1]:9000");
        assert_eq!(found, Some((Security::Plain, "[::1]:9000".to_owned())));
        for bad in [
            "127.0.0.1:9000",
            "https://",
            "https://a:1/bucket",
            "ftp://a",
        ] {
            assert_eq!(there(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_need_no_encoding() {
        assert!(prefix("load/run-1.a").is_ok());
        for bad in ["", "a b", "a%", "ä", "a?b"] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn objects_have_the_size_that_was_asked_for() {
        for size in [8, 9, 4096, 65_537] {
            assert_eq!(octets(size).expect("octets").len() as u64, size);
        }
    }
}
