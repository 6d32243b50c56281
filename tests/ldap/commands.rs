//! The built program: `[auth.ldap]`, `postrider ldap …`, a login over IMAP, and a session that ends with its account.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use postrider_tests::daemon::{Daemon, House};
use serde_json::Value;
use tempfile::TempDir;

use super::slapd::{SERVICE, Slapd, dn, person};

/// Generous: a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn house(folder: &TempDir, slapd: &Slapd, more: &str) -> House {
    let secret = folder.path().join("secret");
    fs::write(&secret, SERVICE.1).unwrap();
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&secret, own).unwrap();
    let lines = format!(
        "[[listener]]\nservice = \"imap\"\nbind = \"127.0.0.1:0\"\nplaintext_login = true\n\
         [auth.ldap]\nurl = {:?}\nca_file = {:?}\nbind_dn = {:?}\nbind_password_file = {:?}\n\
         base_dn = \"ou=people,dc=test\"\n{more}",
        slapd.url(),
        slapd.ca(),
        SERVICE.0,
        secret,
    );
    House::new(folder.path(), &lines)
}

/// An IMAP connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(daemon: &Daemon) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", daemon.port("imap"))).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self(BufReader::new(stream));
        assert!(client.line().unwrap().starts_with("* OK"));
        client
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// What a login is answered with.
    fn login(&mut self, user: &str, password: &str) -> String {
        let command = format!("a LOGIN {user} {password}\r\n");
        self.0.get_mut().write_all(command.as_bytes()).unwrap();
        loop {
            let line = self.line().expect("an answer");
            if line.starts_with("a ") {
                return line;
            }
        }
    }
}

fn login(daemon: &Daemon, user: &str, password: &str) -> String {
    Client::connect(daemon).login(user, password)
}

fn json(house: &House, arguments: &[&str]) -> Value {
    let arguments = [&["--json"], arguments].concat();
    let output = house.control(&arguments, "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {said}"))
}

#[test]
fn a_company_moves_in_and_somebody_leaves() {
    let slapd = Slapd::start(&[
        person("ada@with.test", "one"),
        person("bob@with.test", "two"),
    ]);
    let folder = TempDir::new().unwrap();
    let house = house(&folder, &slapd, "sync_every = \"0s\"\n");
    house.done(&["domain", "add", "with.test", "--auth", "ldap"], "");
    let dry = house.done(&["ldap", "sync", "--dry-run"], "");
    assert!(
        dry.contains("2 changes would be made\n  create ada@with.test"),
        "{dry}"
    );
    let document = json(&house, &["ldap", "sync"]);
    assert_eq!(document["domains"][0]["changes"][0]["change"], "create");
    assert_eq!(document["dry_run"], false);
    let shown = json(&house, &["user", "show", "ada@with.test"]);
    assert_eq!(shown["auth"], "ldap");
    assert_eq!(shown["directory"]["name"], "ada");
    let passwd = house.control(&["user", "passwd", "ada@with.test"], "new password\n");
    assert_eq!(passwd.status.code(), Some(1));

    let daemon = house.start();
    assert!(login(&daemon, "ada@with.test", "one").starts_with("a OK"));
    let wrong = login(&daemon, "ada@with.test", "two");
    assert!(wrong.starts_with("a NO [AUTHENTICATIONFAILED]"), "{wrong}");
    let mut live = Client::connect(&daemon);
    assert!(live.login("bob@with.test", "two").starts_with("a OK"));

    slapd.delete(&dn("bob"));
    house.done(&["ldap", "sync"], "");
    // Sent away, not only refused the next time.
    let began = Instant::now();
    let bye = live.line().unwrap_or_default();
    assert!(bye.starts_with("* BYE"), "{bye}");
    assert!(began.elapsed() < PATIENCE);
    assert!(login(&daemon, "bob@with.test", "two").starts_with("a NO"));

    slapd.stop();
    let later = login(&daemon, "ada@with.test", "one");
    assert!(later.starts_with("a NO [UNAVAILABLE]"), "{later}");
    slapd.go_on();
    let log = house.log();
    for part in [
        "ldap: granted",
        "ldap: denied, wrong password, or the entry is locked; local: unknown, LDAP vouches for the account",
        "ldap: unavailable",
    ] {
        assert!(log.contains(part), "{part} is not in the log:\n{log}");
    }
    assert!(!log.contains(SERVICE.1), "a password is in the log");
    daemon.stop();
}

