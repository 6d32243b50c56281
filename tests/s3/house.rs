//! The whole server over a bucket.

use std::fs;
use std::time::{Duration, Instant};

use postrider_tests::daemon::{Daemon, House};
use tempfile::TempDir;

use crate::client::Client;
use crate::server::{ACCESS, BUCKET, Fault, REGION, SECRET, Server};

/// An account.
pub const ADA: &str = "ada@s3.test";
const PASSWORD: &str = "not to be guessed";
/// Its hash at bcrypt's lowest cost: the tests are about other things.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuZ4LSViaTlWbA3NzuQsqZWas5EXpaDH6";

/// A running server, its database on the disk and its store in a bucket.
pub struct Running {
    pub daemon: Daemon,
    pub house: House,
    folder: TempDir,
}

/// The configuration of a store.
pub fn store(server: &Server) -> String {
    format!(
        "[store]\nkind = \"s3\"\nendpoint = \"{}\"\nbucket = \"{BUCKET}\"\nregion = \"{REGION}\"\npath_style = true\naccess_key = \"{ACCESS}\"\nsecret_key = \"{SECRET}\"\n",
        server.endpoint()
    )
}

impl Running {
    /// With these lines at the end of the configuration.
    pub fn start(lines: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut text = "hostname = \"mail.s3.test\"\n".to_owned();
        for service in ["smtp", "imap", "metrics"] {
            text.push_str(&format!(
                "[[listener]]\nservice = \"{service}\"\nbind = \"127.0.0.1:0\"\n"
            ));
            if service == "imap" {
                text.push_str("plaintext_login = true\n");
            }
        }
        text.push_str("[auth]\nupgrade_hashes = false\n");
        let house = House::new(folder.path(), &(text + lines));
        house.done(&["migrate"], "");
        house.done(&["domain", "add", "s3.test"], "");
        let table = format!("email,password_hash,quota\n{ADA},{HASH},unlimited\n");
        house.done(&["user", "import", "-"], &table);
        let daemon = house.start();
        Self {
            daemon,
            house,
            folder,
        }
    }

    /// The same house after its server was killed.
    pub fn again(self) -> Self {
        let Self {
            daemon,
            house,
            folder,
        } = self;
        drop(daemon);
        let daemon = house.start();
        Self {
            daemon,
            house,
            folder,
        }
    }

    pub fn connect(&self, service: &str) -> Client {
        let mut client = Client::connect(self.daemon.port(service));
        client.line();
        client
    }

    /// A session of SMTP after its greeting.
    pub fn smtp(&self) -> Client {
        let mut client = self.connect("smtp");
        client.say("EHLO client.example");
        client
    }

    /// A session of IMAP after login.
    pub fn imap(&self) -> Client {
        let mut client = self.connect("imap");
        client.ok(&format!("LOGIN {ADA} \"{PASSWORD}\""));
        client
    }

