//! All metrics, in one table: name, kind, unit, help. Modules count under the names here; what is not in the table
//! does not exist for dashboards and alerts.
//!
//! `metrics::counter!` costs a look-up each time: keep the handles of hot counters.

use std::{sync::OnceLock, time::Duration};

use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::{check, process, store};

/// How often the samples of histograms are folded together.
const UPKEEP: Duration = Duration::from_secs(5);

/// Seconds from a millisecond to a minute.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Octets from 1 KiB to 256 MiB.
const OCTETS: &[f64] = &[
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262144.0,
    1048576.0,
    4194304.0,
    16777216.0,
    67108864.0,
    268435456.0,
];
/// Small counts.
const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts samples by these upper bounds.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
    /// What it says, with its labels.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, $unit:ident, $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*
        /// All of them.
        pub const METRICS: &[Metric] = &[
            $(Metric { name: $name, kind: $kind, unit: Unit::$unit, help: $help },)*
        ];
    };
}

use Kind::{Counter, Gauge, Histogram};

metrics! {
    // Connections.
    CONNECTIONS = "postrider_connections_total", Counter, Count, "Connections accepted, by service.";
    CONNECTIONS_OPEN = "postrider_connections_open", Gauge, Count, "Connections open now, by service.";
    CONNECTIONS_REFUSED = "postrider_connections_refused_total", Counter, Count, "Connections turned away, by service and reason (limit_per_ip, limit_before_login_per_ip, limit_per_account, banned, proxy_header).";
    ACCEPT_ERRORS = "postrider_accept_errors_total", Counter, Count, "Connections the system could not hand over (out of file descriptors), by service.";
    TLS_HANDSHAKES = "postrider_tls_handshakes_total", Counter, Count, "TLS handshakes done, by version.";
    TLS_HANDSHAKES_FAILED = "postrider_tls_handshakes_failed_total", Counter, Count, "TLS handshakes that failed, by reason (too_slow, tls, io).";
    STARTTLS_INJECTIONS = "postrider_starttls_injections_total", Counter, Count, "Clients that sent clear text behind STARTTLS.";
    TLS_CERTIFICATE_EXPIRY = "postrider_tls_certificate_expiry_timestamp_seconds", Gauge, Seconds, "When a certificate expires, in seconds since 1970, by file.";
    TLS_CERTIFICATE_RELOADS = "postrider_tls_certificate_reloads_total", Counter, Count, "Changed certificates, by outcome (replaced, refused).";
    CONNECTION_TIMEOUTS = "postrider_connection_timeouts_total", Counter, Count, "Connections closed because the peer was silent or did not read, by service.";
    LIMITS_REACHED = "postrider_limits_reached_total", Counter, Count, "Times that something met a limit of core/LIMITS.md, by limit.";
    CONNECTION_BYTES = "postrider_connection_bytes_total", Counter, Bytes, "Octets of connections that are over, by service and direction (in, out).";
    COMMANDS = "postrider_commands_total", Counter, Count, "Commands handled, by service and command.";
    COMMAND_SECONDS = "postrider_command_seconds", Histogram(SECONDS), Seconds, "Time from a command's line to its answer, by service and command.";
    // Login.
    LOGINS = "postrider_logins_total", Counter, Count, "Logins, by service, mechanism (PLAIN, LOGIN, USER) and result (accepted, rejected, throttled, unavailable).";
    MAILDROPS = "postrider_maildrops_total", Counter, Count, "Maildrops that POP3 sessions asked for, by outcome (held, in_use), and those whose lease was lost (lost).";
    LOGIN_SECONDS = "postrider_login_seconds", Histogram(SECONDS), Seconds, "Time a login took, by result.";
    PASSWORD_SECONDS = "postrider_password_seconds", Histogram(SECONDS), Seconds, "Time a password hasher worked on one password.";
    PASSWORD_JOBS_WAITING = "postrider_password_jobs_waiting", Gauge, Count, "Passwords that wait for a hasher.";
    PASSWORD_JOBS_REFUSED = "postrider_password_jobs_refused_total", Counter, Count, "Passwords not looked at because the hashers were busy for too long.";
    PASSWORD_UPGRADES = "postrider_password_upgrades_total", Counter, Count, "Password hashes of other programs that became bcrypt at a login, by what they were (argon2, bcrypt, clear, digest, md5_crypt, pbkdf2, scram, sha_crypt).";
    PASSWORD_HASHES_UNVERIFIABLE = "postrider_password_hashes_unverifiable_total", Counter, Count, "Logins refused because nobody can verify what is kept of the account's password (user show says why).";
    LDAP_SECONDS = "postrider_ldap_seconds", Histogram(SECONDS), Seconds, "Time the directory took, by operation (connect, search, bind, pages).";
    LDAP_BINDS = "postrider_ldap_binds_total", Counter, Count, "Passwords that the directory compared, by result (granted, denied).";
    LDAP_FAILURES = "postrider_ldap_failures_total", Counter, Count, "Questions that the directory did not answer, by operation and reason (connect, tls, bind, back_off, slow, broken, refused, partial, settings, given_up).";
    LDAP_SYNCED = "postrider_ldap_synced_seconds", Gauge, Seconds, "When this process last synchronised all domains with the directory, in seconds since 1970.";
    LDAP_SYNC_CHANGES = "postrider_ldap_sync_changes_total", Counter, Count, "Accounts that synchronisation changed, by change (create, bind, rename, update, disable, enable).";
    LDAP_SYNC_FAILURES = "postrider_ldap_sync_failures_total", Counter, Count, "Synchronisations, or domains of them, that were not done.";
    // Mail.
    MESSAGES_RECEIVED = "postrider_messages_received_total", Counter, Count, "Messages taken over, by service.";
    MESSAGE_BYTES = "postrider_message_bytes", Histogram(OCTETS), Bytes, "Sizes of the messages taken over.";
    RECIPIENTS = "postrider_recipients_total", Counter, Count, "Recipients of messages, by outcome (accepted, full, unknown, loop, rejected, unavailable).";
    DELIVERY_SECONDS = "postrider_delivery_seconds", Histogram(SECONDS), Seconds, "Time from a message's last octet to the positive answer.";
    // What is kept.
    INDEX_SECONDS = "postrider_index_seconds", Histogram(SECONDS), Seconds, "Time of an operation of the index, by operation (read, commit).";
    INDEX_BATCH = "postrider_index_batch_changes", Histogram(COUNTS), Count, "Changes that shared one transaction.";
    INDEX_ERRORS = "postrider_index_errors_total", Counter, Count, "Operations of the index that failed for our own fault.";
    INDEX_RESTORED = "postrider_index_restored_total", Counter, Count, "Times that the database was found to have lost what it acknowledged.";
    SUMMARIES_HELD = "postrider_summaries_held_bytes", Gauge, Bytes, "Octets of summaries held in memory, of queues.summaries.";
    STORE_SECONDS = "postrider_store_seconds", Histogram(SECONDS), Seconds, "Time of an operation of the store, by operation (put, get, delete, meta, list, probe).";
    STORE_BYTES = "postrider_store_bytes_total", Counter, Bytes, "Octets moved to and from the store, by operation.";
    STORE_ERRORS = "postrider_store_errors_total", Counter, Count, "Operations of the store that failed, by operation and reason (not_found, unavailable, corrupt, refused, deadline).";
    STORE_WAITING = "postrider_store_waiting", Gauge, Count, "Operations that wait for a permit of the store.";
    STORE_PERMITS = "postrider_store_permits", Gauge, Count, "Operations that the store may work on at a time, as its latency allows, by kind (read, write).";
    STORE_PERMITS_TAKEN = "postrider_store_permits_taken", Gauge, Count, "Operations that the store works on, by kind (read, write).";
    STORE_REPEATS = "postrider_store_repeats_total", Counter, Count, "Requests to the store that were repeated, by reason (busy, failed, spoiled, broken, timed_out, late).";
    CACHE_READS = "postrider_cache_reads_total", Counter, Count, "Bodies asked of the cache in front of the store, by result (hit, miss).";
    CACHE_BYTES = "postrider_cache_hit_bytes_total", Counter, Bytes, "Octets asked of the cache that lay there.";
    CACHE_HELD = "postrider_cache_held_bytes", Gauge, Bytes, "Octets that lie in the cache, of store.cache.size.";
    MEMORY_IN_FLIGHT = "postrider_memory_in_flight_bytes", Gauge, Bytes, "Octets of message bodies held in memory, of limits.memory.";
    MEMORY_LIMIT = "postrider_memory_in_flight_limit_bytes", Gauge, Bytes, "Octets of message bodies that may be held in memory: limits.memory.";
    MEMORY_WAITING = "postrider_memory_waiting", Gauge, Count, "Takers that wait for memory.";
    // What the last check found.
    FSCK_FINDINGS = "postrider_fsck_findings", Gauge, Count, "Findings of the last fsck on this data_dir, by kind (missing, damaged, left_over, quota).";
    FSCK_REPAIRED = "postrider_fsck_repaired", Gauge, Count, "Of these, findings that it repaired.";
    FSCK_COMPLETE = "postrider_fsck_complete", Gauge, Count, "1 if the last fsck on this data_dir saw both sides, 0 if the store could not be listed.";
    FSCK_ENDED = "postrider_fsck_ended_seconds", Gauge, Seconds, "When the last fsck on this data_dir came to its end, in seconds since 1970.";
    FSCK_TOOK = "postrider_fsck_took_seconds", Gauge, Seconds, "Time that the last fsck on this data_dir took.";
    // The house.
    ACTORS_OPEN = "postrider_actors_open", Gauge, Count, "Actors that live, of kinds made on demand, by actor.";
    ACTOR_PLACES_TAKEN = "postrider_actor_places_taken", Gauge, Count, "Asks admitted and not yet answered, by actor.";
    ACTOR_ASKS = "postrider_actor_asks_total", Counter, Count, "Asks and notices admitted, by actor.";
    ACTOR_FAILURES = "postrider_actor_failures_total", Counter, Count, "Panics of actors, and arbiters that ended under them, by actor.";
    ACTOR_RESTARTS = "postrider_actor_restarts_total", Counter, Count, "Actors that failed and were built anew, by actor.";
    ASKS_REFUSED = "postrider_asks_refused_total", Counter, Count, "Asks and notices that found no place in time, by actor.";
    ASKS_LOST = "postrider_asks_lost_total", Counter, Count, "Asks admitted whose work ended without an answer, by actor.";
    STAGE_OPEN_WORK = "postrider_stage_open_work", Gauge, Count, "Work that a drain waits for, by stage.";
    BLOCKING_JOBS = "postrider_blocking_jobs", Gauge, Count, "Jobs on threads that may block, running or handed over.";
    LOG_EVENTS = "postrider_log_events_total", Counter, Count, "Log lines of level warn and error, by level.";
    BUILD_INFO = "postrider_build_info", Gauge, Count, "Always 1; the version is in its label.";
    // The process, by the names that Prometheus' own libraries use.
    PROCESS_CPU = "process_cpu_seconds_total", Counter, Seconds, "User and system CPU time.";
    PROCESS_RESIDENT = "process_resident_memory_bytes", Gauge, Bytes, "Resident memory.";
    PROCESS_VIRTUAL = "process_virtual_memory_bytes", Gauge, Bytes, "Virtual memory.";
    PROCESS_OPEN_FDS = "process_open_fds", Gauge, Count, "Open file descriptors.";
    PROCESS_MAX_FDS = "process_max_fds", Gauge, Count, "File descriptors that may be open.";
    PROCESS_THREADS = "process_threads", Gauge, Count, "Threads.";
    PROCESS_START = "process_start_time_seconds", Gauge, Seconds, "When the process started, in seconds since 1970.";
}

