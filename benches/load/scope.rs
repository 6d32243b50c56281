//! What all loads share: how long a run may take, whom it may reach, which processes are watched.

use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use crate::fault::Fault;
use crate::net::Target;
use crate::pattern::Security;
use crate::process::Meter;
use crate::report::Format;
use crate::tls::{self, Trust};

/// Options of every load.
#[derive(Args)]
pub struct Common {
    /// Print one JSON document instead of a table
    #[arg(long, global = true)]
    json: bool,
    /// Seconds after which the run stops by itself and reports what it has
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 110, value_parser = clap::value_parser!(u64).range(1..=900))]
    limit: u64,
    /// Allow a target that is not on this machine
    #[arg(long, global = true)]
    allow_remote: bool,
    /// Also count CPU time and memory of this process and all below it; may be repeated
    #[arg(long, global = true, value_name = "PID")]
    pid: Vec<u32>,
    /// Trust the certificates in this PEM file
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Take any certificate: for tests only
    #[arg(long, global = true)]
    insecure: bool,
    /// The name the server's certificate must have [default: the host of the target]
    #[arg(long, global = true, value_name = "NAME")]
    tls_name: Option<String>,
}

impl Common {
    /// How the report is to be printed.
    pub fn format(&self) -> Format {
        if self.json {
            Format::Json
        } else {
            Format::Table
        }
    }
}

/// The bounds of one run.
pub struct Scope {
    deadline: Instant,
    reach: Reach,
    pids: Vec<u32>,
    trust: Trust,
    tls_name: Option<String>,
}

/// Whom a run may reach.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Reach {
    ThisMachine,
    Anywhere,
}

impl Scope {
    /// The bounds that the options set; the time runs from now.
    pub fn new(common: &Common) -> Result<Self, Fault> {
        let trust = match (&common.ca, common.insecure) {
            (Some(path), _) => Trust::Authority(path.clone()),
            (None, true) => Trust::Anyone,
            (None, false) => Trust::Nobody,
        };
        Ok(Self {
            deadline: Instant::now() + Duration::from_secs(common.limit),
            reach: if common.allow_remote {
                Reach::Anywhere
            } else {
                Reach::ThisMachine
            },
            pids: common.pid.clone(),
            trust,
            tls_name: common.tls_name.clone(),
        })
    }

    /// When the run ends, whatever it has done by then.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Starts to count what the watched processes use.
    pub fn meter(&self) -> Result<Meter, Fault> {
        Meter::start(&self.pids)
    }

    /// A place to connect to, if this run may.
    pub fn target(&self, connect: &str, security: Security) -> Result<Target, Fault> {
        let address = connect
            .to_socket_addrs()
            .map_err(|error| Fault::Usage(format!("{connect}: {error} (HOST:PORT is needed)")))?
            .find(|address| self.reach == Reach::Anywhere || address.ip().is_loopback())
            .ok_or_else(|| {
                Fault::Usage(format!(
                    "{connect} is not on this machine; --allow-remote overrides this"
                ))
            })?;
        let host = connect.rsplit_once(':').map_or(connect, |(host, _)| host);
        let name = self
            .tls_name
            .as_deref()
            .unwrap_or(host)
            .trim_start_matches('[')
            .trim_end_matches(']');
        let tls = match security {
            Security::Plain => None,
            Security::Implicit | Security::StartTls => Some(tls::Client::new(&self.trust, name)?),
        };
        Ok(Target {
            address,
            security,
            tls,
            deadline: self.deadline,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(reach: Reach) -> Scope {
        Scope {
            deadline: Instant::now() + Duration::from_secs(5),
            reach,
            pids: Vec::new(),
            trust: Trust::Nobody,
            tls_name: None,
        }
    }

    #[tokio::test]
    async fn only_this_machine_is_reached_without_the_flag() {
        let near = scope(Reach::ThisMachine);
        assert!(near.target("127.0.0.1:25", Security::Plain).is_ok());
        assert!(near.target("[::1]:25", Security::Plain).is_ok());
        assert!(near.target("192.0.2.1:25", Security::Plain).is_err());
        assert!(near.target("127.0.0.1", Security::Plain).is_err());
        assert!(
            scope(Reach::Anywhere)
                .target("192.0.2.1:25", Security::Plain)
                .is_ok()
        );
    }

    #[tokio::test]
    async fn tls_without_somebody_to_trust_is_refused() {
        assert!(
            scope(Reach::ThisMachine)
                .target("127.0.0.1:993", Security::Implicit)
                .is_err()
        );
    }
}
