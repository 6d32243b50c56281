//! The steps of a command: what it waits for, and what it does then.

use super::ImapSession;
use crate::imap::ask::{Answer, Ask};
use crate::imap::command::Refusal;
use crate::imap::response::code::Code;
use crate::session::Received;

/// Something happened that a command waited for.
#[derive(Debug)]
pub(in crate::imap) enum Event<'a> {
    Answer(Answer),
    Line(&'a [u8]),
    Received(Received),
    Changed,
    Resume,
    Secured,
}

/// What a command does when what it waited for happens.
pub(in crate::imap) type Then =
    Box<dyn FnOnce(&mut ImapSession, Event<'_>) -> Result<Step, Refusal> + Send>;

/// What a command waits for.
#[derive(Debug)]
pub(in crate::imap) enum For {
    Answer(Ask),
    /// One more line, which is not a command.
    Line,
    /// One more line, or a change.
    LineOrChange,
    /// Octets into the spool.
    Spool(u64),
    /// Octets thrown away.
    Discard(u64),
    /// The text so far written.
    Resume,
    /// The handshake.
    StartTls,
}

/// One step of a command.
pub(in crate::imap) enum Step {
    /// It is done: tagged `OK` with this code.
    Done(Option<Code>),
    /// It is done and the tagged response is sent already.
    Silent,
    /// It waits.
    Wait(For, Then),
}

impl Step {
    /// Done, and answered already.
    pub fn silent() -> Result<Step, Refusal> {
        Ok(Step::Silent)
    }

    /// Done, without a response code.
    pub fn done() -> Result<Step, Refusal> {
        Ok(Step::Done(None))
    }

    /// Asks, and goes on with the answer. A refusal ends the command with the `NO` that belongs to it.
    pub fn ask(
        ask: Ask,
        then: impl FnOnce(&mut ImapSession, Answer) -> Result<Step, Refusal> + Send + 'static,
    ) -> Result<Step, Refusal> {
        Step::wait(For::Answer(ask), |session, event| match event {
            Event::Answer(Answer::Refused(trouble)) => Err(trouble.into()),
            Event::Answer(answer) => then(session, answer),
            _ => Err(Refusal::Bug),
        })
    }

    /// Asks for something whose only good answer is [`Answer::Done`], and is done with it.
    pub fn ask_done(ask: Ask) -> Result<Step, Refusal> {
        Step::ask(ask, |_, answer| match answer {
            Answer::Done => Step::done(),
            _ => Err(Refusal::Bug),
        })
    }

    /// Lets what was said so far go out, and goes on.
    pub fn resume(
        then: impl FnOnce(&mut ImapSession) -> Result<Step, Refusal> + Send + 'static,
    ) -> Result<Step, Refusal> {
        Step::wait(For::Resume, |session, _| then(session))
    }

    /// Waits for anything.
    pub fn wait(
        what: For,
        then: impl FnOnce(&mut ImapSession, Event<'_>) -> Result<Step, Refusal> + Send + 'static,
    ) -> Result<Step, Refusal> {
        Ok(Step::Wait(what, Box::new(then)))
    }
}
