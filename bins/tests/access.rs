//! What the control program takes away is gone at once, on a server that runs: cached logins and live sessions of every protocol.

mod house;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use house::House;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server in a process of its own; gone with the value.
struct Server {
    child: Child,
    ports: serde_json::Value,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const POSTRIDER: &str = env!("CARGO_BIN_EXE_postrider");

/// `postrider --config postrider.toml …`
fn control(house: &House, arguments: &[&str], input: &str) -> String {
    let all = [&["--config", "postrider.toml"], arguments].concat();
    house.run(POSTRIDER, &all, input).good()
}

fn start(house: &House) -> Server {
    let ports = house.path("ports.json");
    let child = Command::new(POSTRIDER)
        .args(["--config", "postrider.toml", "run", "--ports-file"])
        .arg(&ports)
        .current_dir(house.path(""))
        .env_remove("NOTIFY_SOCKET")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program is built");
    let began = Instant::now();
    let mut server = Server {
        child,
        ports: serde_json::Value::Null,
    };
    while began.elapsed() < PATIENCE {
        if let Ok(text) = std::fs::read(&ports) {
            server.ports = serde_json::from_slice(&text).expect("whole");
            return server;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("not started in time");
}

/// A connection that has heard its greeting.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(server: &Server, service: &str) -> Self {
        let port = server.ports[service].as_u64().expect("it listens") as u16;
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut client = Self(BufReader::new(stream));
        client.line();
        client
    }

    /// The next line; empty at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("in time");
        line
    }

    /// Says a line; the first line of the answer that begins so.
    fn say(&mut self, line: &str, until: &str) -> String {
        let text = format!("{line}\r\n");
        self.0.get_mut().write_all(text.as_bytes()).expect("open");
        loop {
            let line = self.line();
            if line.starts_with(until) || line.is_empty() {
                return line;
            }
        }
    }

    /// What the server says before it closes by itself.
    fn end(mut self) -> String {
        let mut said = String::new();
        loop {
            match self.line() {
                line if line.is_empty() => return said,
                line => said.push_str(&line),
            }
        }
    }
}

fn imap_answer(server: &Server, email: &str, password: &str) -> (Client, String) {
    let mut client = Client::connect(server, "imap");
    let said = client.say(&format!("a LOGIN {email} {password}"), "a ");
    (client, said)
}

/// One session of each kind, the IMAP one in IDLE; the end of each that is to be heard.
fn sessions(server: &Server, email: &str, password: &str) -> Vec<(Client, &'static str)> {
    let (mut imap, said) = imap_answer(server, email, password);
    assert!(said.starts_with("a OK"), "{said}");
    imap.say("b SELECT INBOX", "b OK");
    imap.say("c IDLE", "+");
    let mut pop3 = Client::connect(server, "pop3");
    pop3.say(&format!("USER {email}"), "+OK");
    let said = pop3.say(&format!("PASS {password}"), "");
    assert!(said.starts_with("+OK"), "{said}");
    let mut submission = Client::connect(server, "submission");
    submission.say("EHLO client.example", "250 ");
    submission.say("AUTH LOGIN", "334 ");
    submission.say(&BASE64.encode(email), "334 ");
    let said = submission.say(&BASE64.encode(password), "");
    assert!(said.starts_with("235 "), "{said}");
    vec![
        (imap, "* BYE "),
        (pop3, "-ERR [AUTH]"),
        (submission, "421 4.7.0 "),
    ]
}