/// Another program's recorder takes the metrics of this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("another metrics recorder is installed in this process")]
pub struct RecorderTaken;

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Takes the metrics of this process; whoever asks later gets the same ones.
    ///
    /// # Errors
    /// [`RecorderTaken`] if the embedding program has its own recorder: the metrics then go there.
    pub fn install() -> Result<Self, RecorderTaken> {
        // The recorder is process-wide by its nature.
        static INSTALLED: OnceLock<Result<Metrics, RecorderTaken>> = OnceLock::new();
        INSTALLED
            .get_or_init(|| {
                let recorder = builder().build_recorder();
                let handle = recorder.handle();
                metrics::set_global_recorder(recorder).map_err(|_| RecorderTaken)?;
                describe();
                metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
                Ok(Self(handle))
            })
            .clone()
    }

    /// All metrics in Prometheus' text format, those of the process as they are now.
    pub fn render(&self) -> String {
        process::record();
        store::record();
        check::record();
        self.0.render()
    }

    /// Folds samples together for as long as it is polled; without it histograms grow.
    pub async fn run_upkeep(self) {
        let mut interval = tokio::time::interval(UPKEEP);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.0.run_upkeep();
        }
    }
}

fn builder() -> PrometheusBuilder {
    let no_bounds = "a table of bounds is never empty";
    // A histogram without bounds would become a summary, which cannot be added up over processes.
    let mut builder = PrometheusBuilder::new()
        .set_buckets(SECONDS)
        .expect(no_bounds);
    for metric in METRICS {
        if let Histogram(bounds) = metric.kind {
            let matcher = Matcher::Full(metric.name.to_owned());
            builder = builder
                .set_buckets_for_metric(matcher, bounds)
                .expect(no_bounds);
        }
    }
    builder
}

