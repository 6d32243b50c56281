//! Connections that may end in any octet.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The server went away in the middle: no answer, so nothing is owed.
#[derive(Debug)]
pub struct Gone;

impl From<std::io::Error> for Gone {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

/// Why a client ended.
#[derive(Debug)]
pub enum End {
    /// The server went away.
    Gone,
    /// The server said "later", which it may where something is broken.
    Later(String),
    /// The server said what it must not say.
    Wrong(String),
}

/// What a client bears with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Manners {
    /// Nothing is broken: whoever is told "later" complains.
    Strict,
    /// Something is: come again until the server is gone, or this moment.
    Patient(Instant),
}

impl Manners {
    /// Whether there is more to do.
    pub fn goes_on(self) -> bool {
        match self {
            Self::Strict => true,
            Self::Patient(until) => Instant::now() < until,
        }
    }

    /// Works until the server is gone; what it must not have said.
    pub fn work(self, mut work: impl FnMut() -> Result<(), End>) -> Result<(), String> {
        loop {
            match (work(), self) {
                (Err(End::Wrong(why)), _) | (Err(End::Later(why)), Self::Strict) => {
                    return Err(why);
                }
                (Err(End::Gone) | Ok(()), Self::Strict) => return Ok(()),
                _ if !self.goes_on() => return Ok(()),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// A connection on which lines are read and written.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    pub fn connect(port: u16) -> Result<Self, Gone> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.set_write_timeout(Some(Duration::from_secs(60)))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// How long the server may take what is written.
    pub fn patience(&mut self, time: Duration) {
        let set = self.0.get_ref().set_write_timeout(Some(time));
        set.expect("a time above zero");
    }

    pub fn write(&mut self, octets: &[u8]) -> Result<(), Gone> {
        self.0.get_mut().write_all(octets)?;
        Ok(())
    }

    /// A line without its end; a line that the end cut off is none.
    pub fn line(&mut self) -> Result<String, Gone> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\r\n") {
            return Err(Gone);
        }
        line.truncate(line.len() - 2);
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    pub fn octets(&mut self, count: usize) -> Result<Vec<u8>, Gone> {
        let mut octets = vec![0; count];
        self.0.read_exact(&mut octets)?;
        Ok(octets)
    }

    /// The last line of an SMTP reply.
    pub fn reply(&mut self) -> Result<String, Gone> {
        loop {
            let line = self.line()?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }

    /// An SMTP command that must be answered so.
    pub fn smtp(&mut self, command: &str, wanted: &str) -> Result<(), End> {
        self.write(format!("{command}\r\n").as_bytes())?;
        self.expect(command, wanted)
    }

    /// An SMTP reply that must begin so.
    pub fn expect(&mut self, what: &str, wanted: &str) -> Result<(), End> {
        let reply = self.reply()?;
        match reply.starts_with(wanted) {
            true => Ok(()),
            // The server is on its way down, which it may say.
            false if reply.starts_with("421") => Err(End::Gone),
            false if reply.starts_with('4') => Err(End::Later(format!("{what}: {reply}"))),
            false => Err(End::Wrong(format!("{what} was answered {reply}"))),
        }
    }

    /// An IMAP command; its untagged lines and the text of its tagged one. Literals come as lines of their own,
    /// through `literal`.
    pub fn imap(
        &mut self,
        command: &[u8],
        mut literal: impl FnMut(&str, Vec<u8>) -> Result<(), String>,
    ) -> Result<(Vec<String>, String), End> {
        self.write(&[b"t ", command, b"\r\n"].concat())?;
        let mut untagged = Vec::new();
        loop {
            let line = self.line()?;
            if let Some(text) = line.strip_prefix("t ") {
                return Ok((untagged, text.to_owned()));
            }
            let count = line
                .strip_suffix('}')
                .and_then(|it| it.rsplit_once('{'))
                .and_then(|it| it.1.parse().ok());
            if let Some(count) = count {
                let octets = self.octets(count)?;
                literal(&line, octets).map_err(End::Wrong)?;
            }
            untagged.push(line);
        }
    }

    /// An IMAP command that must be OK.
    pub fn ok(&mut self, command: &str) -> Result<(Vec<String>, String), End> {
        let (untagged, text) = self.imap(command.as_bytes(), |_, _| Ok(()))?;
        match text.starts_with("OK") {
            true => Ok((untagged, text)),
            false => Err(refused(command, &text)),
        }
    }

    /// APPEND, which must be OK; the UID that was told.
    pub fn append(&mut self, mailbox: &str, text: &str) -> Result<u32, End> {
        let command = format!("APPEND {mailbox} {{{}+}}\r\n{text}", text.len());
        let (_, tagged) = self.imap(command.as_bytes(), |_, _| Ok(()))?;
        if !tagged.starts_with("OK") {
            return Err(refused("APPEND", &tagged));
        }
        let uid = tagged.split_once("[APPENDUID ").and_then(|(_, rest)| {
            let (uid, _) = rest.split_once(' ')?.1.split_once(']')?;
            uid.parse().ok()
        });
        uid.ok_or_else(|| End::Wrong(format!("APPEND was answered {tagged}")))
    }

    /// A POP3 response that must be good.
    pub fn status(&mut self, what: &str) -> Result<String, End> {
        let line = self.line()?;
        if line.starts_with("+OK") {
            return Ok(line);
        }
        let why = format!("{what} was answered {line}");
        match line.contains("[SYS/TEMP]") || line.contains("[IN-USE]") {
            true => Err(End::Later(why)),
            false => Err(End::Wrong(why)),
        }
    }

    /// A POP3 command that must be answered well.
    pub fn pop3(&mut self, command: &str) -> Result<String, End> {
        self.write(format!("{command}\r\n").as_bytes())?;
        self.status(command)
    }

    /// The same with lines behind it.
    pub fn pop3_lines(&mut self, command: &str) -> Result<Vec<String>, End> {
        self.pop3(command)?;
        let mut lines = Vec::new();
        loop {
            match self.line()? {
                end if end == "." => return Ok(lines),
                line => lines.push(line),
            }
        }
    }

    /// An IMAP session with INBOX open; the untagged lines of SELECT.
    pub fn inbox(port: u16, account: &str, password: &str) -> Result<(Self, Vec<String>), End> {
        let mut wire = Self::connect(port)?;
        wire.line()?;
        wire.ok(&format!("LOGIN {account} \"{password}\""))?;
        let (untagged, _) = wire.ok("SELECT INBOX")?;
        Ok((wire, untagged))
    }
}

/// What a refusal over IMAP means.
fn refused(command: &str, text: &str) -> End {
    let why = format!("{command} was answered {text}");
    match text.starts_with("NO [UNAVAILABLE]") {
        true => End::Later(why),
        false => End::Wrong(why),
    }
}
