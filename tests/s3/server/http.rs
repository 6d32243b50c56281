//! As much of HTTP/1.1 as an S3 client speaks, by hand: a test must be able to break it anywhere (RFC 9112).

use std::io::{Error, ErrorKind, Result};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest head of a request.
const HEAD: usize = 64 * 1024;

/// A request, whole.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path as it came, still encoded.
    pub path: String,
    /// Query as it came, still encoded.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Request {
    /// Reads one; none at the end.
    pub async fn read<S: AsyncRead + Unpin>(
        stream: &mut S,
        buffer: &mut BytesMut,
    ) -> Result<Option<Self>> {
        let head = loop {
            if let Some(at) = find(buffer, b"\r\n\r\n") {
                break buffer.split_to(at + 4);
            }
            if buffer.len() > HEAD {
                return Err(bad("a head without end"));
            }
            if stream.read_buf(buffer).await? == 0 {
                return match buffer.is_empty() {
                    true => Ok(None),
                    false => Err(ErrorKind::UnexpectedEof.into()),
                };
            }
        };
        let head = std::str::from_utf8(&head).map_err(|_| bad("a head that is no text"))?;
        let mut lines = head.trim_end().split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1")) =
            (words.next(), words.next(), words.next())
        else {
            return Err(bad("no request line"));
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').ok_or_else(|| bad("no header"))?;
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        let mut request = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers.collect::<Result<_>>()?,
            body: Bytes::new(),
        };
        if request.header("transfer-encoding").is_some() {
            return Err(bad("no store takes chunks without a length"));
        }
        let length = request.header("content-length").unwrap_or("0");
        let length: usize = length.parse().map_err(|_| bad("no length"))?;
        while buffer.len() < length {
            if stream.read_buf(buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        request.body = buffer.split_to(length).freeze();
        Ok(Some(request))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A parameter of the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self
            .query
            .split('&')
            .map(|it| it.split_once('=').unwrap_or((it, "")));
        pairs
            .find(|(it, _)| *it == name)
            .map(|(_, value)| decode(value))
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// Octets that the head announces; of the body unless it is an answer to HEAD.
    pub length: usize,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self {
            status,
            headers: Vec::new(),
            length: body.len(),
            body,
        }
    }

    /// A refusal as S3 words it.
    pub fn refusal(status: u16, code: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>no</Message></Error>"
        );
        Self::new(status, body)
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Writes it, up to some octets of the body.
    pub async fn write<S: AsyncWrite + Unpin>(&self, stream: &mut S, octets: usize) -> Result<()> {
        let mut text = format!(
            "HTTP/1.1 {} x\r\nContent-Length: {}\r\n",
            self.status, self.length
        );
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut all = text.into_bytes();
        all.extend_from_slice(&self.body[..octets.min(self.body.len())]);
        stream.write_all(&all).await?;
        stream.flush().await
    }
}

/// Undoes percent-encoding; what is none stays.
pub fn decode(text: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let coded = after.get(..2).filter(|_| *first == b'%');
        let coded = coded.and_then(|it| std::str::from_utf8(it).ok());
        match coded.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            Some(octet) => {
                octets.push(octet);
                rest = &after[2..];
            }
            None => {
                octets.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|it| it == what)
}

fn bad(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what.to_owned())
}
