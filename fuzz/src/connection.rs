//! Whole connections: a server with its actors, pools and deadlines, and one client in memory that says what the fuzzer says, in the pieces
//! that the fuzzer cuts, while index and store work, fail, or stand still.
//!
//! What must hold whatever the octets are: no actor panics; what is said are whole lines and literals of the protocol, and no more answers
//! than questions; no tag is answered that was not said; the connection ends soon after its client has; and the next client is served.
//!
//! The input is that of [`Script`]: the setting says which service and which trouble, the choices say what becomes of the
//! operations of the store.
//!
//! **Bounds.** Time is real here, since threads of their own do the work, so all deadlines are short ones.

#![allow(dead_code)] // each target has one of the three

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use postrider::auth::{Answer, Request, Resolver};
use postrider::config::{Bind, ByteCount, Config, Service};
use postrider::engine::{Engine, Parts, Running};
use postrider_fuzz::imap::reader::Response;
use postrider_fuzz::script::{Choices, Script};
use postrider_fuzz::smtp::replies;
use postrider_storage::Error;
use postrider_storage::blob::{Fault, MemoryStore, Operation};
use postrider_storage::index::{
    AddAccounts, AddDomain, AuthType, Change, Index, MemoryIndex, NewAccount, Timestamp,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Where certificates and the spool lie: one for all inputs.
static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

/// How long our answer may take, and what a stalled operation costs.
const ANSWER: Duration = Duration::from_millis(60);
/// Everything else that a peer may take its time for.
const SILENCE: Duration = Duration::from_millis(400);
/// How long the server may take for what must end: many deadlines, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(20);
/// Clients of which one must be served when all is well again.
const NEXT: usize = 20;
/// What the server may hold of messages.
const MEMORY: u64 = 2 << 20;
/// Most pieces of an input.
const PIECES: usize = 128;
/// A piece that no answer comes to is followed by the next after this.
const PAUSE: Duration = Duration::from_millis(1);

/// Plays an input to an IMAP connection.
pub fn imap(octets: &[u8]) {
    run(octets, &[Service::Imap], judge_imap);
}

/// Plays an input to an SMTP, submission or LMTP connection.
pub fn smtp(octets: &[u8]) {
    let services = [Service::Smtp, Service::Submission, Service::Lmtp];
    run(octets, &services, judge_smtp);
}

/// Plays an input to a POP3 connection.
pub fn pop3(octets: &[u8]) {
    run(octets, &[Service::Pop3], judge_pop3);
}

/// Says yes to everybody; an account that is not there gets in nowhere all the same.
struct YesMan;

#[async_trait::async_trait]
impl Resolver for YesMan {
    fn name(&self) -> &'static str {
        "yes"
    }

    async fn authenticate(&self, _: Request<'_>) -> Answer {
        Answer::Granted
    }
}

/// Whether a client waits for the greeting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Manners {
    Patient,
    Hasty,
}

/// What goes wrong with index and store.
struct Trouble {
    store: MemoryStore,
    index: Arc<MemoryIndex>,
}

impl Trouble {
    /// Plans the next operations of the store.
    fn plan(&self, choices: &mut Choices<'_>) {
        for operation in [
            Operation::Put,
            Operation::Get,
            Operation::Put,
            Operation::Get,
        ] {
            let fault = choices.one_of(&[
                None,
                None,
                Some(Fault::Fail),
                Some(Fault::FailAfter),
                Some(Fault::Stall),
                Some(Fault::Corrupt),
            ]);
            if let Some(fault) = fault {
                self.store.fault(operation, fault);
            }
        }
    }

    /// Between two pieces of what the client says.
    fn step(&self, choices: &mut Choices<'_>) {
        match choices.take() % 16 {
            13 => self.store.resume(),
            14 => self
                .index
                .break_with(Some(Error::Unavailable("away".to_owned()))),
            15 => self.index.break_with(None),
            _ => {}
        }
    }
}

fn config(folder: &Path) -> Config {
    let mut config = Config::embedded(folder);
    config.listeners.retain(|it| it.service != Service::Metrics);
    for listener in &mut config.listeners {
        listener.bind = vec![Bind::Tcp(([127, 0, 0, 1], 0).into())];
        listener.plaintext_login = true;
    }
    let deadlines = &mut config.deadlines;
    deadlines.answer = ANSWER;
    for silence in [
        &mut deadlines.greeting,
        &mut deadlines.line,
        &mut deadlines.command,
        &mut deadlines.idle,
        &mut deadlines.login,
        &mut deadlines.data,
        &mut deadlines.write,
        &mut deadlines.handshake,
    ] {
        *silence = SILENCE;
    }
    config.limits.memory = ByteCount(MEMORY);
    config.limits.message_size = ByteCount(256 << 10);
    config.queues.threads = 4;
    config
}