fn describe() {
    for Metric {
        name,
        kind,
        unit,
        help,
    } in METRICS
    {
        match kind {
            Counter => metrics::describe_counter!(*name, *unit, *help),
            Gauge => metrics::describe_gauge!(*name, *unit, *help),
            Histogram(_) => metrics::describe_histogram!(*name, *unit, *help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        for (
            index,
            Metric {
                name,
                kind,
                unit,
                help,
            },
        ) in METRICS.iter().enumerate()
        {
            assert!(
                METRICS[..index].iter().all(|it| it.name != *name),
                "{name} twice"
            );
            assert!(help.ends_with('.'), "{name}");
            let counter = *kind == Counter;
            assert_eq!(counter, name.ends_with("_total"), "{name}");
            let base = name.trim_end_matches("_total");
            match unit {
                Unit::Seconds => assert!(base.ends_with("_seconds"), "{name}"),
                Unit::Bytes => assert!(base.ends_with("_bytes"), "{name}"),
                _ => assert!(
                    !base.ends_with("_seconds") && !base.ends_with("_bytes"),
                    "{name}"
                ),
            }
            if let Histogram(bounds) = kind {
                assert!(bounds.is_sorted() && !bounds.is_empty(), "{name}");
            }
        }
    }

    #[test]
    fn every_histogram_is_rendered_with_buckets_and_help() {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            for metric in METRICS {
                match metric.kind {
                    Counter => metrics::counter!(metric.name).increment(1),
                    Gauge => metrics::gauge!(metric.name).set(1.0),
                    Histogram(_) => metrics::histogram!(metric.name).record(0.5),
                }
            }
            metrics::histogram!("nobody_described_this").record(0.5);
        });
        let text = handle.render();
        assert!(!text.contains("quantile="), "a summary: {text}");
        assert!(
            text.contains("nobody_described_this_bucket{le=\"1\"} 1"),
            "{text}"
        );
        for Metric {
            name, kind, help, ..
        } in METRICS
        {
            let kind = match kind {
                Counter => "counter",
                Gauge => "gauge",
                Histogram(_) => "histogram",
            };
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
            assert!(text.contains(&format!("# HELP {name} {help}\n")), "{name}");
        }
    }

    #[test]
    fn installing_twice_gives_the_same_metrics() {
        let first = Metrics::install().expect("no other recorder in these tests");
        metrics::counter!(ACTOR_RESTARTS, "actor" => "test").increment(3);
        let second = Metrics::install().expect("the same");
        for metrics in [first, second] {
            let text = metrics.render();
            assert!(
                text.contains("postrider_actor_restarts_total{actor=\"test\"} 3"),
                "{text}"
            );
            assert!(text.contains("process_resident_memory_bytes "), "{text}");
        }
    }
}
