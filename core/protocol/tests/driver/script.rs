//! Reads a transcript. All drivers share this reader.
//!
//! | Line | Means |
//! | --- | --- |
//! | `role mx`, `submission`, `lmtp`, `pop3`, `imap` | the listener; `role2 lmtp` that of session 2 |
//! | `tls on` | TLS from the first octet; else STARTTLS is offered (mx) or required (submission, pop3, imap) |
//! | `account EMAIL PASSWORD [quota=N]`, `alias SRC DST` | who is there |
//! | `deliver EMAIL <<`, up to a line `.` | a message is there |
//! | `needs queue`, `filter`, `outcomes` | only an engine that has or does this can be asked; the fake one can |
//! | `fault auth`, `fault index`, `fault blob` and others, with how it breaks | a neighbour breaks |
//! | `C:` a line, `C=` raw octets with `\r \n \t \0 \\ \xHH`, and `\*9,x` for nine `x` | the client says |
//! | `S:` a line, `S*:` a line in any order of its neighbours | the server says |
//! | `C2:` `C2=` `S2:` `S2*:` | the same in a second session, or a third |
//!
//! `$name`, in small letters, captures what stands there when the server says it first, and stands for it from then on.

use std::collections::{BTreeMap, HashMap};

/// A transcript.
#[derive(Debug, Default)]
pub struct Script {
    /// The listener of each session.
    pub roles: BTreeMap<u8, String>,
    /// TLS from the first octet.
    pub tls: bool,
    /// What not every engine has.
    pub needs: Vec<String>,
    /// What happens, with the number of its line.
    pub steps: Vec<(usize, Step)>,
}

/// What a line does.
#[derive(Debug)]
pub enum Step {
    Account {
        email: String,
        password: String,
        quota: Option<u64>,
    },
    Alias {
        source: String,
        destination: String,
    },
    Deliver {
        email: String,
        message: Vec<u8>,
    },
    Fault {
        neighbour: String,
        how: String,
    },
    /// The client sends these octets.
    Raw {
        session: u8,
        octets: Vec<u8>,
    },
    /// The client sends this line.
    Line {
        session: u8,
        line: String,
    },
    /// The server sends these lines, in any order.
    Server {
        session: u8,
        wanted: Vec<String>,
    },
}

impl Script {
    /// Reads a transcript; the error begins with the line's number.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut script = Script::default();
        let mut lines = text.lines().enumerate();
        let mut unordered = false;
        while let Some((number, line)) = lines.next() {
            let at = number + 1;
            let fail = |what: &str| format!("{at}: {what}");
            let words: Vec<&str> = line.split_whitespace().collect();
            let step = match words[..] {
                [] => continue,
                [comment, ..] if comment.starts_with('#') => continue,
                ["tls", "on"] => {
                    script.tls = true;
                    continue;
                }
                ["needs", what] => {
                    script.needs.push(what.to_owned());
                    continue;
                }
                [role, name] if role.starts_with("role") => {
                    let session = session_of(&role["role".len()..]).ok_or_else(|| fail("role"))?;
                    script.roles.insert(session, name.to_owned());
                    continue;
                }
                ["account", email, password, ref more @ ..] => Step::Account {
                    email: email.to_owned(),
                    password: password.to_owned(),
                    quota: quota(more).map_err(fail)?,
                },
                ["alias", source, destination] => Step::Alias {
                    source: source.to_owned(),
                    destination: destination.to_owned(),
                },
                ["deliver", email, "<<"] => {
                    let mut message = String::new();
                    for (_, line) in lines.by_ref().take_while(|(_, line)| *line != ".") {
                        message.push_str(line);
                        message.push_str("\r\n");
                    }
                    Step::Deliver {
                        email: email.to_owned(),
                        message: message.into_bytes(),
                    }
                }
                ["fault", neighbour, how] => Step::Fault {
                    neighbour: neighbour.to_owned(),
                    how: how.to_owned(),
                },
                _ => {
                    let said = Said::parse(line).ok_or_else(|| fail("unknown line"))?;
                    let together = unordered && said.who == "S*";
                    unordered = said.who == "S*";
                    if let (true, Some((_, Step::Server { session, wanted }))) =
                        (together, script.steps.last_mut())
                        && *session == said.session
                    {
                        wanted.push(said.what.to_owned());
                        continue;
                    }
                    script
                        .steps
                        .push((at, said.step().map_err(|it| fail(&it))?));
                    continue;
                }
            };
            unordered = false;
            script.steps.push((at, step));
        }
        Ok(script)
    }

    /// The listener of a session; session 1 says it for those that say none.
    pub fn role(&self, session: u8) -> Option<&str> {
        let role = self.roles.get(&session).or_else(|| self.roles.get(&1));
        role.map(String::as_str)
    }
}

