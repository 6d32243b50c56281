//! What is wrong with a configuration is said in full, with its place; what is right is read.

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
fn listeners_take_the_place_of_the_default_ones() {
    let config = good(
        "[[listener]]\nservice = \"imaps\"\nbind = [\"0.0.0.0:993\", \"[::]:993\"]\nproxy_protocol_from = \"10.0.0.10\"\n\
         [[listener]]\nservice = \"lmtp\"\nbind = \"/run/postrider/lmtp.sock\"\n\
         [[listener]]\nservice = \"imap\"\nbind = \"127.0.0.1:0\"\nplaintext_login = true\n\
         [[listener]]\nservice = \"imap\"\nbind = \"127.0.0.1:0\"\n",
    );
    assert_eq!(config.listeners.len(), 4);
    assert!(config.listeners[0].expects_proxy_header("10.0.0.10".parse().expect("an address")));
    assert!(!config.listeners[0].expects_proxy_header("10.0.0.11".parse().expect("an address")));
    assert_eq!(
        config.listeners[1].bind,
        [Bind::Unix("/run/postrider/lmtp.sock".into())]
    );
    assert!(config.listeners[2].plaintext_login && !config.listeners[3].plaintext_login);
    assert_eq!(config.listeners_of(Program::Imapd).count(), 3);
    assert_eq!(config.listeners_of(Program::Smtpd).count(), 1);
    assert_eq!(config.listeners_of(Program::Pop3d).count(), 0);
}

#[test]
fn metrics_have_a_section_or_a_listener() {
    let service = |config: &Config| {
        let metrics = config
            .listeners
            .iter()
            .filter(|it| it.service == Service::Metrics);
        metrics.map(|it| it.bind[0].to_string()).collect::<Vec<_>>()
    };
    let config = good("[metrics]\nbind = \"127.0.0.1:9\"");
    assert_eq!(
        (config.listeners.len(), service(&config)),
        (9, vec!["127.0.0.1:9".to_owned()])
    );
    let config = good(
        "[metrics]\nbind = \"127.0.0.1:9\"\n[[listener]]\nservice = \"imaps\"\nbind = \"127.0.0.1:0\"",
    );
    assert_eq!(
        (config.listeners.len(), service(&config)),
        (2, vec!["127.0.0.1:9".to_owned()])
    );
    let config = good("[[listener]]\nservice = \"imaps\"\nbind = \"127.0.0.1:0\"");
    assert!(service(&config).is_empty());
    assert_eq!(
        problems(
            "[metrics]\nbind = \"127.0.0.1:9\"\n[[listener]]\nservice = \"metrics\"\nbind = \"127.0.0.1:0\""
        ),
        ["2:8: metrics.bind: there is a [[listener]] of service \"metrics\" too; keep one of them"]
    );
    let config = good(
        "[[listener]]\nservice = \"metrics\"\nbind = \"127.0.0.1:1\"\nprogram = \"imapd\"\n\
         [[listener]]\nservice = \"metrics\"\nbind = \"127.0.0.1:2\"\nprogram = \"smtpd\"\n",
    );
    assert_eq!(config.listeners_of(Program::Imapd).count(), 1);
    assert_eq!(config.listeners_of(Program::Postrider).count(), 0);
}

