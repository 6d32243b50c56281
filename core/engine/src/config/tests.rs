//! What is wrong with a configuration is said in full, with its place; what is right is read.

mod files;
mod listeners;
mod parts;

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use super::*;

const EXAMPLE: &str = include_str!("../../../../examples/postrider.toml");

fn environment(name: &str) -> Option<String> {
    let variables = BTreeMap::from([("PASSWORD", "hunter2"), ("HOST", "mail.example.org")]);
    variables.get(name).map(|value| (*value).to_owned())
}

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    Config::parse(Path::new("/nowhere/p.toml"), text, &environment)
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"))
}

/// Problems as `LINE:COLUMN message`.
fn problems(text: &str) -> Vec<String> {
    let problems = parse(text).err().unwrap_or_default();
    problems.iter().map(shown).collect()
}

fn warnings(text: &str) -> Vec<String> {
    good(text).warnings.iter().map(shown).collect()
}

fn shown(problem: &Problem) -> String {
    let text = problem.to_string();
    let text = text.strip_prefix("/nowhere/p.toml:").unwrap_or(&text);
    text.to_owned()
}

#[test]
fn everything_has_a_default() {
    let config = good("");
    assert_eq!(config.data_dir, Path::new("/var/lib/postrider"));
    assert!(
        matches!(&config.database.url, DatabaseUrl::Sqlite(path) if path == Path::new("/var/lib/postrider/postrider.db"))
    );
    assert!(
        matches!(&config.store, Store::Filesystem { root } if root == Path::new("/var/lib/postrider/mail"))
    );
    assert_eq!(config.database.pool_size, 16);
    assert_eq!(config.tls.min_version, TlsVersion::V1_3);
    assert_eq!(config.limits.message_size, ByteCount::mebibytes(100));
    assert_eq!(config.limits.connections, 10_000);
    assert_eq!(config.limits.connections_per_ip, 1000);
    assert_eq!(config.limits.connections_before_login_per_ip, 100);
    assert_eq!(config.limits.connections_per_account, 50);
    assert_eq!(config.limits.memory.to_string(), "1GiB");
    assert_eq!(format_duration(config.limits.rates.window), "1h");
    assert_eq!(config.limits.rates.messages_per_account, 1000);
    assert!(config.limits.exempt.is_empty() && config.auth.upgrade_hashes);
    assert_eq!(config.smtp.hop_count, 50);
    assert_eq!(config.smtp.recipient_delimiter, Some('+'));
    assert_eq!(format_duration(config.retention.expunged), "30d");
    assert_eq!(config.retention.retrieved.to_string(), "7d");
    assert!(config.warnings.is_empty() && is_hostname(&config.hostname));
}

