//! A client that says what it wants and hears lines. Blocking, without manners.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    commands: u32,
}

impl Client {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("a socket");
        stream.set_write_timeout(patience).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        Self {
            stream: BufReader::new(stream),
            commands: 0,
        }
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Writes; false if the server no longer takes it.
    pub fn write(&mut self, octets: &[u8]) -> bool {
        self.stream.get_mut().write_all(octets).is_ok()
    }

    /// The next line without its end; none if the server has closed.
    pub fn try_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => {
                let line = String::from_utf8_lossy(&line);
                Some(line.trim_end_matches(['\r', '\n']).to_owned())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("no answer in time")
            }
            Err(_) => None,
        }
    }

    /// The next line.
    pub fn line(&mut self) -> String {
        self.try_line().expect("a line, not the end")
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("not closed in time")
            }
            _ => String::from_utf8_lossy(&rest).into_owned(),
        }
    }

    /// A command of SMTP and the last line of its reply; empty if the server has closed.
    pub fn say(&mut self, command: &str) -> String {
        self.write(format!("{command}\r\n").as_bytes());
        self.reply()
    }

    /// The last line of an SMTP reply.
    pub fn reply(&mut self) -> String {
        while let Some(line) = self.try_line() {
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
        String::new()
    }

    /// Delivers a message whose lines do not begin with a dot; the reply that decides.
    pub fn send(&mut self, to: &str, message: &[u8]) -> String {
        for command in [
            "MAIL FROM:<eve@remote.example>",
            &format!("RCPT TO:<{to}>"),
            "DATA",
        ] {
            let reply = self.say(command);
            if !reply.starts_with(['2', '3']) {
                return reply;
            }
        }
        self.write(message);
        self.say(".")
    }

    /// A command of IMAP: its tagged response, and how many octets came before it.
    pub fn imap(&mut self, command: &str) -> (String, usize) {
        self.commands += 1;
        let tag = format!("t{} ", self.commands);
        self.write(format!("{tag}{command}\r\n").as_bytes());
        let mut octets = 0;
        loop {
            let Some(line) = self.try_line() else {
                return ("closed".to_owned(), octets);
            };
            match line.strip_prefix(&tag) {
                Some(tagged) => return (tagged.to_owned(), octets),
                None => octets += line.len() + 2,
            }
        }
    }

    /// One that is answered OK; how many octets came before that.
    pub fn ok(&mut self, command: &str) -> usize {
        let (tagged, octets) = self.imap(command);
        assert!(tagged.starts_with("OK"), "{command:.80}: {tagged}");
        octets
    }
}
