//! A client that says lines and hears lines.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Octets for T {}

/// A connection, plain or not.
pub struct Client {
    stream: BufReader<Box<dyn Octets>>,
    commands: u32,
}

/// Everything that an IMAP command brought.
#[derive(Debug)]
pub struct Answer {
    /// Lines before the tagged one, literals among them.
    pub untagged: Vec<String>,
    /// The tagged response behind the tag.
    pub tagged: String,
}

impl Answer {
    pub fn is_ok(&self) -> bool {
        self.tagged.starts_with("OK")
    }
}

impl Client {
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("listens");
        Self::over(stream)
    }

    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            stream: BufReader::new(Box::new(stream)),
            commands: 0,
        }
    }

    /// The next line without its end; none if the server has closed.
    pub async fn try_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line);
        match timeout(PATIENCE, read).await.expect("an answer in time") {
            Ok(0) | Err(_) => None,
            Ok(_) => {
                let line = String::from_utf8_lossy(&line);
                Some(line.trim_end_matches(['\r', '\n']).to_owned())
            }
        }
    }

    /// The next line.
    pub async fn line(&mut self) -> String {
        self.try_line().await.expect("a line, not the end")
    }

    /// Everything until the server closes.
    pub async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let read = self.stream.read_to_end(&mut rest);
        // Reset or closed: it is over.
        let _ = timeout(PATIENCE, read).await.expect("the end in time");
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Octets as they are; false if the server no longer takes them.
    pub async fn write(&mut self, octets: &[u8]) -> bool {
        self.stream.write_all(octets).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// An SMTP or LMTP reply, its lines joined; empty if the server has closed.
    pub async fn reply(&mut self) -> String {
        let mut reply = String::new();
        while let Some(line) = self.try_line().await {
            let last = line.as_bytes().get(3) != Some(&b'-');
            reply.push_str(&line);
            if last {
                break;
            }
            reply.push('\n');
        }
        reply
    }

    /// An SMTP command and its reply.
    pub async fn smtp(&mut self, command: &str) -> String {
        self.write(format!("{command}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// An SMTP transaction; the reply that decides it.
    pub async fn send(&mut self, to: &str, message: &str) -> String {
        let steps = [
            "MAIL FROM:<eve@remote.example>".to_owned(),
            format!("RCPT TO:<{to}>"),
            "DATA".to_owned(),
        ];
        for step in steps {
            let reply = self.smtp(&step).await;
            if !reply.starts_with(['2', '3']) {
                self.smtp("RSET").await;
                return reply;
            }
        }
        self.write(message.as_bytes()).await;
        self.smtp(".").await
    }

    /// An IMAP command and everything it brings.
    pub async fn imap(&mut self, command: &str) -> Answer {
        let tag = self.tag();
        self.write(format!("{tag} {command}\r\n").as_bytes()).await;
        self.answer(&tag).await
    }

    /// APPEND; the tagged response, also when it comes instead of the continuation.
    pub async fn append(&mut self, mailbox: &str, message: &str) -> String {
        let tag = self.tag();
        let command = format!("{tag} APPEND {mailbox} {{{}}}\r\n", message.len());
        self.write(command.as_bytes()).await;
        let line = self.line().await;
        if let Some(tagged) = line.strip_prefix(&format!("{tag} ")) {
            return tagged.to_owned();
        }
        assert!(line.starts_with('+'), "{line}");
        self.write(format!("{message}\r\n").as_bytes()).await;
        self.answer(&tag).await.tagged
    }

    fn tag(&mut self) -> String {
        self.commands += 1;
        format!("t{}", self.commands)
    }

    async fn answer(&mut self, tag: &str) -> Answer {
        let mut untagged = Vec::new();
        loop {
            let Some(line) = self.try_line().await else {
                return Answer {
                    untagged,
                    tagged: "closed".to_owned(),
                };
            };
            match line.strip_prefix(&format!("{tag} ")) {
                Some(tagged) => {
                    return Answer {
                        untagged,
                        tagged: tagged.to_owned(),
                    };
                }
                None => untagged.push(line),
            }
        }
    }
}