fn run(octets: &[u8], services: &[Service], judge: fn(&[u8], &[u8])) {
    let script = Script::of(octets);
    let service = services[usize::from(script.setting) % services.len()];
    let system = actix_rt::System::new();
    system.block_on(async {
        let (store, index) = (MemoryStore::new(), Arc::new(MemoryIndex::new()));
        populate(&index).await;
        let parts = Parts {
            resolvers: vec![Arc::new(YesMan)],
            index: Some(index.clone()),
            store: Some(Arc::new(store.clone())),
            ..Parts::default()
        };
        let started = Engine::start(config(FOLDER.path()), parts).await;
        let running = started.expect("a server of our own");
        // Something to read.
        let letter = b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<ada@example.test>\r\nDATA\r\nSubject: x\r\n\r\ny\r\n.\r\nQUIT\r\n";
        converse(&running, Service::Lmtp, &[letter], Manners::Patient, || ()).await;

        let trouble = Trouble { store, index };
        let mut choices = script.choices.clone();
        if script.setting >= 64 {
            trouble.plan(&mut choices);
        }
        let login = match script.setting & 16 {
            0 => login(service),
            _ => b"",
        };
        let mut pieces = vec![login];
        pieces.extend(script.cut.pieces(script.said));
        pieces.truncate(PIECES);
        let manners = match script.setting & 32 {
            0 => Manners::Patient,
            _ => Manners::Hasty,
        };
        let said = converse(&running, service, &pieces, manners, || {
            trouble.step(&mut choices);
        })
        .await;
        judge(&[login, script.said].concat(), &said);

        // The house stands: when all is well again, the next one is served.
        trouble.index.break_with(None);
        trouble.store.resume();
        let next: &[&[u8]] = match service {
            Service::Imap => &[b"a LOGOUT\r\n"],
            _ => &[b"QUIT\r\n"],
        };
        let mut said = Vec::new();
        // On a machine with other things to do one client may be too slow for deadlines as short as these; not all of them.
        for _ in 0..NEXT {
            said = converse(&running, service, next, Manners::Patient, || ()).await;
            if said.split(|octet| *octet == b'\n').count() > 2 {
                break;
            }
        }
        assert!(
            said.split(|octet| *octet == b'\n').count() > 2,
            "the next client hears {:?}",
            said.escape_ascii().to_string()
        );
        running.drain(PATIENCE).await;
    });
}

/// What a client says that is to get to what lies behind a login.
fn login(service: Service) -> &'static [u8] {
    match service {
        Service::Imap => b"login LOGIN ada@example.test x\r\n",
        Service::Pop3 => b"USER ada@example.test\r\nPASS x\r\n",
        Service::Submission => b"EHLO a\r\nAUTH PLAIN AGFkYUBleGFtcGxlLnRlc3QAeA==\r\n",
        _ => b"",
    }
}

async fn populate(index: &MemoryIndex) {
    let domain = Change::AddDomain(AddDomain {
        name: "example.test".to_owned(),
        auth: AuthType::Local,
        ldap_base_dn: None,
        now: Timestamp(0),
    });
    let account = |email: &str, quota| NewAccount {
        email: email.to_owned(),
        password: None,
        quota,
        auth: AuthType::Local,
    };
    let accounts = Change::AddAccounts(AddAccounts {
        accounts: vec![
            account("ada@example.test", None),
            account("bob@example.test", Some(500)),
        ],
        now: Timestamp(0),
    });
    for outcome in index.apply(vec![domain, accounts]).await {
        outcome.expect("an empty index takes them");
    }
}