    /// A number of the metrics.
    pub fn metric(&self, beginning: &str) -> f64 {
        let mut http = Client::connect(self.daemon.port("metrics"));
        http.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let text = http.rest();
        let lines = text.lines().filter(|line| line.starts_with(beginning));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// The status line of a question about its health.
    pub fn health(&self, path: &str) -> String {
        let mut http = Client::connect(self.daemon.port("metrics"));
        http.write(
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        http.line()
    }

    /// Resident memory, in octets.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.daemon.pid());
        let status = fs::read_to_string(path).expect("the server lives");
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let kib = line.and_then(|it| it.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kib.expect("a process has memory") * 1024
    }

    /// Files of the cache.
    fn cached(&self) -> usize {
        let folders = fs::read_dir(self.folder.path().join("data/cache/postrider"));
        let folders = folders.into_iter().flatten().flatten();
        let folders = folders.filter(|it| it.file_name() != "new");
        folders
            .filter_map(|it| fs::read_dir(it.path()).ok())
            .flatten()
            .count()
    }
}

/// A message of about so many octets.
pub fn message(subject: &str, octets: usize) -> Vec<u8> {
    let mut text = format!("From: eve@remote.example\r\nTo: {ADA}\r\nSubject: {subject}\r\n\r\n");
    while text.len() < octets {
        text.push_str(
            "All the octets of a line that is neither short nor long, again and again.\r\n",
        );
    }
    text.into_bytes()
}

/// Octets that IMAP says a body has.
fn fetch(imap: &mut Client, what: &str) -> (String, usize) {
    imap.imap(&format!("UID FETCH 1 ({what})"))
}

#[test]
fn mail_comes_in_lies_in_the_bucket_and_goes_out() {
    let server = Server::start();
    server.bucket().may_list = false;
    let running = Running::start(&(store(&server) + "[store.cache]\nsize = \"64MiB\"\n"));
    assert!(running.health("/health/ready").contains("200"));
    let mut smtp = running.smtp();
    let sent = message("hello", 30_000_000);
    let reply = smtp.send(ADA, &sent);
    assert!(reply.starts_with("250"), "{reply}\n{}", running.house.log());
    let reply = smtp.send(ADA, &message("small", 100));
    assert!(reply.starts_with("250"), "{reply}");

    let keys: Vec<_> = server.bucket().objects.keys().cloned().collect();
    let mail = keys
        .iter()
        .filter(|it| it.starts_with("s3.test/ada/Maildir/cur/"));
    assert_eq!(mail.count(), 2, "{keys:?}");
    assert_eq!(keys.len(), 3, "and what a probe writes: {keys:?}");

    let mut imap = running.imap();
    imap.ok("SELECT INBOX");
    let (tagged, octets) = fetch(&mut imap, "BODY.PEEK[]");
    assert!(
        tagged.starts_with("OK") && octets > sent.len(),
        "{tagged}, {octets}"
    );
    let (tagged, octets) = fetch(&mut imap, "BODY.PEEK[]<1000000.5000>");
    assert!(
        tagged.starts_with("OK") && (5000..6000).contains(&octets),
        "{tagged}, {octets}"
    );
    imap.ok("UID FETCH 2 (BODY.PEEK[])");
    imap.ok("UID FETCH 2 (BODY.PEEK[TEXT])");

    // What was read lies on the disk, if it is not too large a part of the room.
    let begun = Instant::now();
    while running.cached() == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "nothing is cached"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    imap.ok("UID FETCH 2 (BODY.PEEK[])");
    for metric in [
        "postrider_cache_reads_total{result=\"hit\"}",
        "postrider_cache_reads_total{result=\"miss\"}",
        "postrider_cache_hit_bytes_total ",
        "postrider_cache_held_bytes ",
    ] {
        assert!(running.metric(metric) > 0.0, "{metric}");
    }
    for line in server.seen() {
        assert!(
            !line.starts_with("HEAD") && !line.contains("list-type"),
            "{line}"
        );
    }
    // With the bucket away, the cache still has it, and nobody is told that mail is lost.
    server.always(Some(Fault::Refuse(403, "AccessDenied")));
    imap.ok("UID FETCH 2 (BODY.PEEK[])");
    let (tagged, _) = fetch(&mut imap, "BODY.PEEK[]<0.10>");
    assert!(tagged.starts_with("NO [UNAVAILABLE]"), "{tagged}");
    assert!(running.health("/health/ready").contains("503"));
    server.always(None);

    // fsck may list.
    server.bucket().may_list = true;
    server.bucket().page = 1;
    let said = running.house.done(&["fsck"], "");
    assert!(
        said.contains("2 bodies in the index, 2 objects in the store: they agree"),
        "{said}"
    );
    let lost = server
        .bucket()
        .objects
        .keys()
        .find(|it| it.starts_with("s3.test/"))
        .cloned();
    let lost = lost.expect("there is mail");
    server.bucket().objects.remove(&lost);
    let output = running.house.control(&["fsck"], "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("missing: {lost}")), "{said}");
    // A listing that breaks is no missing mail.
    server.fault("GET", Fault::Delay(Duration::ZERO));
    server.bucket().page = 1;
    server.always(Some(Fault::Refuse(403, "AccessDenied")));
    let output = running.house.control(&["fsck"], "");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!said.contains("missing"), "{said}");
    assert_eq!(running.daemon.stop().code(), Some(0));
}

/// Keys that may not list: what the index names is looked for all the same, and the rest is said not to be checked.
#[test]
fn attack_47_fsck_says_what_keys_that_may_not_list_leave_unchecked() {
    let server = Server::start();
    let running = Running::start(&store(&server));
    let mut smtp = running.smtp();
    for subject in ["one", "two"] {
        let reply = smtp.send(ADA, &message(subject, 500));
        assert!(reply.starts_with("250"), "{reply}");
    }
    assert_eq!(running.metric("postrider_fsck_ended_seconds"), 0.0);
    server.bucket().may_list = false;
    let fsck = || {
        let output = running.house.control(&["--json", "fsck"], "");
        let document = serde_json::from_slice::<serde_json::Value>(&output.stdout);
        (output.status.code(), document.expect("one document"))
    };
    let (code, said) = fsck();
    assert_eq!(code, Some(1), "half a check is not a good one: {said}");
    let why = said["not_checked"].as_str().expect("it says why");
    assert!(
        why.contains("s3:ListBucket") && why.contains(BUCKET),
        "{why}"
    );
    assert_eq!((&said["found"], &said["agree"]), (&0.into(), &false.into()));
    let output = running.house.control(&["fsck"], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        text,
        format!(
            "not checked: what the store has and the index lacks, because {why}\n2 bodies in the index: nothing is missing\n"
        )
    );
    assert_eq!(running.metric("postrider_fsck_complete"), 0.0);
    assert!(running.metric("postrider_fsck_ended_seconds") > 1_700_000_000.0);

    // One that is lost is found, though nobody says what is missing; and one that was cut.
    let mut mail: Vec<String> = server.bucket().objects.keys().cloned().collect();
    mail.retain(|it| it.starts_with("s3.test/"));
    let cut = server.bucket().objects.get_mut(&mail[0]).map(|it| {
        it.octets = it.octets.slice(..it.octets.len() - 1);
    });
    assert!(cut.is_some() && server.bucket().objects.remove(&mail[1]).is_some());
    let (code, said) = fsck();
    assert_eq!((code, &said["found"]), (Some(1), &2.into()), "{said}");
    let mut found: Vec<(&str, &str)> = Vec::new();
    for it in said["findings"].as_array().expect("a list") {
        found.push((
            it["key"].as_str().expect("a key"),
            it["kind"].as_str().expect("a kind"),
        ));
    }
    found.sort_unstable();
    assert_eq!(
        found,
        [(mail[0].as_str(), "damaged"), (mail[1].as_str(), "missing")]
    );
    let kind = |kind: &str| running.metric(&format!("postrider_fsck_findings{{kind=\"{kind}\"}}"));
    assert_eq!(
        (kind("missing"), kind("damaged"), kind("left_over")),
        (1.0, 1.0, 0.0)
    );
    server.bucket().may_list = true;
    let (_, said) = fsck();
    assert_eq!(said["not_checked"], serde_json::Value::Null);
    assert_eq!(running.metric("postrider_fsck_complete"), 1.0);
}

#[test]
fn attack_47_wrong_keys_end_the_start_and_a_store_that_is_away_does_not() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = "[[listener]]\nservice = \"metrics\"\nbind = \"127.0.0.1:0\"\n".to_owned();
    let wrong = lines.clone() + &store(&server).replace(SECRET, "other");
    let house = House::new(folder.path(), &wrong);
    let status = house.try_start().expect_err("it cannot start");
    assert_eq!(status.code(), Some(1));
    let log = house.log();
    assert!(
        log.contains("SignatureDoesNotMatch") && log.contains("secret key"),
        "{log}"
    );
    assert!(!log.contains("other"), "{log}");

    let away = lines + &store(&server).replace(&server.endpoint(), "http://127.0.0.1:1");
    let house = House::new(folder.path(), &away);
    let daemon = house.start();
    assert!(house.log().contains("the store is away"), "{}", house.log());
    assert_eq!(daemon.stop().code(), Some(0));
}