#[test]
fn listeners_that_cannot_be_are_refused() {
    assert_eq!(
        problems(
            "[[listener]]\nservice = \"imaps\"\nbind = \"0.0.0.0:993\"\n\
             [[listener]]\nservice = \"pop3s\"\nbind = [\"127.0.0.1:993\", \"[::]:993\"]\n\
             [[listener]]\nservice = \"imaps\"\nbind = \"/run/imap.sock\"\nplaintext_login = true\nprogram = \"pop3d\"\n\
             [[listener]]\nbind = []\nproxy_protocol_from = [\"0.0.0.0/0\"]\n\
             [[listener]]\nservice = \"smtp\"\n"
        ),
        [
            "6:9: listener.bind: 127.0.0.1:993 is taken by the imaps listener of line 3 (0.0.0.0:993)",
            "9:8: listener.bind: only lmtp can listen on a unix socket, imaps cannot",
            "10:19: listener.plaintext_login: means nothing for imaps; it is for submission, imap and pop3",
            "11:11: listener.program: pop3d does not serve imaps",
            "12:1: listener.service is missing; say what it speaks, such as \"imaps\"",
            "12:1: listener.bind is empty; say where it listens, such as \"0.0.0.0:993\"",
            "15:1: listener.bind is missing; say where it listens, such as \"0.0.0.0:993\"",
        ]
    );
    assert_eq!(
        warnings(
            "[[listener]]\nservice = \"imap\"\nbind = \"0.0.0.0:143\"\nplaintext_login = true\n\
             [[listener]]\nservice = \"lmtp\"\nbind = \"0.0.0.0:24\"\n"
        ),
        [
            "4:19: warning: listener.plaintext_login: passwords cross the network in the clear unless a proxy in front has ended the TLS",
            "7:8: warning: listener.bind: 0.0.0.0:24 lets other hosts deliver by lmtp, which knows neither login nor TLS; use a unix socket or a loopback address",
        ]
    );
}

#[test]
fn a_certificate_needs_its_key_and_both_must_be_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        path.display().to_string()
    };
    let certificate = write("c.pem", "-----BEGIN CERTIFICATE-----\n", 0o644);
    let key = write("k.pem", "-----BEGIN PRIVATE KEY-----\n", 0o600);
    let loose = write("l.pem", "-----BEGIN RSA PRIVATE KEY-----\n", 0o644);
    let config = good(&format!(
        "[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nmin_version = \"1.2\""
    ));
    assert_eq!(
        config
            .tls
            .certificate
            .map(|it| it.key.display().to_string()),
        Some(key.clone())
    );
    assert_eq!(config.tls.smtp_min_version, TlsVersion::V1_2);
    assert_eq!(
        warnings(&format!(
            "[tls]\ncertificate = \"{certificate}\"\nkey = \"{loose}\""
        )),
        [format!(
            "3:7: warning: tls.key: {loose} can be read by everyone (mode 0644); run: chmod o-rwx {loose}"
        )]
    );
    assert_eq!(
        problems(&format!(
            "[tls]\ncertificate = \"{certificate}\"\nmin_version = \"1.1\""
        )),
        [
            "2:15: tls.certificate without tls.key; give both or neither",
            "3:15: tls.min_version: \"1.1\": unknown version of TLS; known are \"1.2\" and \"1.3\"",
        ]
    );
    assert_eq!(
        problems(&format!(
            "[tls]\ncertificate = \"{key}\"\nkey = \"{certificate}.not\""
        )),
        [
            format!("2:15: tls.certificate: {key} holds no PEM block of type CERTIFICATE"),
            format!(
                "3:7: tls.key: cannot read {certificate}.not: No such file or directory (os error 2)"
            ),
        ]
    );
}