/// Says all pieces, hears all answers, hangs up, and waits for the end.
async fn converse(
    running: &Running,
    service: Service,
    pieces: &[&[u8]],
    manners: Manners,
    mut between: impl FnMut(),
) -> Vec<u8> {
    let client = running.connect(service).expect("room for a client");
    let (mut read, mut write) = tokio::io::split(client);
    let mut heard = Vec::new();
    if manners == Manners::Patient {
        let greeting = async {
            while !heard.ends_with(b"\n") {
                match read.read_u8().await {
                    Ok(octet) => heard.push(octet),
                    Err(_) => break,
                }
            }
        };
        let greeted = timeout(PATIENCE, greeting).await;
        assert!(greeted.is_ok(), "no greeting");
    }
    let speak = async {
        for piece in pieces {
            between();
            // A server that has closed takes no more, which is its right.
            if write.write_all(piece).await.is_err() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let _ = write.shutdown().await;
    };
    let hear = async {
        // Reset or closed: it is over.
        let _ = read.read_to_end(&mut heard).await;
    };
    let both = timeout(PATIENCE, async { tokio::join!(speak, hear) }).await;
    assert!(both.is_ok(), "the connection does not end with its client");
    heard
}

/// How many lines the client has said that begin like this.
fn lines_of<'a>(said: &'a [u8], begin: &'a [u8]) -> usize {
    let lines = said.split(|octet| *octet == b'\n');
    lines.filter(|line| line.starts_with(begin)).count()
}

fn judge_imap(said: &[u8], heard: &[u8]) {
    let responses = Response::all(complete(heard));
    let first = responses.first().map(|it| it.text.as_str());
    assert!(first.is_some_and(|it| it.starts_with("* ")), "{first:?}");
    for response in &responses {
        let Some(tag) = response.ends().filter(|tag| *tag != "*") else {
            continue;
        };
        let ends = responses.iter().filter(|it| it.ends() == Some(tag)).count();
        let begins = lines_of(said, tag.as_bytes());
        assert!(
            ends <= begins,
            "{tag} was said {begins} times and answered {ends}"
        );
    }
    let bye = responses.iter().filter(|it| it.text.starts_with("* BYE"));
    assert!(bye.count() <= 1, "two farewells");
}

fn judge_smtp(said: &[u8], heard: &[u8]) {
    let heard = whole(heard);
    let codes = replies(heard);
    assert!(matches!(codes.first(), Some(220 | 421 | 554)), "{codes:?}");
    // One a line, one a recipient after a message over LMTP, the greeting, and the farewell.
    let lines = said.split(|octet| *octet == b'\n').count();
    let chunks = lines_of(&said.to_ascii_uppercase(), b"BDAT");
    assert!(
        codes.len() <= 2 * lines + 2 * chunks + 2,
        "{} replies to {lines} lines",
        codes.len()
    );
    let farewells = codes.iter().filter(|code| matches!(code, 221 | 421));
    assert!(farewells.count() <= 1, "two farewells: {codes:?}");
}

fn judge_pop3(said: &[u8], heard: &[u8]) {
    let heard = whole(heard);
    let mut lines = heard.split(|octet| *octet == b'\n');
    assert!(lines.next().is_some_and(|it| it.starts_with(b"+OK")));
    for line in heard.split_inclusive(|octet| *octet == b'\n') {
        assert!(
            line.ends_with(b"\r\n") && line.len() <= 1024,
            "a broken line"
        );
        assert!(!line[..line.len() - 2].contains(&b'\r'), "a stray CR");
    }
    // Every status answers a line; a line of a message that looks like one is stuffed or ours.
    let statuses = lines_of(heard, b"-ERR");
    let asked = said.split(|octet| *octet == b'\n').count();
    assert!(statuses <= asked + 1, "{statuses} errors to {asked} lines");
}

/// What was heard, without half a line at its end.
fn whole(heard: &[u8]) -> &[u8] {
    let end = heard.iter().rposition(|octet| *octet == b'\n');
    &heard[..end.map_or(0, |end| end + 1)]
}

/// What was heard, without half a response at its end: where the store fails in the middle of a body, the connection ends in it.
fn complete(heard: &[u8]) -> &[u8] {
    let (mut end, mut at) = (0, 0);
    while let Some(line) = heard[at..].windows(2).position(|pair| pair == b"\r\n") {
        let text = &heard[at..at + line];
        at += line + 2;
        let literal = text
            .strip_suffix(b"}")
            .and_then(|it| {
                std::str::from_utf8(&it[it.iter().rposition(|it| *it == b'{')? + 1..]).ok()
            })
            .and_then(|digits| digits.parse::<usize>().ok());
        match literal {
            None => end = at,
            Some(octets) if at + octets < heard.len() => at += octets,
            Some(_) => break,
        }
    }
    &heard[..end]
}
