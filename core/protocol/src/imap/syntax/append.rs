//! APPEND, up to the octets of its message (RFC 9051 section 6.3.12; RFC 3502; RFC 4466; RFC 6855 section 4; RFC 3516 section 4.4).
//!
//! The message is never in the buffer. A session that reads a line of APPEND which announces a literal asks
//! [`Append::parse`] what the literal is: an argument, which goes into the buffer, or the message, which does not.
//! After the message's octets comes one more line, for [`after_message`].

use super::ArgumentError;
use super::args::{Args, Parsed, SyntaxError, expected};
use super::date::date_time;
use super::flag::FlagList;
use super::literal::LiteralHeader;
use super::mailbox::MailboxName;

/// What the literal at the end of an APPEND's line is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Announced {
    /// The name of the mailbox: append the literal and the line after it to the buffer, and parse again.
    Argument,
    /// The message.
    Message(Append),
}

/// `append = "APPEND" SP mailbox 1*append-message`, the first message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Append {
    /// Where to.
    pub mailbox: MailboxName,
    /// What.
    pub message: AppendMessage,
}

/// `append-message = [SP flag-list] [SP date-time] SP append-data`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AppendMessage {
    /// Its flags.
    pub flags: FlagList,
    /// INTERNALDATE in seconds since 1970, if the client says it.
    pub internal_date: Option<i64>,
    /// Its announcement.
    pub literal: LiteralHeader,
    /// How it is wrapped.
    pub data: AppendData,
}

/// `append-data`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AppendData {
    /// `literal / literal8`
    Plain,
    /// `"UTF8" SP "(" literal8 ")"`: a `)` follows the octets.
    Utf8,
}

/// What follows the octets of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AfterMessage {
    /// Nothing: the command is whole.
    End,
    /// One more message (MULTIAPPEND).
    Message(AppendMessage),
}

impl Append {
    /// Parses what follows `APPEND`, in a buffer that ends with the announcement of a literal.
    ///
    /// # Errors
    /// `Syntax`, also for a buffer that announces no literal; a name that no mailbox can have.
    pub fn parse(args: &mut Args<'_>) -> Result<Announced, ArgumentError> {
        args.sp()?;
        if args.peek() == Some(b'{') {
            let mut ahead = args.clone();
            ahead.literal_header()?;
            if ahead.is_empty() {
                return Ok(Announced::Argument);
            }
        }
        let name = args.astring()?;
        let message = AppendMessage::parse(args)?;
        let mailbox = MailboxName::from_wire(&name, args.utf8())?;
        Ok(Announced::Message(Append { mailbox, message }))
    }
}

impl AppendMessage {
    /// Parses `[SP flag-list] [SP date-time] SP append-data` up to the announcement.
    ///
    /// # Errors
    /// `Syntax`.
    pub fn parse(args: &mut Args<'_>) -> Parsed<Self> {
        args.sp()?;
        let mut flags = FlagList::default();
        if args.peek() == Some(b'(') {
            flags = FlagList::parse(args)?;
            args.sp()?;
        }
        let mut internal_date = None;
        if args.peek() == Some(b'"') {
            internal_date = Some(date_time(args)?);
            args.sp()?;
        }
        let data = match args.try_prefix("UTF8 (") {
            true => AppendData::Utf8,
            false => AppendData::Plain,
        };
        let literal = args
            .literal_header()
            .or(expected("a literal with the message"))?;
        if data == AppendData::Utf8 && !literal.binary {
            return expected("a literal8 after UTF8");
        }
        args.end()?;
        Ok(Self {
            flags,
            internal_date,
            literal,
            data,
        })
    }
}

/// Parses the line after the octets of a message that was wrapped in `data`.
///
/// # Errors
/// `Syntax`.
pub fn after_message(args: &mut Args<'_>, data: AppendData) -> Result<AfterMessage, SyntaxError> {
    if data == AppendData::Utf8 {
        args.octet(b')', "a closing parenthesis after the message")?;
    }
    if args.is_empty() {
        return Ok(AfterMessage::End);
    }
    AppendMessage::parse(args).map(AfterMessage::Message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::Utf8;
    use crate::imap::types::Flags;

    fn parse(text: &str) -> Result<Announced, ArgumentError> {
        Append::parse(&mut Args::new(text.as_bytes(), Utf8::Off))
    }

    fn message(text: &str) -> Append {
        match parse(text).expect("an APPEND") {
            Announced::Message(append) => append,
            Announced::Argument => panic!("{text} announces a message"),
        }
    }

    #[test]
    fn forms() {
        let append = message(" saved-messages (\\Seen) {326}");
        assert_eq!(append.mailbox.as_str(), "saved-messages");
        assert_eq!(append.message.flags.system, Flags::SEEN);
        assert_eq!(append.message.literal.octets, 326);
        assert_eq!(append.message.internal_date, None);
        let append = message(" {5+}\r\nInBox \" 1-Jan-1970 00:00:07 +0000\" ~{9+}");
        assert!(append.mailbox.is_inbox() && append.message.literal.binary);
        assert!(!append.message.literal.synchronizing);
        assert_eq!(append.message.internal_date, Some(7));
        let append = message(" x () \"01-Jan-1970 00:00:00 +0000\" UTF8 (~{3}");
        assert_eq!(append.message.data, AppendData::Utf8);
        assert_eq!(parse(" {5}"), Ok(Announced::Argument));
    }

    #[test]
    fn after_the_message() {
        let after =
            |text: &str, data| after_message(&mut Args::new(text.as_bytes(), Utf8::Off), data);
        assert_eq!(after("", AppendData::Plain), Ok(AfterMessage::End));
        assert_eq!(after(")", AppendData::Utf8), Ok(AfterMessage::End));
        assert!(matches!(
            after(" (\\Draft) {7}", AppendData::Plain),
            Ok(AfterMessage::Message(_))
        ));
        for (text, data) in [
            (")", AppendData::Plain),
            ("", AppendData::Utf8),
            (" ", AppendData::Plain),
            ("{7}", AppendData::Plain),
            (" x", AppendData::Plain),
        ] {
            assert!(after(text, data).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            " ",
            " x",
            " x ",
            " x (\\Seen)",
            " x (\\Recent) {1}",
            " x  {1}",
            " x {1} ",
            " x {1}x",
            " x () () {1}",
            " x \"1-Jan-1970\" {1}",
            " x (\\Seen){1}",
            " x \"hello\"",
            " x UTF8 ({1}",
            " x UTF8 (~{1}\r\na)",
            " {5}x",
            "x {1}",
        ] {
            assert!(
                matches!(parse(text), Err(ArgumentError::Syntax(_))),
                "{text}"
            );
        }
        assert!(matches!(parse(" a//b {1}"), Err(ArgumentError::Name(_))));
    }
}