/// A domain goes over to the directory and back on a running server: who vouches is another, at once, also for sessions that are open.
#[test]
fn a_domain_changes_who_vouches_for_its_users() {
    let slapd = Slapd::start(&[person("ada@with.test", "one")]);
    let folder = TempDir::new().unwrap();
    let more = "sync_every = \"0s\"\n[auth]\nupgrade_hashes = false\n";
    let house = house(&folder, &slapd, more);
    house.done(&["domain", "add", "with.test"], "");
    let table = "email,password_hash\nada@with.test,{PLAIN}kept\nbob@with.test,{PLAIN}kept\n";
    house.done(&["user", "import", "-"], table);
    let daemon = house.start();
    let says = |user: &str, password: &str| {
        let said = login(&daemon, user, password);
        let yes = said.starts_with("a OK");
        assert!(
            yes || said.starts_with("a NO [AUTHENTICATIONFAILED]"),
            "{said}"
        );
        yes
    };
    let mut live = Client::connect(&daemon);
    assert!(live.login("ada@with.test", "kept").starts_with("a OK"));
    assert!(!says("ada@with.test", "one"));

    let said = house.done(&["domain", "auth", "with.test", "ldap"], "");
    assert!(said.contains("2 users: bound by address"), "{said}");
    let bye = live.line().unwrap_or_default();
    assert!(bye.starts_with("* BYE"), "{bye}");
    assert!(says("ada@with.test", "one") && !says("ada@with.test", "kept"));
    assert!(!says("bob@with.test", "kept"), "he is not in the directory");
    let shown = json(&house, &["user", "show", "ada@with.test"]);
    assert_eq!(
        (&shown["auth"], &shown["directory"]["name"]),
        (&"ldap".into(), &"ada".into())
    );

    // And on a stopped server, back.
    daemon.stop();
    let changed = json(&house, &["domain", "auth", "with.test", "local"]);
    assert_eq!(
        (&changed["auth"], &changed["without_password"]),
        (&"local".into(), &0.into())
    );
    let daemon = house.start();
    for user in ["ada@with.test", "bob@with.test"] {
        assert!(login(&daemon, user, "kept").starts_with("a OK"), "{user}");
    }
    assert!(login(&daemon, "ada@with.test", "one").starts_with("a NO"));
    // Or with its users as they are: either password opens them.
    house.done(&["domain", "auth", "with.test", "ldap", "--keep-users"], "");
    for (user, password) in [
        ("ada@with.test", "one"),
        ("ada@with.test", "kept"),
        ("bob@with.test", "kept"),
    ] {
        let said = login(&daemon, user, password);
        assert!(said.starts_with("a OK"), "{user} {password}: {said}");
    }
    let refused = house.control(
        &[
            "domain",
            "auth",
            "with.test",
            "local",
            "--ldap-base-dn",
            "dc=x",
        ],
        "",
    );
    assert_eq!(refused.status.code(), Some(1));
    daemon.stop();
}

#[test]
fn the_server_synchronises_by_itself() {
    let slapd = Slapd::start(&[person("ada@with.test", "one")]);
    let folder = TempDir::new().unwrap();
    let house = house(&folder, &slapd, "sync_every = \"1s\"\n");
    house.done(&["domain", "add", "with.test", "--auth", "ldap"], "");
    let daemon = house.start();
    let wait_for = |email: &str| {
        let deadline = Instant::now() + PATIENCE;
        while !house.control(&["user", "show", email], "").status.success() {
            assert!(Instant::now() < deadline, "no {email}:\n{}", house.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    wait_for("ada@with.test");
    slapd.add(&person("bob@with.test", "two"));
    wait_for("bob@with.test");
    daemon.stop();
}

#[test]
fn a_test_says_step_by_step_what_is_found() {
    let mut slapd = Slapd::start(&[person("ada@with.test", "one")]);
    let folder = TempDir::new().unwrap();
    let house = house(&folder, &slapd, "timeout = \"2s\"\n");
    house.done(&["domain", "add", "with.test", "--auth", "ldap"], "");
    house.done(&["domain", "add", "without.test"], "");
    let steps = |email: &str| {
        let document = json(&house, &["ldap", "test", email]);
        let steps = document["steps"].as_array().unwrap();
        let step = |it: &Value| {
            let good = it["good"].as_bool().unwrap();
            format!(
                "{}{}",
                it["step"].as_str().unwrap(),
                if good { "" } else { "!" }
            )
        };
        steps.iter().map(step).collect::<Vec<_>>().join(" ")
    };
    let reached = "connect tls service bind";
    assert_eq!(
        steps("ada@with.test"),
        format!("{reached} domain search entry account")
    );
    assert_eq!(steps("bob@with.test"), format!("{reached} domain search!"));
    assert_eq!(steps("ada@without.test"), format!("{reached} domain!"));
    let text = house.done(&["ldap", "test", "ada@with.test"], "");
    assert!(text.contains("will be added at the first login"), "{text}");
    slapd.kill();
    assert_eq!(steps("ada@with.test"), "connect!");
    slapd.restart();
    slapd.stop();
    assert_eq!(steps("ada@with.test"), "connect tls!");
    slapd.go_on();

    let file = folder.path().join("postrider.toml");
    let right = fs::read_to_string(&file).unwrap();
    let other = slapd.other_ca().display().to_string();
    fs::write(
        &file,
        right.replace(&slapd.ca().display().to_string(), &other),
    )
    .unwrap();
    assert_eq!(steps("ada@with.test"), "connect tls!");
    fs::write(&file, right.replace(SERVICE.0, "cn=nobody,dc=test")).unwrap();
    assert_eq!(steps("ada@with.test"), "connect tls service bind!");
    let plain = right.replace("ldaps://", "ldap://");
    fs::write(&file, plain).unwrap();
    let refused = house.control(&["check-config"], "");
    let said = String::from_utf8_lossy(&refused.stdout).into_owned()
        + &String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("TLS is mandatory"), "{said}");
}
