//! A bare S3 client: one kept connection, one request at a time, PUT and GET (RFC 9112), signed (AWS Signature Version 4).
//!
//! It does the least that a store takes, so that its rate is the store's: the yardstick for what a mail server adds.

use std::fmt::Write;
use std::time::SystemTime;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::fault::Fault;
use crate::net::{Target, Wire};

/// Longest head of an answer, in lines.
const LINES: usize = 64;

/// A bucket and the keys to it, addressed by path.
pub struct Bucket {
    /// `HOST:PORT`.
    pub host: String,
    /// The bucket's name.
    pub name: String,
    /// Region.
    pub region: String,
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
    /// What signatures say of the octets.
    pub payload: Payload,
}

/// What a signature says of the octets that are put.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Payload {
    /// Their SHA-256, which the store verifies.
    Signed,
    /// Nothing.
    Unsigned,
}

impl Bucket {
    /// The head of a request for a key of letters, digits, `-`, `.` and `/`, which need no encoding.
    fn head(
        &self,
        method: &str,
        key: &str,
        octets: &[u8],
        now: SystemTime,
    ) -> Result<String, Fault> {
        let stamp = stamp(now)?;
        let payload = match self.payload {
            Payload::Signed => hex(&Sha256::digest(octets)),
            Payload::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
        };
        let (host, path) = (&self.host, format!("/{}/{key}", self.name));
        let names = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{payload}\nx-amz-date:{stamp}\n\n{names}\n{payload}"
        );
        let scope = format!("{}/{}/s3/aws4_request", &stamp[..8], self.region);
        let text = format!(
            "AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}",
            hex(&Sha256::digest(canonical))
        );
        let mut signature = format!("AWS4{}", self.secret_key).into_bytes();
        for part in scope.split('/').chain([text.as_str()]) {
            let mut mac = Hmac::<Sha256>::new_from_slice(&signature)
                .map_err(|error| Fault::Usage(error.to_string()))?;
            mac.update(part.as_bytes());
            signature = mac.finalize().into_bytes().to_vec();
        }
        let length = match method {
            "PUT" => format!("Content-Length: {}\r\n", octets.len()),
            _ => String::new(),
        };
        Ok(format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nx-amz-content-sha256: {payload}\r\nx-amz-date: {stamp}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}\r\n{length}\r\n",
            self.access_key,
            hex(&signature)
        ))
    }
}

/// One kept connection.
pub struct Client {
    target: Target,
    /// `None` after an answer that ended it.
    wire: Option<Wire>,
}

impl Client {
    /// Connects.
    pub async fn open(target: &Target) -> Result<Self, Fault> {
        Ok(Self {
            target: target.clone(),
            wire: Some(Wire::connect(target).await?),
        })
    }

    /// Puts an object.
    pub async fn put(&mut self, bucket: &Bucket, key: &str, octets: &[u8]) -> Result<(), Fault> {
        let mut request = bucket
            .head("PUT", key, octets, SystemTime::now())?
            .into_bytes();
        request.extend_from_slice(octets);
        self.ask(&request).await.map(drop)
    }

    /// Gets an object; its octets, which nobody looks at.
    pub async fn get(&mut self, bucket: &Bucket, key: &str) -> Result<u64, Fault> {
        let request = bucket.head("GET", key, b"", SystemTime::now())?;
        self.ask(request.as_bytes()).await
    }

    /// Sends a request and reads its answer; the octets of its body.
    async fn ask(&mut self, request: &[u8]) -> Result<u64, Fault> {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::connect(&self.target).await?,
        };
        wire.write(request).await?;
        let head = Head::read(&mut wire).await?;
        wire.skip(head.octets).await?;
        if head.keeps {
            self.wire = Some(wire);
        }
        match head.status {
            200..300 => Ok(head.octets),
            status => Err(Fault::Refused(format!("{status} {}", head.reason))),
        }
    }
}

/// What the head of an answer says (RFC 9112 section 4).
#[derive(Debug, Eq, PartialEq)]
struct Head {
    status: u16,
    reason: String,
    octets: u64,
    /// Whether the connection serves again.
    keeps: bool,
}

impl Head {
    async fn read(wire: &mut Wire) -> Result<Self, Fault> {
        let mut head = Self::parse(wire.line().await?)?;
        let mut length = None;
        for _ in 0..LINES {
            let line = wire.line().await?;
            if line.is_empty() {
                head.octets = match (length, head.status) {
                    (Some(length), _) => length,
                    (None, 204 | 304) => 0,
                    (None, _) => return Err(Fault::Protocol("no Content-Length".to_owned())),
                };
                return Ok(head);
            }
            let line = String::from_utf8_lossy(line);
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| Fault::protocol(line.as_bytes()))?;
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok(),
                "connection" => head.keeps = !value.trim().eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        Err(Fault::Protocol("a head without end".to_owned()))
    }