#[test]
fn the_embedded_default_stays_on_this_host() {
    let config = Config::embedded(Path::new("/tmp/data"));
    assert_eq!(config.hostname, "localhost");
    assert!(
        matches!(&config.database.url, DatabaseUrl::Sqlite(path) if path == Path::new("/tmp/data/postrider.db"))
    );
    assert!(
        matches!(&config.store, Store::Filesystem { root } if root == Path::new("/tmp/data/mail"))
    );
    let ports: Vec<(Service, String)> = config
        .listeners
        .iter()
        .map(|it| (it.service, it.bind[0].to_string()))
        .collect();
    let expected = [
        (Service::Smtp, "127.0.0.1:2525"),
        (Service::Submission, "127.0.0.1:2587"),
        (Service::Submissions, "127.0.0.1:2465"),
        (Service::Lmtp, "127.0.0.1:2424"),
        (Service::Imap, "127.0.0.1:2143"),
        (Service::Imaps, "127.0.0.1:2993"),
        (Service::Pop3, "127.0.0.1:2110"),
        (Service::Pop3s, "127.0.0.1:2995"),
        (Service::Metrics, "127.0.0.1:2090"),
    ];
    assert_eq!(
        ports,
        expected.map(|(service, bind)| (service, bind.to_owned()))
    );
    let relative = Config::embedded(Path::new("data"));
    assert!(
        relative.data_dir.is_absolute(),
        "a change of directory moves no mail"
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = r#"hostname = "not a host"
data_dirr = "/var/lib/postrider"

[database]
pool_size = 0

[[listener]]
service = "imapss"
bind = "0.0.0.0"

[limits]
message_size = "100 MiBs"
connections = "many"
memory = 1.5

[deadlines]
idle = 30
"#;
    assert_eq!(
        problems(text),
        [
            "1:12: hostname: \"not a host\" is not a host name",
            "2:1: unknown key data_dirr; the nearest known one is data_dir",
            "5:13: database.pool_size: 0 is out of range, it must lie between 1 and 1000",
            "8:11: listener.service: \"imapss\": unknown service; known are smtp, submission, submissions, lmtp, imap, imaps, pop3, pop3s and metrics",
            "9:8: listener.bind: \"0.0.0.0\": not an address to listen on; write \"0.0.0.0:25\", \"[::]:25\" or the absolute path of a unix socket",
            "12:16: limits.message_size: \"100 MiBs\": unknown unit of size; known are B, KiB, MiB, GiB, TiB, their short forms K, M, G, T, and the decimal KB, MB, GB, TB",
            "13:15: limits.connections: expected a whole number, found a string",
            "14:10: limits.memory: expected a size such as \"100MiB\", found a number with a fraction",
            "17:8: deadlines.idle: a span of time needs a unit, such as \"30s\"",
        ]
    );
}

#[test]
fn syntax_errors_come_with_their_places() {
    let found = problems("hostname = \"a\nport = = 3\n");
    assert!(found.iter().any(|it| it.starts_with("1:")), "{found:?}");
    assert!(found.iter().any(|it| it.starts_with("2:")), "{found:?}");
    let found = problems("hostname = \"a\"\nhostname = \"b\"\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("2:1: duplicate key"), "{found:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("p.toml");
    let found = Config::load(&missing).expect_err("not there");
    assert_eq!(
        found[0].to_string(),
        format!(
            "{}: cannot read: No such file or directory (os error 2)",
            missing.display()
        )
    );
    let found = Config::load(folder.path()).expect_err("a folder");
    assert!(found[0].message.contains("is a directory"));
    std::fs::write(&missing, b"hostname = \"\xff\"").expect("written");
    let found = Config::load(&missing).expect_err("not UTF-8");
    assert!(found[0].message.contains("not UTF-8"));
}

#[test]
fn tables_and_arrays_must_be_such() {
    assert_eq!(
        problems(
            "database = 3\nlistener = \"imaps\"\n[limits]\nexempt = [1, \"10.0.0.0/8\", \"10.0.0.1/8\", \"x\"]"
        ),
        [
            "1:12: database: expected a table, found a whole number",
            "2:12: listener: expected [[listener]], found a string",
            "4:11: limits.exempt: expected a network such as \"10.0.0.0/8\", found a whole number",
            "4:28: limits.exempt: \"10.0.0.1/8\": has bits set beyond its prefix; write 10.0.0.0/8 or the single address",
            "4:42: limits.exempt: \"x\": not a network; write it as \"10.0.0.0/8\" or \"2001:db8::/32\"",
        ]
    );
    let config = good("[limits]\nexempt = [\"192.0.2.7\", \"2001:db8::/32\"]");
    assert!(
        config
            .limits
            .is_exempt("192.0.2.7".parse().expect("an address"))
    );
    assert!(
        !config
            .limits
            .is_exempt("192.0.2.8".parse().expect("an address"))
    );
    assert!(
        config
            .limits
            .is_exempt("2001:db8::1".parse().expect("an address"))
    );
}

#[test]
fn smtp_and_deadlines_know_what_the_rfcs_ask_for() {
    let config = good("[smtp]\nrecipient_delimiter = \"\"\npostmaster = \"Admin@Example.com\"");
    assert_eq!(config.smtp.recipient_delimiter, None);
    assert_eq!(
        config.smtp.postmaster.map(|it| it.to_string()),
        Some("Admin@example.com".to_owned())
    );
    assert_eq!(
        good("[smtp]\nrecipient_delimiter = \"-\"")
            .smtp
            .recipient_delimiter,
        Some('-')
    );
    assert_eq!(
        problems("[smtp]\nrecipient_delimiter = \"ab\"\npostmaster = \"nobody\""),
        [
            "2:23: smtp.recipient_delimiter: must be one of + - = # _ or empty",
            "3:14: smtp.postmaster: \"nobody\": malformed address",
        ]
    );
    assert_eq!(
        warnings("[smtp]\nrecipients = 50\n[deadlines]\ncommand = \"1s\"\nidle = \"1m\""),
        [
            "2:14: warning: smtp.recipients: RFC 5321 section 4.5.3.1.8 asks for at least 100",
            "4:11: warning: deadlines.command: RFC 5321 section 4.5.3.2.7 asks for at least 5m, RFC 1939 section 3 for at least 10m",
            "5:8: warning: deadlines.idle: RFC 9051 section 5.4 asks for at least 30m",
        ]
    );
    assert_eq!(
        problems("[log]\nfilter = \"info,x=loud\"\nformat = \"xml\""),
        [
            "2:10: log.filter: \"info,x=loud\": bad log filter: error parsing level filter: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5",
            "3:10: log.format: \"xml\": unknown log format; known are auto, text and json",
        ]
    );
}

#[test]
fn the_table_of_keys_is_what_the_sections_read() {
    let text = "[[listener]]\n[auth.ldap]\n";
    let source = Source::new(Path::new("p"), Path::new("/"), text, &environment);
    let document = DeTable::parse(text).expect("two tables");
    read(&Table::root(&source, document.get_ref()), None);
    let known: BTreeSet<String> = keys::KEYS.iter().map(|key| (*key).to_owned()).collect();
    assert_eq!(source.asked(), known);
}

#[test]
fn the_example_shows_every_key_and_no_other() {
    let mut section = String::new();
    let mut shown = BTreeSet::new();
    for line in EXAMPLE.lines() {
        let line = line.trim_start_matches('#').trim();
        if let Some(name) = line.strip_prefix('[').and_then(|it| it.split_once(']')) {
            section = name.0.trim_start_matches('[').to_owned();
        } else if let Some((key, _)) = line.split_once(" = ") {
            let bare = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if bare && section.is_empty() {
                shown.insert(key.to_owned());
            } else if bare {
                shown.insert(format!("{section}.{key}"));
            }
        }
    }
    let known: BTreeSet<String> = keys::KEYS.iter().map(|key| (*key).to_owned()).collect();
    assert_eq!(shown, known);
}

#[test]
fn the_example_loads_and_its_defaults_are_the_defaults() {
    let config = good(EXAMPLE);
    assert_eq!(config.hostname, "mail.example.com");
    assert!(config.warnings.is_empty(), "{:#?}", config.warnings);
    // "#key" is a default: put in, it changes nothing.
    let is_default = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|it| it.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    let explicit: String = EXAMPLE
        .lines()
        .map(|line| if is_default(line) { &line[1..] } else { line })
        .map(|line| format!("{line}\n"))
        .collect();
    assert_ne!(explicit, EXAMPLE);
    assert_eq!(format!("{:#?}", good(&explicit)), format!("{config:#?}"));
    let plain = good("hostname = \"mail.example.com\"");
    assert_eq!(
        format!("{:?}", plain.limits),
        format!("{:?}", config.limits)
    );
}
