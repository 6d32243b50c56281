//! Messages to send: the size asked for, a different one each time, the same ones in every run (RFC 5322).
//!
//! The text looks random, so that a server that compresses has no advantage it would not have with real mail.

use std::io::Write;

use clap::ValueEnum;

use crate::random::Random;

/// What a message is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Shape {
    /// One part of plain text
    Text,
    /// Text, HTML and an attachment
    Multipart,
}

/// Smallest message there is: its header must fit.
pub const SMALLEST: u64 = 1024;

/// Makes messages of one size and shape.
#[derive(Clone, Debug)]
pub struct Template {
    size: usize,
    header: &'static str,
    before: String,
    filler: Vec<u8>,
    after: &'static str,
}

impl Template {
    /// Messages of exactly `size` octets.
    pub fn new(size: usize, shape: Shape) -> Self {
        let filler = filler(size);
        let text = String::from_utf8_lossy(&filler[..74 * 2]).into_owned();
        match shape {
            Shape::Text => Self {
                size,
                header: "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n",
                before: String::new(),
                filler,
                after: "\r\n",
            },
            Shape::Multipart => Self {
                size,
                header: "Content-Type: multipart/mixed; boundary=\"=_load\"\r\n",
                before: format!(
                    "--=_load\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n\
                     --=_load\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{text}</p>\r\n\
                     --=_load\r\nContent-Type: application/octet-stream; name=\"load.bin\"\r\n\
                     Content-Disposition: attachment; filename=\"load.bin\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                ),
                filler,
                after: "\r\n--=_load--\r\n",
            },
        }
    }

    /// Writes the `n`th message, with CRLF line ends and no line that begins with a dot.
    pub fn write(&self, n: u64, from: &str, to: &str, out: &mut Vec<u8>) {
        let begin = out.len();
        let (hour, minute, second) = (n / 3600 % 24, n / 60 % 60, n % 60);
        let header = self.header;
        write!(
            out,
            "From: Load <{from}>\r\nTo: <{to}>\r\nSubject: message {n} of the load generator\r\n\
             Date: Mon, 05 Jan 2026 {hour:02}:{minute:02}:{second:02} +0000\r\n\
             Message-ID: <{n}.{}@load.example.test>\r\nMIME-Version: 1.0\r\n{header}\r\n{}",
            std::process::id(),
            self.before
        )
        .expect("writing to a Vec does not fail");
        let used = out.len() - begin + self.after.len();
        out.extend_from_slice(&self.filler[..self.size.saturating_sub(used)]);
        // What was cut between CR and LF must not leave a bare CR.
        if let Some(last @ b'\r') = out.last_mut() {
            *last = b'x';
        }
        out.extend_from_slice(self.after.as_bytes());
    }
}

/// Lines of 72 letters and digits.
fn filler(size: usize) -> Vec<u8> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut random = Random::new(4096);
    let mut filler = Vec::with_capacity(size + 256);
    while filler.len() < size.max(256) {
        for _ in 0..72 {
            filler.push(LETTERS[random.below(32) as usize]);
        }
        filler.extend_from_slice(b"\r\n");
    }
    filler
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(size: usize, shape: Shape, n: u64) -> Vec<u8> {
        let mut out = Vec::new();
        Template::new(size, shape).write(n, "from@example.test", "user1@example.test", &mut out);
        out
    }

    #[test]
    fn a_message_has_the_size_that_was_asked_for() {
        for shape in [Shape::Text, Shape::Multipart] {
            for size in [SMALLEST as usize, 4096, 4097, 100_000] {
                assert_eq!(message(size, shape, 7).len(), size, "{shape:?}");
            }
        }
    }

    #[test]
    fn no_line_begins_with_a_dot_and_all_end_with_crlf() {
        let good =
            |line: &str| !line.starts_with('.') && !line.contains(['\r', '\n']) && line.len() < 998;
        for shape in [Shape::Text, Shape::Multipart] {
            for size in 4000..4100 {
                let message = String::from_utf8(message(size, shape, 1)).expect("letters");
                assert!(message.ends_with("\r\n"));
                assert!(message.split("\r\n").all(good), "{shape:?} {size}");
            }
        }
    }

    #[test]
    fn messages_differ() {
        assert_ne!(message(2048, Shape::Text, 1), message(2048, Shape::Text, 2));
    }
}