#[test]
fn secrets_come_from_files_and_the_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        path
    };
    write("good", "hunter2\n", 0o600);
    write("empty", "\n", 0o600);
    write("open", "hunter2", 0o606);
    write("shown", "hunter2", 0o604);
    write("long", &"x".repeat(70_000), 0o600);
    let file = write("p.toml", "", 0o644);
    let load = |text: &str| Config::parse(&file, text, &environment);
    let password = |text: &str| {
        let config = load(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let warnings: Vec<String> = config
            .warnings
            .iter()
            .map(|it| it.message.clone())
            .collect();
        let password = config.database.password.expect("a password");
        (password.expose().clone(), warnings)
    };
    assert_eq!(
        password("[database]\npassword_file = \"good\""),
        ("hunter2".to_owned(), vec![])
    );
    assert_eq!(
        password("[database]\npassword = \"${PASSWORD}\""),
        ("hunter2".to_owned(), vec![])
    );
    assert_eq!(password("[database]\npassword_file = \"shown\"").1.len(), 1);
    let (_, warnings) = password("[database]\npassword = \"hunter2\"");
    assert_eq!(
        warnings,
        [format!(
            "database.password: everyone can read this file; use database.password_file or \"${{ENV_NAME}}\", or run: chmod o-rwx {}",
            file.display()
        )]
    );
    for (text, message) in [
        ("password_file = \"empty\"", "empty is empty"),
        (
            "password_file = \"open\"",
            "can be written by everyone (mode 0606)",
        ),
        ("password_file = \"long\"", "longer than 64KiB"),
        ("password_file = \"none\"", "No such file"),
        (
            "password = \"${NOPE}\"",
            "database.password: environment variable NOPE is not set",
        ),
        (
            "password = \"a\"\npassword_file = \"good\"",
            "are both given; keep one",
        ),
    ] {
        let problems = load(&format!("[database]\n{text}")).expect_err(text);
        assert!(problems[0].message.contains(message), "{problems:#?}");
        assert!(!format!("{problems:?}").contains("hunter2"));
    }
    let config = load("[database]\npassword_file = \"good\"").expect("good");
    assert!(
        !format!("{config:?}").contains("hunter2"),
        "Debug shows no secret"
    );
    assert_eq!(good("hostname = \"${HOST}\"").hostname, "mail.example.org");
}

