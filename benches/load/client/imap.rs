//! IMAP as a client (RFC 9051, and RFC 3501 where a server has only that): commands one after the other, answers counted.

use crate::fault::Fault;
use crate::net::{Target, Wire};
use crate::pattern::Security;

/// One open connection.
pub struct Client {
    wire: Wire,
    commands: u32,
    /// The tag of an IDLE that was left alone.
    idling: Option<String>,
}

/// What a command brought.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Brought {
    /// Untagged responses.
    pub responses: u64,
    /// Octets, of everything the server sent.
    pub octets: u64,
}

impl Client {
    /// Connects and reads the greeting.
    pub async fn open(target: &Target) -> Result<Self, Fault> {
        let wire = Wire::connect(target).await?;
        let mut client = Self {
            wire,
            commands: 0,
            idling: None,
        };
        let greeting = client.wire.line().await?;
        if !greeting.starts_with(b"* OK") {
            return Err(Fault::refused(greeting));
        }
        if target.security == Security::StartTls {
            client.command("STARTTLS").await?;
            client.wire.secure(target).await?;
        }
        Ok(client)
    }

    /// Connects and logs in.
    pub async fn log_in(target: &Target, user: &str, password: &str) -> Result<Self, Fault> {
        let mut client = Self::open(target).await?;
        client.login(user, password).await?;
        Ok(client)
    }

    /// LOGIN.
    pub async fn login(&mut self, user: &str, password: &str) -> Result<(), Fault> {
        self.command(&format!("LOGIN {} {}", quoted(user), quoted(password)))
            .await
            .map(drop)
    }

    /// SELECT; the number of messages.
    pub async fn select(&mut self, mailbox: &str) -> Result<u64, Fault> {
        let mut exists = 0;
        self.ask(&format!("SELECT {}", quoted(mailbox)), |line| {
            exists = count_of(line, b"EXISTS").unwrap_or(exists)
        })
        .await?;
        Ok(exists)
    }

    /// CREATE; a mailbox that is there already is as good.
    pub async fn create(&mut self, mailbox: &str) -> Result<(), Fault> {
        match self.command(&format!("CREATE {}", quoted(mailbox))).await {
            Ok(_) | Err(Fault::Refused(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// APPEND (RFC 9051 section 6.3.12) with a synchronizing literal, which every server takes.
    pub async fn append(&mut self, mailbox: &str, message: &[u8]) -> Result<(), Fault> {
        let command = format!("APPEND {} {{{}}}", quoted(mailbox), message.len());
        let tag = self.send(&command).await?;
        loop {
            match read(&mut self.wire, &tag, &mut |_| ()).await? {
                Heard::Untagged => {}
                Heard::Continue => break,
                Heard::Tagged => return Err(Fault::Protocol("APPEND ended at once".to_owned())),
            }
        }
        self.wire.write(&[message, b"\r\n"].concat()).await?;
        while read(&mut self.wire, &tag, &mut |_| ()).await? != Heard::Tagged {}
        Ok(())
    }

    /// The number of messages in a mailbox that need not be selected.
    pub async fn messages(&mut self, mailbox: &str) -> Result<u64, Fault> {
        let mut messages = None;
        self.ask(&format!("STATUS {} (MESSAGES)", quoted(mailbox)), |line| {
            messages = status_messages(line).or(messages);
        })
        .await?;
        messages.ok_or_else(|| Fault::Protocol("a STATUS without MESSAGES".to_owned()))
    }

    /// Sends a command and reads up to its tagged OK.
    pub async fn command(&mut self, command: &str) -> Result<Brought, Fault> {
        self.ask(command, |_| ()).await
    }

    /// The same, showing the beginning of every untagged response (up to its first literal).
    pub async fn ask(
        &mut self,
        command: &str,
        mut untagged: impl FnMut(&[u8]),
    ) -> Result<Brought, Fault> {
        let before = self.wire.received();
        let tag = self.send(command).await?;
        let mut responses = 0;
        loop {
            match read(&mut self.wire, &tag, &mut untagged).await? {
                Heard::Untagged => responses += 1,
                Heard::Continue => {
                    return Err(Fault::Protocol(
                        "a continuation nobody asked for".to_owned(),
                    ));
                }
                Heard::Tagged => {
                    return Ok(Brought {
                        responses,
                        octets: self.wire.received() - before,
                    });
                }
            }
        }
    }

    /// IDLE (RFC 9051 section 6.3.13): returns when the server waits too.
    pub async fn idle(&mut self) -> Result<Idle<'_>, Fault> {
        let tag = self.send("IDLE").await?;
        loop {
            match read(&mut self.wire, &tag, &mut |_| ()).await? {
                Heard::Untagged => {}
                Heard::Continue => return Ok(Idle { client: self, tag }),
                Heard::Tagged => return Err(Fault::Protocol("IDLE ended at once".to_owned())),
            }
        }
    }

    /// Takes up an IDLE that was left with [`Idle::rest`].
    pub fn resume_idle(&mut self) -> Option<Idle<'_>> {
        let tag = self.idling.take()?;
        Some(Idle { client: self, tag })
    }

    /// Says goodbye.
    pub async fn logout(mut self) -> Result<(), Fault> {
        let tag = self.send("LOGOUT").await?;
        loop {
            let line = self.wire.line().await?;
            if line.starts_with(tag.as_bytes()) {
                return Ok(());
            }
        }
    }

    async fn send(&mut self, command: &str) -> Result<String, Fault> {
        self.commands += 1;
        let tag = format!("a{}", self.commands);
        self.wire
            .write(format!("{tag} {command}\r\n").as_bytes())
            .await?;
        Ok(tag)
    }
}

/// A client that waits.
pub struct Idle<'a> {
    client: &'a mut Client,
    tag: String,
}

impl Idle<'_> {
    /// Waits for the next EXISTS; the number of messages.
    pub async fn exists(&mut self) -> Result<u64, Fault> {
        let mut exists = None;
        loop {
            match read(&mut self.client.wire, &self.tag, &mut |line| {
                exists = count_of(line, b"EXISTS")
            })
            .await?
            {
                Heard::Untagged => {}
                Heard::Continue | Heard::Tagged => {
                    return Err(Fault::Protocol("IDLE ended by itself".to_owned()));
                }
            }
            if let Some(exists) = exists {
                return Ok(exists);
            }
        }
    }