fn quota(options: &[&str]) -> Result<Option<u64>, &'static str> {
    match options {
        [] => Ok(None),
        [option] => {
            let quota = option.strip_prefix("quota=").ok_or("unknown option")?;
            quota.parse().map(Some).map_err(|_| "quota is no number")
        }
        _ => Err("unknown options"),
    }
}

fn session_of(digits: &str) -> Option<u8> {
    match digits {
        "" => Some(1),
        digits => digits.parse().ok().filter(|session| *session > 0),
    }
}

/// A line that somebody says.
struct Said<'a> {
    session: u8,
    /// `C:`, `C=`, `S:` without the colon, or `S*`.
    who: &'static str,
    what: &'a str,
}

impl<'a> Said<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mark = line.find([':', '='])?;
        let (head, what) = (&line[..mark], &line[mark + 1..]);
        let raw = line[mark..].starts_with('=');
        let (who, digits) = match (head.strip_prefix('C'), head.strip_prefix('S')) {
            (Some(digits), _) if raw => ("C=", digits),
            (Some(digits), _) => ("C", digits),
            (_, Some(rest)) if !raw => match rest.strip_suffix('*') {
                Some(digits) => ("S*", digits),
                None => ("S", rest),
            },
            _ => return None,
        };
        Some(Self {
            session: session_of(digits)?,
            who,
            what: what.strip_prefix(' ').unwrap_or(what),
        })
    }

    fn step(self) -> Result<Step, String> {
        let (session, what) = (self.session, self.what.to_owned());
        Ok(match self.who {
            "C" => Step::Line {
                session,
                line: what,
            },
            "C=" => Step::Raw {
                session,
                octets: unescape(&what)?,
            },
            _ => Step::Server {
                session,
                wanted: vec![what],
            },
        })
    }
}

/// What `$name`s stand for.
#[derive(Debug, Default)]
pub struct Captured(HashMap<String, String>);

impl Captured {
    /// Whether a line is as wanted.
    pub fn matches(&mut self, want: &str, got: &str) -> bool {
        if !want.contains('$') {
            return want == got;
        }
        let (wanted, words): (Vec<_>, Vec<_>) =
            (want.split(' ').collect(), got.split(' ').collect());
        wanted.len() == words.len()
            && wanted
                .iter()
                .zip(words)
                .all(|(want, got)| self.word_matches(want, got))
    }

    fn word_matches(&mut self, want: &str, got: &str) -> bool {
        let Some((before, name, after)) = name_in(want) else {
            return want == got;
        };
        let value = got
            .strip_prefix(before)
            .and_then(|got| got.strip_suffix(after));
        value.is_some_and(|value| {
            let known = self.0.entry(name.to_owned());
            known.or_insert_with(|| value.to_owned()) == value
        })
    }

    /// A line of the client's with what was captured.
    pub fn fill(&self, line: &str) -> String {
        let words = line.split(' ').map(|word| match name_in(word) {
            Some((before, name, after)) => match self.0.get(name) {
                Some(value) => format!("{before}{value}{after}"),
                None => word.to_owned(),
            },
            None => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// The `$name` in a word, with what stands around it. `$Forwarded` is none, and neither is `$` alone.
fn name_in(word: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = word.split_once('$')?;
    let end = rest
        .find(|c: char| !c.is_ascii_lowercase() && c != '_')
        .unwrap_or(rest.len());
    (end > 0).then(|| (before, &rest[..end], &rest[end..]))
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
            // `\*40000,x`: so many of this octet.
            [b'*', tail @ ..] => {
                let digits = tail.iter().take_while(|octet| octet.is_ascii_digit());
                let (count, tail) = tail.split_at(digits.count());
                let count = std::str::from_utf8(count).map_err(|error| error.to_string())?;
                let count: usize = count.parse().map_err(|_| "no number behind \\*")?;
                let [b',', octet, tail @ ..] = tail else {
                    return Err(format!("nothing to repeat in {text:?}"));
                };
                octets.extend(std::iter::repeat_n(*octet, count.saturating_sub(1)));
                (*octet, tail)
            }
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