#[test]
fn attack_31_what_the_control_program_takes_away_is_gone_at_once() {
    let house = House::new();
    let data = house.path("data").display().to_string();
    let mut config = format!(
        "hostname = \"mail.example.com\"\ndata_dir = \"{data}\"\n\
         [database]\nurl = \"sqlite://{data}/index.db\"\n[store]\nkind = \"filesystem\"\nroot = \"{data}/mail\"\n"
    );
    for service in ["imap", "pop3", "submission"] {
        config += &format!(
            "[[listener]]\nservice = \"{service}\"\nbind = \"127.0.0.1:0\"\nplaintext_login = true\n"
        );
    }
    house.write("postrider.toml", config);
    control(&house, &["domain", "add", "example.com"], "");
    control(&house, &["domain", "add", "example.net"], "");
    for email in [
        "ada@example.com",
        "bob@example.com",
        "eve@example.com",
        "zoe@example.net",
    ] {
        control(&house, &["user", "add", email], "old-secret\n");
    }
    let server = start(&house);
    let (mut stays, said) = imap_answer(&server, "bob@example.com", "old-secret");
    assert!(said.starts_with("a OK"), "{said}");
    for (email, command, input) in [
        (
            "ada@example.com",
            &["user", "passwd", "ada@example.com"][..],
            "new-secret\n",
        ),
        (
            "ada@example.com",
            &["user", "disable", "ada@example.com"],
            "",
        ),
        (
            "eve@example.com",
            &["user", "remove", "eve@example.com"],
            "",
        ),
        ("zoe@example.net", &["domain", "disable", "example.net"], ""),
    ] {
        let password = match command[1] {
            "disable" if command[0] == "user" => "new-secret",
            _ => "old-secret",
        };
        let open = sessions(&server, email, password);
        control(&house, command, input);
        // Not even what was remembered of the logins a moment ago.
        let (_, said) = imap_answer(&server, email, password);
        assert!(
            said.starts_with("a NO [AUTHENTICATIONFAILED]"),
            "{command:?}: {said}"
        );
        for (client, words) in open {
            let said = client.end();
            assert!(said.starts_with(words), "{command:?}: {said}");
        }
    }
    let (_, said) = imap_answer(&server, "ada@example.com", "new-secret");
    assert!(said.starts_with("a NO"), "{said}");
    control(&house, &["user", "enable", "ada@example.com"], "");
    let (_, said) = imap_answer(&server, "ada@example.com", "new-secret");
    assert!(said.starts_with("a OK"), "{said}");
    assert!(stays.say("b NOOP", "b ").starts_with("b OK"));
}

#[test]
fn an_import_takes_the_hashes_of_dovecot_and_names_those_it_cannot_verify() {
    let house = House::with_domain();
    let users = "email,password_hash\n\
        sha@example.com,{SHA512-CRYPT}$6$Z/p.H5klg3lVLEWn$rkpCcE4UAkNivOFBwwiq7MDawe/R96EhVMIRuYwoThdT8p/lMp2M14JwQ2cXgkopOG5moWgWC52Pv/0ioxLGj1\n\
        argon@example.com,\"{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$YtyRGVIcYRb8Z3IEJ7rXEQ$975mtcCO6ZXSX0zujA87tyJgDJ3PyOSIdtj1c1P1aG0\"\n\
        ssha@example.com,{SSHA}sPgrgkdqE5HPTE+o2eRChrBCdxpdRu5o\n\
        plain@example.com,{PLAIN}correct h\u{f6}rse\n";
    house.write("users.csv", users);
    assert_eq!(
        house.postrider(&["user", "import", "users.csv"]).good(),
        "added 4 users\n"
    );
    house.write(
        "bad.csv",
        "email,password_hash\na@example.com,{DES-CRYPT}4vwbLeAED0QQU\nb@example.com,{SHA512-CRYPT}$6$rounds=999999999$s$x\nc@example.com,{SSHA}\n",
    );
    assert_eq!(
        house.postrider(&["user", "import", "bad.csv"]).failed(),
        "bad.csv:2: will not verify a hash of DES-CRYPT: it looks at the first 8 characters of a password alone, and whoever has the hash finds them within hours; set a new password\n\
         bad.csv:3: cannot verify a hash with rounds of SHA-crypt: 999999999: more than 1000000\n\
         bad.csv:4: cannot verify a damaged hash: a digest without salt\n\
         postrider: 3 bad lines, no user was added\n"
    );
}
