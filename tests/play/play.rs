//! Plays one transcript against a server of its own.

use std::collections::BTreeMap;

use postrider::config::Service;

use crate::client::{Client, Transport};
use crate::script::{Captured, Script, Step};
use crate::world::World;

/// What became of a transcript.
#[derive(Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The server said what it should.
    Played,
    /// This driver cannot play it, and why.
    Skipped(String),
}

/// Plays a transcript; the error begins with its line number.
pub async fn play(text: &str, transport: Transport) -> Result<Outcome, String> {
    let script = Script::parse(text)?;
    if let Some(reason) = cannot_play(&script)? {
        return Ok(Outcome::Skipped(reason));
    }
    let mut world = World::start(transport).await?;
    let played = play_on(&script, transport, &mut world).await;
    world.stop().await;
    played
}

/// A session of the transcript's.
struct Session {
    client: Client,
    /// The last command asked for TLS; it begins behind a good answer.
    wants_tls: bool,
}

async fn play_on(
    script: &Script,
    transport: Transport,
    world: &mut World,
) -> Result<Outcome, String> {
    let mut sessions: BTreeMap<u8, Session> = BTreeMap::new();
    let mut captured = Captured::default();
    for (at, step) in &script.steps {
        let fail = |what: String| format!("{at}: {what}");
        let number = match step {
            Step::Raw { session, .. }
            | Step::Line { session, .. }
            | Step::Server { session, .. } => *session,
            Step::Fault { neighbour, how } => {
                if !world.fault(neighbour, how).map_err(fail)? {
                    return Ok(Outcome::Skipped(format!("fault {neighbour} {how}")));
                }
                continue;
            }
            _ => {
                world.set_up(step).await.map_err(fail)?;
                continue;
            }
        };
        if let std::collections::btree_map::Entry::Vacant(place) = sessions.entry(number) {
            let service = service_of(script, number).map_err(fail)?;
            let client = world.connect(transport, service).await.map_err(fail)?;
            place.insert(Session {
                client,
                wants_tls: false,
            });
        }
        let session = sessions
            .get_mut(&number)
            .ok_or_else(|| fail("no session".into()))?;
        match step {
            Step::Raw { octets, .. } => session.client.say(octets).await.map_err(fail)?,
            Step::Line { line, .. } => {
                session.wants_tls = asks_for_tls(line);
                let line = captured.fill(line) + "\r\n";
                session.client.say(line.as_bytes()).await.map_err(fail)?;
            }
            Step::Server { wanted, .. } => {
                hear(session, wanted, &mut captured).await.map_err(fail)?
            }
            _ => {}
        }
    }
    if sessions.is_empty() {
        return Err("end: nothing was played".to_owned());
    }
    for (number, session) in sessions {
        let closed = session.client.close().await;
        closed.map_err(|error| format!("end: session {number}: {error}"))?;
    }
    Ok(Outcome::Played)
}

/// Reads as many lines as are wanted, and finds each of the wanted among them.
async fn hear(
    session: &mut Session,
    wanted: &[String],
    captured: &mut Captured,
) -> Result<(), String> {
    let mut heard = Vec::new();
    for want in wanted {
        match session.client.line().await {
            Ok(Some(line)) => heard.push(line),
            Ok(None) => return Err(format!("want {want:?}, but the server has closed")),
            Err(error) => return Err(format!("want {want:?}, but {error}")),
        }
    }
    if session.wants_tls {
        session.wants_tls = false;
        let agreed = ["220 ", "+OK ", "OK "];
        let line = heard.first().map_or("", String::as_str);
        // The tag stands before an IMAP response.
        let response = line.split_once(' ').map_or("", |(_, response)| response);
        if agreed
            .iter()
            .any(|good| line.starts_with(good) || response.starts_with(good))
        {
            session.client.start_tls().await?;
        }
    }
    for want in wanted {
        match heard.iter().position(|got| captured.matches(want, got)) {
            Some(index) => drop(heard.remove(index)),
            None => return Err(format!("want {want:?}, got {:?}", heard.join("\\n"))),
        }
    }
    Ok(())
}

/// Whether this line asks for TLS, in the words of any protocol.
fn asks_for_tls(line: &str) -> bool {
    let words: Vec<String> = line.split(' ').map(str::to_ascii_uppercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    matches!(words[..], ["STARTTLS" | "STLS"] | [_, "STARTTLS"])
}

/// Why no server can play this, if so.
fn cannot_play(script: &Script) -> Result<Option<String>, String> {
    if let Some(what) = script.needs.first() {
        return Ok(Some(format!("needs {what}")));
    }
    if script.tls && script.role(1) == Some("mx") {
        return Ok(Some(
            "no listener for mail has TLS from the first octet".into(),
        ));
    }
    Ok(None)
}

/// The listener that a session connects to.
fn service_of(script: &Script, session: u8) -> Result<Service, String> {
    let role = script.role(session).ok_or("no role")?;
    Ok(match (role, script.tls) {
        ("mx", _) => Service::Smtp,
        ("submission", false) => Service::Submission,
        ("submission", true) => Service::Submissions,
        ("lmtp", _) => Service::Lmtp,
        ("pop3", false) => Service::Pop3,
        ("pop3", true) => Service::Pop3s,
        ("imap", false) => Service::Imap,
        ("imap", true) => Service::Imaps,
        _ => return Err(format!("unknown role {role}")),
    })
}