#[test]
fn parts_to_come_are_checked_and_refused() {
    assert_eq!(
        problems("[database]\nlisten_url = \"sqlite:///x.db\""),
        ["2:14: database.listen_url: only PostgreSQL can be listened to"]
    );
    assert_eq!(
        problems("[database]\nurl = \"postgres://u:hunter2@h\""),
        ["2:7: database.url: must be \"postgres://USER@HOST/DATABASE\""]
    );
    assert_eq!(
        problems(
            "[store]\nkind = \"s3\"\nbucket = \"mailboxes\"\nendpoint = \"https://minio.example.com\"\naccess_key = \"${PASSWORD}\"\nsecret_key = \"${PASSWORD}\""
        ),
        [""; 0]
    );
    assert_eq!(
        problems(
            "[store]\nkind = \"s3\"\nroot = \"/mail\"\nbucket = \"Mail_boxes\"\nendpoint = \"minio\""
        ),
        [
            "1:1: store.access_key (or store.access_key_file) is missing",
            "1:1: store.secret_key (or store.secret_key_file) is missing",
            "3:8: store.root belongs to store.kind \"filesystem\", not \"s3\"",
            "4:10: store.bucket: not the name of a bucket; 3 to 63 lower-case letters, digits, dots and hyphens",
            "5:12: store.endpoint: must be a URL such as \"https://minio.example.com\"",
        ]
    );
    assert_eq!(
        problems("[store]\nbucket = \"b\""),
        ["2:10: store.bucket belongs to store.kind \"s3\""]
    );
    assert_eq!(
        problems("[store]\ntimeout = \"3s\"\n[store.cache]\nsize = \"1GiB\""),
        [
            "2:11: store.timeout belongs to store.kind \"s3\"",
            "4:8: store.cache.size belongs to store.kind \"s3\"",
        ]
    );
    let s3 = "[store]\nkind = \"s3\"\nbucket = \"mail\"\naccess_key = \"${PASSWORD}\"\nsecret_key = \"${PASSWORD}\"\n";
    assert_eq!(
        problems(&format!(
            "{s3}endpoint = \"http://minio\"\nconsistency = \"maybe\"\npart_size = \"1MiB\"\n[store.cache]\ndir = \"/c\""
        )),
        [
            "7:15: store.consistency: \"maybe\": unknown consistency; known are strong and eventual",
            "8:13: store.part_size: 1MiB is out of range, it must lie between 5MiB and 1GiB",
        ]
    );
    assert_eq!(
        warnings(&format!(
            "{s3}endpoint = \"http://minio\"\n[store.cache]\ndir = \"/c\""
        )),
        [
            "6:12: warning: store.endpoint: mail goes there in clear; use https://",
            "8:7: warning: store.cache.dir: without store.cache.size nothing is kept there",
        ]
    );
    let store = good(&format!("{s3}endpoint = \"http://127.0.0.1:9000\"")).store;
    assert!(matches!(store, Store::S3(S3 { cache: None, .. })));
    let ca = problems(&format!(
        "{s3}endpoint = \"https://minio\"\nca_file = \"/dev/null\""
    ));
    assert_eq!(
        ca,
        ["7:11: store.ca_file: /dev/null holds no certificate in PEM"]
    );
    assert_eq!(problems("[store]\nkind = \"tape\"").len(), 1);
    let ldap = "[auth.ldap]\nurl = \"ldaps://ldap.example.com\"\nbind_dn = \"cn=p\"\nbind_password = \"${PASSWORD}\"\nbase_dn = \"dc=x\"\n";
    let found = good(ldap).auth.ldap.expect("a directory");
    assert_eq!(found.urls, ["ldaps://ldap.example.com"]);
    assert_eq!(found.sync_filter, "(&(objectClass=inetOrgPerson)(mail=*))");
    assert!(found.create_accounts && found.grace.is_zero());
    assert_eq!(found.sync_every, Duration::from_secs(3600));
    let two = ldap.replace(
        "\"ldaps://ldap.example.com\"",
        "[\"ldaps://a.example.com\", \"ldaps://b.example.com:1636/\"]",
    );
    let found = good(&two).auth.ldap.expect("a directory");
    assert_eq!(
        found.urls,
        ["ldaps://a.example.com", "ldaps://b.example.com:1636/"]
    );
    assert_eq!(
        problems(
            "[auth.ldap]\nurl = \"ldap://h\"\nuser_filter = \"(objectClass=*)\"\ntimeout = \"1h\"\nca_file = \"/none\""
        ),
        [
            "1:1: auth.ldap.bind_dn is missing",
            "1:1: auth.ldap.base_dn is missing",
            "1:1: auth.ldap.bind_password_file (or auth.ldap.bind_password) is missing; anonymous bind is refused",
            "2:7: auth.ldap.url: TLS is mandatory; use \"ldaps://\"",
            "3:15: auth.ldap.user_filter: must hold {email} or {uid}, or it finds the same users for everybody",
            "4:11: auth.ldap.timeout: 1h is out of range, it must lie between 100ms and 1m",
            "5:11: auth.ldap.ca_file: cannot read /none: No such file or directory (os error 2)",
        ]
    );
    for filter in [
        "mail={email}",
        "(mail={email}))",
        "(mail={email})(x=y)",
        "((mail={email})",
    ] {
        let found = problems(&format!("{ldap}user_filter = \"{filter}\""));
        assert_eq!(found.len(), 1, "{filter}: {found:?}");
    }
    for bad in [
        "sync_filter = \"(mail={email})\"",
        "disabled_filter = \"(x\"",
        "id_attribute = \"entry UUID\"",
        "alias_attributes = [\"a\", \"(b)\"]",
        "default_domain = \"not a domain\"",
        "connections = 0",
        "user_filter = \"(&(mail={email})(=))\"",
    ] {
        let found = problems(&format!("{ldap}{bad}"));
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
    }
    for url in [
        "ldap://h",
        "ldapi:///x",
        "ldaps://",
        "ldaps://a b",
        "ldaps://h:0",
        "ldaps://u@h",
        "ldaps://h/dc=x",
        "ldaps://[::1]",
    ] {
        let text = ldap.replace("ldaps://ldap.example.com", url);
        let found = problems(&text);
        assert_eq!(found.len(), 1, "{url}: {found:?}");
    }
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
