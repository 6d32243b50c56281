//! `load hostile`: what clients that never log in cost the server, over TLS as over clear text.
//!
//! Four kinds; one a run, since a server keeps what it has had for those who come next, so that only the first ones after its start
//! show what a client costs:
//!
//! | kind | what it does |
//! | --- | --- |
//! | silent | connects, shakes hands, says nothing |
//! | slow | the same, then an octet a second of a line that never ends |
//! | flood | the same, then such a line as fast as the server takes it |
//! | handshake | connects, shakes hands, leaves, and comes again |
//!
//! The server must let so many in from one address (`limits.exempt`). With `--pid` the report has memory and CPU time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{none_opened, open_all, run_all, security};
use crate::fault::{Fault, Faults};
use crate::net::{Target, Wire};
use crate::report::Report;
use crate::scope::Scope;

/// What clients do.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Silent,
    Slow,
    Flood,
    Handshake,
}

/// Options.
#[derive(clap::Args)]
pub struct Arguments {
    /// What the clients do
    #[arg(value_enum)]
    kind: Kind,
    /// The server
    #[arg(long, value_name = "HOST:PORT")]
    connect: String,
    /// TLS from the first octet
    #[arg(long)]
    tls: bool,
    /// Clients; handshakes in all
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    clients: u64,
    /// How long the silent, the slow and the flooding ones go on
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

/// Octets of a line without end.
const BLOCK: [u8; 16 * 1024] = [b'x'; 16 * 1024];

/// Runs it.
pub async fn run(scope: &Scope, arguments: Arguments) -> Result<Report, Fault> {
    let target = scope.target(&arguments.connect, security(arguments.tls, false))?;
    let lasts = Duration::from_secs(arguments.seconds);
    let mut report = Report::new("hostile", &arguments.connect);
    report.figure("clients", arguments.clients as f64, "");
    let crowd = Crowd { scope, lasts };

    let count = arguments.clients;
    match arguments.kind {
        Kind::Silent => {
            let silent = |_, wire: Wire| async move {
                sleep(lasts).await;
                drop(wire);
                Ok(0)
            };
            crowd.measure(&mut report, &target, count, silent).await?;
        }
        Kind::Slow => {
            let slow = |_, mut wire: Wire| async move {
                let end = Instant::now() + lasts;
                while Instant::now() < end {
                    wire.write(b"x").await?;
                    sleep(Duration::from_secs(1)).await;
                }
                Ok(0)
            };
            crowd.measure(&mut report, &target, count, slow).await?;
        }
        Kind::Flood => {
            let flood = |_, mut wire: Wire| async move {
                let end = Instant::now() + lasts;
                let mut sent = 0;
                while Instant::now() < end {
                    wire.write(&BLOCK).await?;
                    sent += BLOCK.len() as u64;
                }
                Ok(sent)
            };
            crowd.measure(&mut report, &target, count, flood).await?;
        }
        Kind::Handshake => handshakes(scope, &mut report, &target, count).await?,
    }
    Ok(report)
}

/// Shakes hands and leaves, so many times.
async fn handshakes(
    scope: &Scope,
    report: &mut Report,
    target: &Target,
    count: u64,
) -> Result<(), Fault> {
    let meter = scope.meter()?;
    let before = meter.memory()?;
    let (opened, faults) = open_all(count, |_| {
        let target = target.clone();
        async move { Wire::connect(&target).await.map(drop) }
    })
    .await;
    if opened.is_empty() {
        return Err(none_opened(&faults));
    }
    report.faults(faults);
    let seconds = meter.elapsed().as_secs_f64();
    report.figure("handshakes_per_second", opened.len() as f64 / seconds, "/s");
    if let Some(cpu) = meter.cpu()? {
        let each = cpu * 1000.0 / opened.len() as f64;
        report.figure("server_cpu_per_handshake", each, "ms");
    }
    if let (Some((before, _)), Some((after, _))) = (before, meter.memory()?) {
        let more = after.saturating_sub(before) as f64;
        report.figure("server_pss_more", more / 1024.0, "KiB");
    }
    Ok(())
}

/// Clients of one kind.
struct Crowd<'a> {
    scope: &'a Scope,
    lasts: Duration,
}

impl Crowd<'_> {
    /// Opens `count` connections, lets `act` do with them what it does, and says what they cost.
    async fn measure<F>(
        &self,
        report: &mut Report,
        target: &Target,
        count: u64,
        act: impl Fn(u64, Wire) -> F,
    ) -> Result<(), Fault>
    where
        F: Future<Output = Result<u64, Fault>> + Send + 'static,
    {
        let meter = self.scope.meter()?;
        let before = meter.memory()?;
        let (opened, mut faults) = open_all(count, |_| {
            let target = target.clone();
            async move { Wire::connect(&target).await }
        })
        .await;
        if opened.is_empty() {
            return Err(none_opened(&faults));
        }
        let count = opened.len() as f64;
        let acting = self.scope.meter()?;
        let mut octets = 0;
        let mut own = Faults::default();
        let work = run_all(opened, act, |sent: Result<u64, Fault>| match sent {
            Ok(sent) => octets += sent,
            Err(fault) => own.add(&fault),
        });
        // Memory is taken in the middle, while all of them are there.
        let look = async {
            sleep(self.lasts / 2).await;
            acting.memory()
        };
        let (panics, during) = tokio::join!(work, look);
        faults.merge(own);
        faults.merge(panics);
        report.faults(faults);
        let seconds = acting.elapsed().as_secs_f64();
        if let (Some((before, _)), Some((during, _))) = (before, during?) {
            let more = during.saturating_sub(before) as f64;
            report.figure("server_pss_per_client", more / 1024.0 / count, "KiB");
        }
        if let Some(cpu) = acting.cpu()? {
            let each = cpu * 1000.0 / count / seconds;
            report.figure("server_cpu_per_client", each, "ms/s");
            if octets > 1 << 20 {
                let mib = octets as f64 / f64::from(1 << 20);
                report.figure("octets", mib, "MiB");
                report.figure("server_cpu_per_mib", cpu * 1000.0 / mib, "ms");
            }
        }
        Ok(())
    }
}