    /// `HTTP/1.1 200 OK`
    fn parse(line: &[u8]) -> Result<Self, Fault> {
        let text = String::from_utf8_lossy(line);
        let mut words = text.splitn(3, ' ');
        let version = words.next().unwrap_or_default();
        let status = words.next().and_then(|word| word.parse().ok());
        match (version.starts_with("HTTP/1."), status) {
            (true, Some(status)) => Ok(Self {
                status,
                reason: words.next().unwrap_or_default().to_owned(),
                octets: 0,
                keeps: version == "HTTP/1.1",
            }),
            _ => Err(Fault::protocol(line)),
        }
    }
}

/// ISO 8601 without hyphens and colons.
fn stamp(now: SystemTime) -> Result<String, Fault> {
    let clock = || {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        chrono::DateTime::from_timestamp(i64::try_from(since.as_secs()).ok()?, 0)
    };
    let clock = clock().ok_or_else(|| Fault::Usage("the clock is wrong".to_owned()))?;
    Ok(clock.format("%Y%m%dT%H%M%SZ").to_string())
}

fn hex(octets: &[u8]) -> String {
    octets
        .iter()
        .fold(String::with_capacity(64), |mut text, octet| {
            let _ = write!(text, "{octet:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;
    use crate::pattern::Security;

    fn bucket() -> Bucket {
        Bucket {
            host: "examplebucket.s3.amazonaws.com".to_owned(),
            name: "mail".to_owned(),
            region: "us-east-1".to_owned(),
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            payload: Payload::Signed,
        }
    }

    /// The signature was made by botocore's `S3SigV4Auth` for the same request.
    #[test]
    fn signs_as_others_do() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let head = bucket()
            .head("PUT", "load/4096/1", b"Welcome to Amazon S3.", now)
            .expect("signed");
        assert!(head.starts_with("PUT /mail/load/4096/1 HTTP/1.1\r\n"));
        assert!(head.contains("x-amz-date: 20130524T000000Z\r\n"));
        assert!(head.contains("\r\nContent-Length: 21\r\n"));
        let (_, signature) = head.split_once("Signature=").expect("signed");
        assert_eq!(&signature[..64], KNOWN);
        let unsigned = Bucket {
            payload: Payload::Unsigned,
            ..bucket()
        };
        let head = unsigned.head("PUT", "k", b"x", now).expect("signed");
        assert!(head.contains("x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"));
    }

    const KNOWN: &str = "759d0477f4c4cc0e15ba1069ca1e3aa3c22d7be73d3788102f778e43adc3dc6c";

    #[test]
    fn what_is_no_http_is_told() {
        assert_eq!(
            Head::parse(b"HTTP/1.1 404 Not Found").expect("a head"),
            Head {
                status: 404,
                reason: "Not Found".to_owned(),
                octets: 0,
                keeps: true
            }
        );
        for bad in ["", "* OK ready", "HTTP/1.1 x", "HTTP/2 200"] {
            assert!(Head::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    /// Answers one connection after the other with these octets for each request.
    async fn store(answers: Vec<Vec<&'static str>>) -> (Target, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let target = Target {
            address: listener.local_addr().expect("bound"),
            security: Security::Plain,
            tls: None,
            deadline: Instant::now() + Duration::from_secs(20),
        };
        let serve = async move {
            for connection in answers {
                let (mut stream, _) = listener.accept().await.expect("a client");
                for answer in connection {
                    let mut seen = Vec::new();
                    while !seen.ends_with(b"\r\n\r\n") {
                        assert_ne!(stream.read_buf(&mut seen).await.expect("read"), 0);
                    }
                    stream.write_all(answer.as_bytes()).await.expect("written");
                }
            }
        };
        (target, tokio::spawn(serve))
    }

    #[tokio::test]
    async fn a_connection_is_kept_through_refusals_and_replaced_when_it_ends() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let not = "HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\nX: y\r\n\r\nwhy";
        let last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n";
        let (target, serving) = store(vec![vec![ok, not, last], vec![ok]]).await;
        let (bucket, mut client) = (bucket(), Client::open(&target).await.expect("open"));
        assert_eq!(client.get(&bucket, "a").await.expect("there"), 5);
        let refused = client.get(&bucket, "b").await.expect_err("missing");
        assert_eq!(refused.to_string(), "refused: 404 Not Found");
        client.put(&bucket, "c", b"").await.expect("taken");
        assert_eq!(client.get(&bucket, "a").await.expect("there"), 5);
        serving.await.expect("all asked");
    }

    #[tokio::test]
    async fn an_answer_without_a_length_is_not_guessed() {
        let (target, _) = store(vec![vec!["HTTP/1.1 200 OK\r\n\r\n"]]).await;
        let mut client = Client::open(&target).await.expect("open");
        let outcome = client.get(&bucket(), "a").await;
        assert!(matches!(outcome, Err(Fault::Protocol(_))));
    }
}
