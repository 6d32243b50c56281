//! Debian's slapd, started by a test: LDAPS on a free port of 127.0.0.1, a CA and a certificate made for it, a database in a temporary folder.
//!
//! **Invariants.** It does not outlive its value, stopped or not.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;

/// Generous: a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who may do everything.
const ROOT: (&str, &str) = ("cn=admin,dc=test", "root-password");
/// Who searches for Postrider.
pub const SERVICE: (&str, &str) = ("cn=postrider,dc=test", "service-password");
/// Where schemas lie on Debian.
const SCHEMAS: &str = "/etc/ldap/schema";

/// A running slapd.
pub struct Slapd {
    folder: TempDir,
    port: u16,
    child: Child,
}

/// A person of the directory.
#[derive(Clone, Debug, Default)]
pub struct Person {
    pub uid: String,
    pub mails: Vec<String>,
    pub password: String,
    /// Further lines of LDIF.
    pub more: Vec<(String, String)>,
}

/// A person with one address, whose uid is its local part.
pub fn person(mail: &str, password: &str) -> Person {
    let uid = mail.split('@').next().unwrap().to_owned();
    Person {
        uid,
        mails: vec![mail.to_owned()],
        password: password.to_owned(),
        more: Vec::new(),
    }
}

impl Person {
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.more.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its name in the directory.
    pub fn dn(&self) -> String {
        dn(&self.uid)
    }

    fn ldif(&self) -> String {
        let mut text = format!("dn:: {}\n", BASE64.encode(self.dn()));
        for class in ["inetOrgPerson", "mailPerson"] {
            let _ = writeln!(text, "objectClass: {class}");
        }
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name}:: {}", BASE64.encode(value));
        };
        line("uid", &self.uid);
        line("cn", &self.uid);
        line("sn", &self.uid);
        if !self.password.is_empty() {
            line("userPassword", &self.password);
        }
        for mail in &self.mails {
            // The standard attribute takes ASCII alone.
            match mail.is_ascii() {
                true => line("mail", mail),
                false => line("mailAddress", mail),
            }
        }
        for (name, value) in &self.more {
            line(name, value);
        }
        text + "\n"
    }
}

/// The name of an entry.
pub fn dn(uid: &str) -> String {
    format!("uid={uid},ou=people,dc=test")
}

impl Slapd {
    /// With these people, and these further lines of configuration of the database.
    pub fn start_with(people: &[Person], lines: &str) -> Self {
        assert!(
            program().exists() && Path::new(SCHEMAS).is_dir(),
            "slapd is missing: apt-get install --no-install-recommends slapd ldap-utils"
        );
        let folder = TempDir::new().unwrap();
        certificates(folder.path());
        configure(folder.path(), lines);
        let tree = folder.path().join("tree.ldif");
        fs::write(&tree, ldif(people)).unwrap();
        let added = Command::new(program())
            .args(["-T", "add", "-q", "-f"])
            .arg(folder.path().join("slapd.conf"))
            .arg("-l")
            .arg(&tree)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&added.stderr);
        assert!(added.status.success(), "slapadd: {said}");
        let (child, port) = launch(folder.path(), None);
        Self {
            folder,
            port,
            child,
        }
    }

    pub fn start(people: &[Person]) -> Self {
        Self::start_with(people, "")
    }

    pub fn url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.port)
    }

    /// The CA that signed its certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A CA that did not.
    pub fn other_ca(&self) -> PathBuf {
        self.folder.path().join("other.pem")
    }

    /// Takes the processor away from it: the kernel still takes connections, and nobody says anything.
    pub fn stop(&self) {
        signal(&self.child, "STOP");
    }

    /// Gives it back.
    pub fn go_on(&self) {
        signal(&self.child, "CONT");
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port and database.
    pub fn restart(&mut self) {
        let (child, port) = launch(self.folder.path(), Some(self.port));
        self.child = child;
        self.port = port;
    }

    /// The names that somebody bound as, or tried to, one after the other.
    pub fn binds(&self) -> Vec<String> {
        let log = fs::read(self.folder.path().join("log")).unwrap();
        let log = String::from_utf8_lossy(&log);
        let name = |line: &str| {
            let (_, rest) = line.split_once(" BIND dn=\"")?;
            let (name, rest) = rest.split_once('"')?;
            rest.contains("method=128").then(|| name.to_owned())
        };
        log.lines().filter_map(name).collect()
    }

    pub fn add(&self, person: &Person) {
        self.tool("ldapadd", &[], &person.ldif());
    }

    /// Changes entries, as LDIF says.
    pub fn modify(&self, ldif: &str) {
        self.tool("ldapmodify", &[], ldif);
    }

    /// Refers whoever searches to another server for a part of the tree.
    pub fn refer(&self, part: &str, url: &str) {
        let ldif = format!(
            "dn: ou={part},ou=people,dc=test\nobjectClass: referral\nobjectClass: extensibleObject\nou: {part}\nref: {url}\n"
        );
        self.tool("ldapadd", &["-M"], &ldif);
    }

    /// Sets one attribute of an entry.
    pub fn set(&self, dn: &str, name: &str, value: &str) {
        let value = BASE64.encode(value);
        self.modify(&format!(
            "dn: {dn}\nchangetype: modify\nreplace: {name}\n{name}:: {value}\n"
        ));
    }

    /// Takes away one attribute of an entry.
    pub fn unset(&self, dn: &str, name: &str) {
        self.modify(&format!("dn: {dn}\nchangetype: modify\ndelete: {name}\n"));
    }

    pub fn delete(&self, dn: &str) {
        self.tool("ldapdelete", &[dn], "");
    }

    fn tool(&self, tool: &str, arguments: &[&str], input: &str) {
        let mut child = client(tool, &self.ca(), self.port)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{tool} (Debian: ldap-utils): {error}"));
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let done = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{tool}: {said}\n{input}");
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let usual = Path::new("/usr/sbin/slapd");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut all = std::env::split_paths(&path).map(|it| it.join("slapd"));
        match usual.exists() {
            true => usual.to_owned(),
            false => all
                .find(|it| it.exists())
                .unwrap_or_else(|| usual.to_owned()),
        }
    })
}

