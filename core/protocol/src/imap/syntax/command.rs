//! A command: its tag, its name, its arguments (RFC 9051 section 2.2.1).

use super::args::{Args, SyntaxError, Utf8};

/// Whether numbers in a command and its responses are UIDs (RFC 9051 section 6.4.9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Numbering {
    /// Message sequence numbers.
    Sequence,
    /// `UID FETCH` and its kind.
    Uid,
}

/// `command = tag SP command-name [SP arguments]`
#[derive(Clone, Debug)]
pub struct Command<'a> {
    /// What the tagged response repeats.
    pub tag: &'a str,
    /// The name as the client wrote it, without `UID`.
    pub name: &'a str,
    /// Whether `UID` stood before the name.
    pub numbering: Numbering,
    /// What follows the name, with its space.
    pub args: Args<'a>,
}

/// A command that cannot be told apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CommandError<'a> {
    /// No tag: the answer is an untagged `BAD`.
    #[error("no tag")]
    NoTag,
    /// A tag, but no command name: the answer is `tag BAD`.
    #[error("{error}")]
    NoName {
        /// The tag.
        tag: &'a str,
        /// What was expected after it.
        error: SyntaxError,
    },
}

impl<'a> Command<'a> {
    /// Splits a command that came without its last CRLF.
    ///
    /// # Errors
    /// `Syntax`: no tag, or no name after it.
    pub fn parse(line: &'a [u8], utf8: Utf8) -> Result<Self, CommandError<'a>> {
        let mut args = Args::new(line, utf8);
        let tag = args.tag().map_err(|_| CommandError::NoTag)?;
        if args.peek().is_some_and(|octet| octet != b' ') {
            // Of a longer word that is no tag, nobody waits for the front.
            return Err(CommandError::NoTag);
        }
        let name_error = |error| CommandError::NoName { tag, error };
        args.sp().map_err(name_error)?;
        let mut name = args.atom().map_err(name_error)?;
        let mut numbering = Numbering::Sequence;
        if name.eq_ignore_ascii_case("UID") {
            args.sp().map_err(name_error)?;
            name = args.atom().map_err(name_error)?;
            numbering = Numbering::Uid;
        }
        Ok(Self {
            tag,
            name,
            numbering,
            args,
        })
    }

    /// Whether this is the command `name`.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[u8]) -> Result<Command<'_>, CommandError<'_>> {
        Command::parse(line, Utf8::Off)
    }

    #[test]
    fn tag_name_and_arguments() {
        let command = parse(b"a]1 login x y").expect("a command");
        assert_eq!((command.tag, command.name), ("a]1", "login"));
        assert!(command.is("LOGIN") && command.numbering == Numbering::Sequence);
        assert_eq!(command.args.rest(), b" x y");
    }

    #[test]
    fn uid_is_a_prefix() {
        let command = parse(b"1 uid Fetch 1 FLAGS").expect("a command");
        assert!(command.is("FETCH") && command.numbering == Numbering::Uid);
        assert_eq!(command.args.rest(), b" 1 FLAGS");
    }

    #[test]
    fn what_is_no_command() {
        for line in [
            &b""[..],
            b" NOOP",
            b"+ NOOP",
            b"a+ NOOP",
            b"a\"b NOOP",
            b"a\tNOOP",
            b"* OK",
            b"\"a\" NOOP",
            b"\xff NOOP",
        ] {
            let error = parse(line).expect_err("no command");
            assert!(matches!(error, CommandError::NoTag), "{line:?}");
        }
        for line in [
            &b"a"[..],
            b"a ",
            b"a  NOOP",
            b"a \"NOOP\"",
            b"a UID",
            b"a UID ",
            b"a UID  FETCH",
        ] {
            let error = parse(line).expect_err("no command");
            assert!(
                matches!(error, CommandError::NoName { tag: "a", .. }),
                "{line:?}"
            );
        }
    }
}
