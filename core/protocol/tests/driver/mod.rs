//! Reads a transcript and plays it against a bare session.
//!
//! | Line | Means |
//! | --- | --- |
//! | `role mx`, `submission`, `lmtp`, `pop3` | the listener |
//! | `tls on` | TLS from the first octet; else STARTTLS is offered (mx) or required (submission, pop3) |
//! | `account EMAIL PASSWORD [quota=N]`, `alias SRC DST` | who is there |
//! | `deliver EMAIL <<`, up to a line `.` | a message is there |
//! | `fault auth`, `fault index`, `fault blob` with `unavailable` or `gone` | a neighbour breaks |
//! | `C:` a line, `C=` raw octets with `\r \n \t \0 \\ \xHH` | the client says |
//! | `S:` a line, `S*:` a line in any order of its neighbours, `$name` captures a word | the server says |

mod wire;
mod world;

use std::collections::HashMap;
use std::sync::Arc;

use postrider_protocol::lmtp::LmtpSession;
use postrider_protocol::pop3::{self, Pop3Session};
use postrider_protocol::sasl::PlaintextLogin;
use postrider_protocol::smtp::{Config, Role, SmtpSession};
use postrider_protocol::tls::Tls;

use wire::{Play, Wire};
use world::World;

const HOSTNAME: &str = "mail.example.test";

/// Plays a transcript; the error begins with its line number.
pub fn play(script: &str) -> Result<(), String> {
    let mut lines = script.lines().enumerate().peekable();
    let mut world = World::default();
    let (mut role, mut tls) = (None, false);
    let mut wire: Option<Box<dyn Play>> = None;
    let mut captured = HashMap::new();
    while let Some((number, line)) = lines.next() {
        let at = number + 1;
        let fail = |what: String| format!("{at}: {what}");
        let words: Vec<&str> = line.split_whitespace().collect();
        let setting = match words[..] {
            [] => true,
            [comment, ..] if comment.starts_with('#') => true,
            ["role", name] => {
                role = Some(name);
                true
            }
            ["tls", "on"] => {
                tls = true;
                true
            }
            ["deliver", email, "<<"] => {
                let mut message = String::new();
                for (_, line) in lines.by_ref().take_while(|(_, line)| *line != ".") {
                    message.push_str(line);
                    message.push_str("\r\n");
                }
                world.deliver(email, message.as_bytes());
                true
            }
            ["fault", neighbour, how] if wire.is_some() => {
                let wire = wire.as_mut().ok_or_else(|| fail("no session".into()))?;
                wire.world().fault(neighbour, how).map_err(fail)?;
                true
            }
            _ => world.set_up(&words).map_err(fail)?,
        };
        if setting {
            continue;
        }
        if wire.is_none() {
            let role = role.ok_or_else(|| fail("no role".into()))?;
            wire = Some(open(role, tls, std::mem::take(&mut world)).map_err(fail)?);
        }
        let wire = wire.as_mut().ok_or_else(|| fail("no session".into()))?;
        if let Some(said) = line.strip_prefix("C:").or_else(|| line.strip_prefix("C=")) {
            if let Some(unread) = wire.heard().first() {
                return Err(fail(format!("the server also said {unread:?}")));
            }
            if wire.is_closed() {
                return Err(fail("the server has closed".into()));
            }
            let said = said.strip_prefix(' ').unwrap_or(said);
            let octets = match line.starts_with("C=") {
                true => unescape(said).map_err(fail)?,
                false => [said.as_bytes(), b"\r\n"].concat(),
            };
            wire.client(&octets);
        } else if let Some(want) = line.strip_prefix("S*: ") {
            let found = wire
                .heard()
                .iter()
                .position(|got| matches(want, got, &mut captured));
            match found {
                Some(index) => drop(wire.heard().remove(index)),
                None => return Err(fail(format!("want {want:?} among {:?}", wire.heard()))),
            }
        } else if let Some(want) = line.strip_prefix("S:") {
            let want = want.strip_prefix(' ').unwrap_or(want);
            let heard = wire.heard();
            if heard.is_empty() {
                return Err(fail(format!("want {want:?}, got nothing")));
            }
            let got = heard.remove(0);
            if !matches(want, &got, &mut captured) {
                return Err(fail(format!("want {want:?}, got {got:?}")));
            }
        } else {
            return Err(fail(format!("unknown line {line:?}")));
        }
    }
    let mut wire = wire.ok_or("end: nothing was played")?;
    match wire.heard().first() {
        None => Ok(()),
        Some(unread) => Err(format!("end: the server also said {unread:?}")),
    }
}

fn open(role: &str, tls: bool, mut world: World) -> Result<Box<dyn Play>, String> {
    let config = |role, starttls| {
        Arc::new(Config {
            role,
            hostname: HOSTNAME.to_owned(),
            tls: if tls { Tls::Implicit } else { starttls },
            plaintext_login: PlaintextLogin::Refused,
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
                ..pop3::Config::default()
            };
            let session = Pop3Session::new(Arc::new(config));
            Box::new(Wire::open(session, world, World::pop3))
        }
        _ => return Err(format!("unknown role {role}")),
    })
}

/// Whether a line is as wanted. A word `$name` stands for any word, the same one everywhere.
fn matches(want: &str, got: &str, captured: &mut HashMap<String, String>) -> bool {
    if !want.contains('$') {
        return want == got;
    }
    let (wanted, words): (Vec<_>, Vec<_>) = (want.split(' ').collect(), got.split(' ').collect());
    wanted.len() == words.len()
        && wanted
            .iter()
            .zip(words)
            .all(|(want, got)| match want.strip_prefix('$') {
                None => *want == got,
                Some(name) => {
                    captured
                        .entry(name.to_owned())
                        .or_insert_with(|| got.to_owned())
                        == got
                }
            })
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let [octet, tail @ ..] = rest {
        rest = tail;
        if *octet != b'\\' {
            octets.push(*octet);
            continue;
        }
        let (octet, tail) = match tail {
            [b'r', tail @ ..] => (b'\r', tail),
            [b'n', tail @ ..] => (b'\n', tail),
            [b't', tail @ ..] => (b'\t', tail),
            [b'0', tail @ ..] => (0, tail),
            [b'\\', tail @ ..] => (b'\\', tail),
            [b'x', high, low, tail @ ..] => {
                let digits = [*high, *low];
                let hex = std::str::from_utf8(&digits).map_err(|error| error.to_string())?;
                (
                    u8::from_str_radix(hex, 16).map_err(|error| error.to_string())?,
                    tail,
                )
            }
            _ => return Err(format!("bad escape in {text:?}")),
        };
        octets.push(octet);
        rest = tail;
    }
    Ok(octets)
}