fn client(tool: &str, ca: &Path, port: u16) -> Command {
    let mut command = Command::new(tool);
    command
        .env("LDAPTLS_CACERT", ca)
        .env("LDAPRC", "/dev/null")
        .arg("-x")
        .args(["-H", &format!("ldaps://127.0.0.1:{port}")])
        .args(["-D", ROOT.0, "-w", ROOT.1])
        .args(["-o", "nettimeout=5"]);
    command
}

/// Where it says what it does, over all its starts.
fn log(folder: &Path) -> fs::File {
    let mut options = fs::OpenOptions::new();
    let log = options.create(true).append(true).open(folder.join("log"));
    log.unwrap()
}

/// Starts it and waits until it answers; on another port if somebody was quicker.
fn launch(folder: &Path, port: Option<u16>) -> (Child, u16) {
    let begin = Instant::now();
    loop {
        let port = port.unwrap_or_else(free_port);
        let mut child = Command::new(program())
            .arg("-f")
            .arg(folder.join("slapd.conf"))
            // In the foreground; operations and their results are logged.
            .args(["-h", &format!("ldaps://127.0.0.1:{port}/"), "-d", "256"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log(folder))
            .spawn()
            .unwrap();
        while child.try_wait().unwrap().is_none() {
            let asked = client("ldapwhoami", &folder.join("ca.pem"), port)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap_or_else(|error| panic!("ldapwhoami (Debian: ldap-utils): {error}"));
            if asked.success() {
                return (child, port);
            }
            assert!(begin.elapsed() < PATIENCE, "slapd does not answer");
            sleep(Duration::from_millis(20));
        }
        assert!(begin.elapsed() < PATIENCE, "slapd does not start");
        sleep(Duration::from_millis(50));
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh")
        .args(["-c", "kill -\"$0\" \"$1\"", name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success(), "slapd has ended by itself");
}

/// A CA, a certificate for 127.0.0.1 signed by it, and a CA that signed nothing.
fn certificates(folder: &Path) {
    let ca = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (certificate, Issuer::new(params, key))
    };
    let (certificate, issuer) = ca("CA of the directory");
    fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    let (other, _) = ca("another CA");
    fs::write(folder.join("other.pem"), other.pem()).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    params.subject_alt_names = vec![SanType::IpAddress(address)];
    let key = KeyPair::generate().unwrap();
    let own = params.signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("own.pem"), own.pem()).unwrap();
    fs::write(folder.join("own.key"), key.serialize_pem()).unwrap();
}

fn configure(folder: &Path, lines: &str) {
    let at = folder.display();
    fs::create_dir(folder.join("db")).unwrap();
    let text = format!(
        "include {SCHEMAS}/core.schema
include {SCHEMAS}/cosine.schema
include {SCHEMAS}/inetorgperson.schema
attributetype ( 1.3.6.1.4.1.32473.1.1 NAME 'mailAddress' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.2 NAME 'mailAlternate' EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
attributetype ( 1.3.6.1.4.1.32473.1.3 NAME 'directoryGuid' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.32473.2.1 NAME 'mailPerson' SUP top AUXILIARY MAY ( mailAddress $ mailAlternate $ directoryGuid ) )
pidfile {at}/pid
argsfile {at}/args
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
TLSCACertificateFile {at}/ca.pem
TLSCertificateFile {at}/own.pem
TLSCertificateKeyFile {at}/own.key
TLSVerifyClient never
TLSProtocolMin 3.3
# Some servers take an empty password for a yes: so does this one, which is what attack 30 is about.
allow bind_anon_cred bind_anon_dn
database mdb
suffix \"dc=test\"
rootdn \"{root}\"
rootpw {password}
directory {at}/db
maxsize 67108864
dbnosync
overlay ppolicy
ppolicy_default \"cn=default,dc=test\"
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=\"{service}\" read by self read by * none
{lines}
",
        root = ROOT.0,
        password = ROOT.1,
        service = SERVICE.0,
    );
    fs::write(folder.join("slapd.conf"), text).unwrap();
}

/// The tree: the service account, two policies, the people.
fn ldif(people: &[Person]) -> String {
    let mut text = format!(
        "dn: dc=test
objectClass: top
objectClass: dcObject
objectClass: organization
dc: test
o: Test

dn: ou=people,dc=test
objectClass: organizationalUnit
ou: people

dn: ou=former,dc=test
objectClass: organizationalUnit
ou: former

dn: {service}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: postrider
userPassword: {password}

dn: cn=default,dc=test
objectClass: device
objectClass: pwdPolicy
cn: default
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 0

dn: cn=strict,dc=test
objectClass: device
objectClass: pwdPolicy
cn: strict
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 2
pwdLockoutDuration: 0

",
        service = SERVICE.0,
        password = SERVICE.1,
    );
    text.extend(people.iter().map(Person::ldif));
    text
}
