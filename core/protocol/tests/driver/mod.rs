//! Plays a transcript against a bare session; `script.rs` says what stands in one.

mod script;
mod wire;
mod world;

use std::sync::Arc;

use postrider_protocol::lmtp::LmtpSession;
use postrider_protocol::pop3::{self, Pop3Session};
use postrider_protocol::sasl::PlaintextLogin;
use postrider_protocol::smtp::{Config, Reports, Role, SmtpSession};
use postrider_protocol::tls::Tls;

use script::{Captured, Script, Step};
use wire::{Play, Wire};
use world::World;

const HOSTNAME: &str = "mail.example.test";

/// Plays a transcript; the error begins with its line number.
pub fn play(text: &str) -> Result<(), String> {
    let script = Script::parse(text)?;
    let mut world = World::default();
    let mut wire: Option<Box<dyn Play>> = None;
    let mut captured = Captured::default();
    for (at, step) in &script.steps {
        let fail = |what: String| format!("{at}: {what}");
        let session = match step {
            Step::Account { .. } | Step::Alias { .. } | Step::Deliver { .. } => {
                if wire.is_some() {
                    return Err(fail("set up before the first session".into()));
                }
                world.set_up(step);
                continue;
            }
            Step::Fault { neighbour, how } => {
                let world = wire.as_mut().map_or(&mut world, |wire| wire.world());
                world.fault(neighbour, how).map_err(fail)?;
                continue;
            }
            Step::Raw { session, .. }
            | Step::Line { session, .. }
            | Step::Server { session, .. } => *session,
        };
        if session != 1 {
            return Err(fail("a bare session is alone".into()));
        }
        if wire.is_none() {
            let role = script.role(1).ok_or_else(|| fail("no role".into()))?;
            wire = Some(open(role, script.tls, std::mem::take(&mut world)).map_err(fail)?);
        }
        let wire = wire.as_mut().ok_or_else(|| fail("no session".into()))?;
        match step {
            Step::Server { wanted, .. } => {
                hear(wire.heard(), wanted, &mut captured).map_err(fail)?
            }
            Step::Raw { octets, .. } => say(&mut **wire, octets).map_err(fail)?,
            Step::Line { line, .. } => {
                let line = captured.fill(line);
                say(&mut **wire, &[line.as_bytes(), b"\r\n"].concat()).map_err(fail)?;
            }
            _ => {}
        }
    }
    let mut wire = wire.ok_or("end: nothing was played")?;
    match wire.heard().first() {
        None => Ok(()),
        Some(unread) => Err(format!("end: the server also said {unread:?}")),
    }
}

fn say(wire: &mut dyn Play, octets: &[u8]) -> Result<(), String> {
    if let Some(unread) = wire.heard().first() {
        return Err(format!("the server also said {unread:?}"));
    }
    if wire.is_closed() {
        return Err("the server has closed".into());
    }
    wire.client(octets);
    Ok(())
}

fn hear(heard: &mut Vec<String>, wanted: &[String], captured: &mut Captured) -> Result<(), String> {
    for (found, want) in wanted.iter().enumerate() {
        // Lines in any order are those that follow, no more of them.
        let mut next = heard.iter().take(wanted.len() - found);
        match next.position(|got| captured.matches(want, got)) {
            Some(index) => drop(heard.remove(index)),
            None => return Err(format!("want {want:?}, got {:?}", heard.first())),
        }
    }
    Ok(())
}

fn open(role: &str, tls: bool, mut world: World) -> Result<Box<dyn Play>, String> {
    let config = |role, starttls| {
        Arc::new(Config {
            role,
            hostname: HOSTNAME.to_owned(),
            tls: if tls { Tls::Implicit } else { starttls },
            plaintext_login: PlaintextLogin::Refused,
            reports: match role {
                Role::Submission => Reports::Offered,
                Role::Mx => Reports::Absent,
            },
            ..Config::default()
        })
    };
    world.role = role.to_owned();
    Ok(match role {
        "mx" => {
            let session = SmtpSession::new(config(Role::Mx, Tls::Offered));
            Box::new(Wire::open(session, world, World::smtp))
        }
        "submission" => {
            let session = SmtpSession::new(config(Role::Submission, Tls::Required));
            Box::new(Wire::open(session, world, World::smtp))
        }
        "lmtp" => {
            let session = LmtpSession::new(config(Role::Mx, Tls::Absent));
            Box::new(Wire::open(session, world, World::smtp))
        }
        "pop3" => {
            let config = pop3::Config {
                hostname: HOSTNAME.to_owned(),
                tls: if tls { Tls::Implicit } else { Tls::Required },
                expire: pop3::Expire::DaysAtLeast(1),
                ..pop3::Config::default()
            };
            let session = Pop3Session::new(Arc::new(config));
            Box::new(Wire::open(session, world, World::pop3))
        }
        _ => return Err(format!("unknown role {role}")),
    })
}
