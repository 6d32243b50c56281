//! `OK`, `NO`, `BAD`, `BYE`, `PREAUTH`, and continuation requests (RFC 9051 section 7.1 and section 7.6).

use bytes::{BufMut, BytesMut};

use super::code::Code;

/// How it went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Condition {
    /// It is done.
    Ok,
    /// It is not done.
    No,
    /// The client broke the protocol.
    Bad,
    /// The connection closes. Untagged only.
    Bye,
    /// The client is logged in already. Untagged only, as greeting.
    PreAuth,
}

impl Condition {
    fn name(self) -> &'static [u8] {
        match self {
            Condition::Ok => b"OK ",
            Condition::No => b"NO ",
            Condition::Bad => b"BAD ",
            Condition::Bye => b"BYE ",
            Condition::PreAuth => b"PREAUTH ",
        }
    }
}

/// Writes `tag OK [CODE] text`, the response that ends a command.
pub fn tagged(
    tag: &str,
    condition: Condition,
    code: Option<&Code>,
    text: &str,
    out: &mut BytesMut,
) {
    out.put_slice(tag.as_bytes());
    out.put_u8(b' ');
    rest(condition, code, text, out);
}

/// Writes `* OK [CODE] text`.
pub fn untagged(condition: Condition, code: Option<&Code>, text: &str, out: &mut BytesMut) {
    out.put_slice(b"* ");
    rest(condition, code, text, out);
}

/// Writes `+ text`, which asks the client to go on.
pub fn continuation(text: &str, out: &mut BytesMut) {
    out.put_slice(b"+ ");
    line(text, out);
}

fn rest(condition: Condition, code: Option<&Code>, text: &str, out: &mut BytesMut) {
    out.put_slice(condition.name());
    if let Some(code) = code {
        code.write(out);
        out.put_u8(b' ');
    }
    line(text, out);
}

/// `text = 1*TEXT-CHAR`, and no `[` at its start, which would look like a code.
fn line(text: &str, out: &mut BytesMut) {
    let text = text.trim_start_matches('[');
    let is_text = |octet: &u8| matches!(octet, b' '..=b'~' | 0x80..);
    match text.bytes().all(|octet| is_text(&octet)) {
        true => out.put_slice(text.as_bytes()),
        false => out.extend(text.bytes().filter(is_text)),
    }
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    #[test]
    fn forms() {
        let ok = written(|out| {
            tagged(
                "a1",
                Condition::Ok,
                Some(&Code::ReadWrite),
                "SELECT completed",
                out,
            )
        });
        assert_eq!(ok, "a1 OK [READ-WRITE] SELECT completed\r\n");
        let bye = written(|out| untagged(Condition::Bye, None, "server is going down", out));
        assert_eq!(bye, "* BYE server is going down\r\n");
        assert_eq!(
            written(|out| continuation("go ahead", out)),
            "+ go ahead\r\n"
        );
    }

    #[test]
    fn a_text_is_one_line() {
        let no = written(|out| untagged(Condition::No, None, "[ALERT] a\r\n* BYE b\0", out));
        assert_eq!(no, "* NO ALERT] a* BYE b\r\n");
    }
}
