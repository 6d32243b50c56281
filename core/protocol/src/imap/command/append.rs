//! APPEND (RFC 9051 section 6.3.12). The message goes from the socket into the spool; the session never sees it.
//!
//! The command arrives in two parts: [`begin`] with what stands before the message's literal, and the line that ends it.

use super::*;
use crate::imap::ask::{Answer, Ask};
use crate::imap::session::{Event, For, discard_limit, unasked};
use crate::imap::syntax::Numbering;
use crate::imap::syntax::append::{AfterMessage, Announced, Append, after_message};
use crate::imap::syntax::sequence::NumberSet;
use crate::session::{ReceiveFault, Received};

pub(super) const SPEC: Spec = Spec {
    name: "APPEND",
    states: LOGGED_IN,
    // Into the selected mailbox: the client hears of it at once.
    looks: true,
    // Without a message's literal the command is never whole.
    run: |_, _| Err(Refusal::Bad("expected a message as literal")),
    ..PLAIN
};

/// Whether a command so far, which ends with the announcement of a literal, is an APPEND and the literal its message.
pub(in crate::imap) fn announces_message(command: &[u8], utf8: Utf8) -> bool {
    match Command::parse(command, utf8) {
        // With UID before it, it is no APPEND; its literals are thrown away with it.
        Ok(mut command) if command.is(SPEC.name) && command.numbering == Numbering::Sequence => {
            !matches!(Append::parse(&mut command.args), Ok(Announced::Argument))
        }
        _ => false,
    }
}

/// Decides on the message before its octets are taken. `octets` were announced; the client waits for a go-ahead if `sync`.
pub(in crate::imap) fn begin(
    session: &mut ImapSession,
    args: &mut Args<'_>,
    octets: u64,
    sync: bool,
) -> Result<Step, Refusal> {
    let append = match Append::parse(args) {
        Ok(Announced::Message(append)) => append,
        Ok(Announced::Argument) => return Err(Refusal::Bug),
        Err(error) => return refuse(session, error.into(), octets, sync),
    };
    if octets > session.config.limits.message {
        let refusal = Refusal::No(Some(Code::TooBig), "message larger than APPENDLIMIT");
        return refuse(session, refusal, octets, sync);
    }
    let ask = Ask::MayAppend {
        mailbox: append.mailbox.clone(),
        octets,
    };
    Step::wait(For::Answer(ask), move |session, event| match event {
        Event::Answer(Answer::Done) => receive(session, append, octets, sync),
        Event::Answer(Answer::Refused(trouble)) => {
            refuse(session, try_create(trouble), octets, sync)
        }
        _ => Err(Refusal::Bug),
    })
}

/// Ends the command; octets that are under way all the same are thrown away first.
fn refuse(
    session: &mut ImapSession,
    refusal: Refusal,
    octets: u64,
    sync: bool,
) -> Result<Step, Refusal> {
    if sync {
        return Err(refusal);
    }
    let login = session.state != State::NotAuthenticated;
    if octets > discard_limit(&session.config.limits, login) {
        session.reach(Limit::Literal);
        session.bye("literal too large");
        return Step::silent();
    }
    Step::wait(For::Discard(octets), |_, _| {
        Step::wait(For::Line, |session, event| match event {
            Event::Line(line) => refuse_line(session, line, refusal),
            _ => Err(Refusal::Bug),
        })
    })
}

/// Ends a command whose line inside of it is wrong. Octets that come behind the line without our leave are no commands.
pub(in crate::imap) fn refuse_line(
    session: &mut ImapSession,
    line: &[u8],
    refusal: Refusal,
) -> Result<Step, Refusal> {
    match unasked(line) {
        Some(octets) => refuse(session, refusal, octets, false),
        None => Err(refusal),
    }
}

fn receive(
    session: &mut ImapSession,
    append: Append,
    octets: u64,
    sync: bool,
) -> Result<Step, Refusal> {
    if sync {
        session.out.line("+ OK");
    }
    Step::wait(For::Spool(octets), |_, event| match event {
        Event::Received(received) => Step::wait(For::Line, move |session, event| match event {
            Event::Line(line) => {
                let mut rest = Args::new(line, Utf8::Off);
                let refusal = match after_message(&mut rest, append.message.data) {
                    Ok(AfterMessage::End) => return keep(append, received),
                    Ok(AfterMessage::Message(_)) => Refusal::Bad("one message an APPEND"),
                    Err(error) => error.into(),
                };
                refuse_line(session, line, refusal)
            }
            _ => Err(Refusal::Bug),
        }),
        _ => Err(Refusal::Bug),
    })
}

fn keep(append: Append, received: Received) -> Result<Step, Refusal> {
    match received.fault {
        None | Some(ReceiveFault::BareNewline) => {}
        Some(ReceiveFault::TooLarge) => {
            return Err(Refusal::No(Some(Code::TooBig), "message too large"));
        }
        Some(ReceiveFault::Spool) => {
            return Err(Refusal::No(Some(Code::Unavailable), "try again later"));
        }
    }
    let ask = Ask::Append {
        mailbox: append.mailbox,
        flags: append.message.flags,
        internal_date: append.message.internal_date,
    };
    Step::wait(For::Answer(ask), |_, event| match event {
        Event::Answer(Answer::Appended { uid_validity, uid }) => {
            let mut uids = NumberSet::default();
            uids.push(uid);
            Ok(Step::Done(Some(Code::AppendUid { uid_validity, uids })))
        }
        Event::Answer(Answer::Refused(trouble)) => Err(try_create(trouble)),
        _ => Err(Refusal::Bug),
    })
}