    /// Leaves the server waiting; [`Client::resume_idle`] takes it up again.
    pub fn rest(self) {
        self.client.idling = Some(self.tag);
    }

    /// DONE: ends the waiting, and shows that the server still listens.
    pub async fn done(self) -> Result<(), Fault> {
        self.client.wire.write(b"DONE\r\n").await?;
        while read(&mut self.client.wire, &self.tag, &mut |_| ()).await? != Heard::Tagged {}
        Ok(())
    }
}

#[derive(Debug, Eq, PartialEq)]
enum Heard {
    Untagged,
    Continue,
    Tagged,
}

/// Reads one response with all its literals.
async fn read(
    wire: &mut Wire,
    tag: &str,
    untagged: &mut impl FnMut(&[u8]),
) -> Result<Heard, Fault> {
    let line = wire.line().await?;
    if line.starts_with(b"+") {
        return Ok(Heard::Continue);
    }
    if line.starts_with(b"* BYE") {
        return Err(Fault::refused(line));
    }
    if let Some(rest) = line.strip_prefix(b"* ") {
        untagged(rest);
        let mut literal = literal_at_end(line);
        while let Some(octets) = literal {
            wire.skip(octets).await?;
            literal = literal_at_end(wire.line().await?);
        }
        return Ok(Heard::Untagged);
    }
    match line
        .strip_prefix(tag.as_bytes())
        .and_then(|rest| rest.strip_prefix(b" "))
    {
        Some(rest) if rest.starts_with(b"OK") => Ok(Heard::Tagged),
        Some(rest) => Err(Fault::refused(rest)),
        None => Err(Fault::protocol(line)),
    }
}

/// The size of the literal that follows a line: `{123}` or `~{123}` at its end.
fn literal_at_end(line: &[u8]) -> Option<u64> {
    let digits = line.strip_suffix(b"}")?;
    let open = digits.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(&digits[open + 1..]).ok()?.parse().ok()
}

/// The number in `12 EXISTS`.
fn count_of(line: &[u8], what: &[u8]) -> Option<u64> {
    let space = line.iter().position(|octet| *octet == b' ')?;
    if !line[space + 1..].eq_ignore_ascii_case(what) {
        return None;
    }
    std::str::from_utf8(&line[..space]).ok()?.parse().ok()
}

/// The number in `STATUS INBOX (MESSAGES 12)`.
fn status_messages(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("STATUS ")?.rsplit_once("(MESSAGES ")?.1;
    rest.split([')', ' ']).next()?.parse().ok()
}

/// A quoted string (RFC 9051 section 4.3).
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_seen_only_at_the_end() {
        assert_eq!(literal_at_end(b"* 1 FETCH (BODY[] {42}"), Some(42));
        assert_eq!(literal_at_end(b"* 1 FETCH (BINARY[1] ~{7}"), Some(7));
        assert_eq!(literal_at_end(b"* 1 FETCH (X {42} Y"), None);
        assert_eq!(literal_at_end(b"* OK {text}"), None);
    }

    #[test]
    fn counts_are_read() {
        assert_eq!(count_of(b"23 EXISTS", b"EXISTS"), Some(23));
        assert_eq!(count_of(b"23 RECENT", b"EXISTS"), None);
        assert_eq!(status_messages(b"STATUS INBOX (MESSAGES 231)"), Some(231));
        assert_eq!(
            status_messages(b"STATUS \"a (MESSAGES 9)\" (MESSAGES 231)"),
            Some(231)
        );
        assert_eq!(status_messages(b"LIST () \"/\" INBOX"), None);
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
    }
}
