//! The part of FETCH that sends octets of messages (RFC 9051 section 6.4.5, RFC 3516).
//!
//! Each section becomes a span of the message as it lies in the store, and the connection streams it. Header fields are the
//! exception: they are picked from the summary where it has them, else from the header, read into memory.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::{Job, Message, go_on};
use crate::imap::ask::{Answer, Ask, OCTETS_PER_READ, Trouble};
use crate::imap::command::Refusal;
use crate::imap::response::code::Code;
use crate::imap::response::fetch::FetchResponse;
use crate::imap::session::{Event, For, ImapSession, Step};
use crate::imap::syntax::fetch::FetchItem;
use crate::imap::syntax::section::{Partial, Section, SectionText};
use crate::imap::types::Uid as MessageUid;
use crate::message::header::{FieldNames, Selection, select};
use crate::message::summary::Kept;
use crate::message::{self, Span};
use crate::session::{Action, Framing};

/// Messages to come, with their summaries where any item needs one.
type Queue = VecDeque<(MessageUid, Option<Kept>)>;

/// One message being sent.
struct Current {
    uid: MessageUid,
    summary: Option<Kept>,
    /// Octets of the message, once its body was opened.
    octets: u64,
    /// The next item.
    at: usize,
    /// Whether the body as it lies in the store is open.
    open: bool,
    /// Whether any of it is on its way to the client.
    said: bool,
    /// What the open item needed and got.
    got: Option<Got>,
    /// The response that has begun.
    response: Option<FetchResponse>,
    /// Text of this message so far.
    text: BytesMut,
}

/// What an item that could not be written at once was waiting for.
enum Got {
    Header(Bytes),
    Decoded(u64),
    Undecodable,
}

/// Sends the next message of the queue, or goes on with the job.
pub(super) fn next(session: &mut ImapSession, job: Job, mut queue: Queue) -> Result<Step, Refusal> {
    let Some((uid, summary)) = queue.pop_front() else {
        return go_on(session, job);
    };
    let current = Current {
        uid,
        summary,
        octets: 0,
        at: 0,
        open: false,
        said: false,
        got: None,
        response: None,
        text: BytesMut::new(),
    };
    send(session, job, queue, current)
}

/// Writes the items of a message one after the other, as far as it can without asking.
fn send(
    session: &mut ImapSession,
    job: Job,
    queue: Queue,
    mut current: Current,
) -> Result<Step, Refusal> {
    let (rev2, utf8) = (session.enabled.rev2, session.utf8());
    let items = job.items.clone();
    while let Some(item) = items.get(current.at) {
        let selected = session.selected.as_ref().ok_or(Refusal::Bug)?;
        let Some(message) = Message::of(selected, current.uid, current.summary.as_ref(), rev2)
        else {
            return next(session, job, queue);
        };
        let mut response = match current.response.take() {
            Some(response) => response,
            None => message.open(utf8, &mut current.text),
        };
        let written = message.write(item, &mut response, &mut current.text);
        current.response = Some(response);
        if !written {
            match part(&mut current, item)? {
                Part::Written => {}
                Part::Octets(span) => {
                    let framing = match item {
                        FetchItem::Binary { .. } => Framing::Counted,
                        _ => Framing::Literal,
                    };
                    say(session, &mut current);
                    send_octets(session, span, framing);
                }
                Part::Ask(ask) => return ask_for(ask, job, queue, current),
            }
        }
        current.at += 1;
        current.got = None;
    }
    finish(session, &job, &mut current)?;
    if job.seen.is_empty() && session.out.pending() > 0 && !current.open {
        return next(session, job, queue);
    }
    Step::resume(|session| next(session, job, queue))
}

/// Ends a message's response.
fn finish(session: &mut ImapSession, job: &Job, current: &mut Current) -> Result<(), Refusal> {
    let rev2 = session.enabled.rev2;
    let selected = session.selected.as_ref().ok_or(Refusal::Bug)?;
    let message = Message::of(selected, current.uid, current.summary.as_ref(), rev2);
    let Some(mut response) = current.response.take() else {
        return Ok(());
    };
    if let Some(message) = message.filter(|message| message.told_seen(job)) {
        let (flags, keywords) = (message.entry.flags, message.keywords);
        response.flags(flags, keywords, message.recency, &mut current.text);
    }
    response.close(&mut current.text);
    say(session, current);
    Ok(())
}

/// Hands the text so far to the connection.
fn say(session: &mut ImapSession, current: &mut Current) {
    session
        .out
        .text()
        .unsplit(std::mem::take(&mut current.text));
    current.said = true;
}

/// Has octets of the open body sent behind the text.
fn send_octets(session: &mut ImapSession, range: Range<u64>, framing: Framing) {
    if range.is_empty() {
        return;
    }
    session.out.push(Action::Send {
        offset: range.start,
        octets: range.end - range.start,
        framing,
    });
}

/// What an item of octets comes to.
enum Part {
    /// It is in the text.
    Written,
    /// Its announcement is in the text; these octets of the open body follow.
    Octets(Range<u64>),
    /// It needs something first.
    Ask(Ask),
}

fn part(current: &mut Current, item: &FetchItem) -> Result<Part, Refusal> {
    match item {
        FetchItem::Section {
            section,
            partial,
            name,
            ..
        } => {
            let octets = match locate(current, section) {
                Located::Ask(ask) => return Ok(Part::Ask(ask)),
                Located::Whole if !current.open => {
                    return Ok(Part::Ask(Ask::Body {
                        uid: current.uid,
                        range: cut(0..u64::MAX, *partial),
                    }));
                }
                Located::Whole => Located::Span(Span {
                    start: 0,
                    end: current.octets,
                }),
                Located::Span(span) if !current.open => {
                    return Ok(Part::Ask(Ask::Body {
                        uid: current.uid,
                        range: cut(span.start..span.end, *partial),
                    }));
                }
                octets => octets,
            };
            let origin = partial.map(|partial| partial.offset);
            let (response, text) = current.response()?;
            Ok(match octets {
                Located::Span(span) => {
                    let range = cut(span.start..span.end, *partial);
                    let octets = range.end - range.start;
                    response.section_header(*name, section, origin, octets, text);
                    Part::Octets(range)
                }
                Located::Bytes(bytes) => {
                    let range = cut(0..bytes.len() as u64, *partial);
                    let bytes = &bytes[range.start as usize..range.end as usize];
                    response.section(*name, section, origin, bytes, text);
                    Part::Written
                }
                Located::Nothing | Located::Whole | Located::Ask(_) => {
                    response.section_nil(*name, section, origin, text);
                    Part::Written
                }
            })
        }
        FetchItem::Binary { part, partial, .. } => binary(current, part, Some(*partial)),
        FetchItem::BinarySize { part } => binary(current, part, None),
        _ => Err(Refusal::Bug),
    }
}

/// Where the octets of a section are.
enum Located {
    /// All of the message, however long it is.
    Whole,
    Span(Span),
    Bytes(Vec<u8>),
    Nothing,
    Ask(Ask),
}

fn locate(current: &mut Current, section: &Section) -> Located {
    let path = &section.part;
    if path.is_empty() && section.text == SectionText::All {
        return Located::Whole;
    }
    let Some(summary) = &current.summary else {
        return Located::Nothing;
    };
    let span = |text| match summary.root().and_then(|root| root.section(path, text)) {
        Some(span) => Located::Span(span),
        None => Located::Nothing,
    };
    let (names, selection) = match &section.text {
        SectionText::All => return span(message::SectionText::Whole),
        SectionText::Header => return span(message::SectionText::Header),
        SectionText::Text => return span(message::SectionText::Text),
        SectionText::Mime => return span(message::SectionText::Mime),
        SectionText::HeaderFields(names) => (FieldNames::new(names), Selection::Only),
        SectionText::HeaderFieldsNot(names) => (FieldNames::new(names), Selection::Except),
    };
    if path.is_empty()
        && selection == Selection::Only
        && let Some(fields) = summary.header().select(&names)
    {
        return Located::Bytes(fields);
    }
    if let Some(Got::Header(header)) = current.got.take() {
        return Located::Bytes(select(&header, &names, selection));
    }
    match span(message::SectionText::Header) {
        Located::Span(header) => Located::Ask(Ask::Read {
            uid: current.uid,
            range: header.start..header.end.min(header.start + OCTETS_PER_READ),
        }),
        nothing => nothing,
    }
}

/// `BINARY[…]`, or `BINARY.SIZE[…]` where there is no partial to speak of.
fn binary(
    current: &mut Current,
    path: &[u32],
    wanted: Option<Option<Partial>>,
) -> Result<Part, Refusal> {
    let numbers = path.to_vec();
    let root = current.summary.as_ref().and_then(Kept::root);
    let found = root.as_ref().and_then(|root| root.at(&numbers));
    let whole = numbers.is_empty();
    let octets = match (found, current.got.take()) {
        (None, _) => None,
        (Some(_), Some(Got::Decoded(octets))) => Some(octets),
        // A response that has begun must end as one: what cannot be decoded is not there.
        (Some(_), Some(_)) if current.said => None,
        (Some(_), Some(_)) => {
            return Err(Refusal::No(
                Some(Code::UnknownCte),
                "cannot undo the transfer encoding",
            ));
        }
        (Some(part), None) => {
            let span = match whole {
                true => part.header.start..part.body.end,
                false => part.body.start..part.body.end,
            };
            // What holds parts has no encoding of its own to undo (RFC 2045 section 6.4), nor has the message itself.
            let encoding = match whole || !part.children().is_empty() {
                true => "8bit".to_owned(),
                false => String::from_utf8_lossy(part.encoding.name()).to_ascii_lowercase(),
            };
            current.open = false;
            return Ok(Part::Ask(Ask::Decode {
                uid: current.uid,
                range: span,
                encoding,
            }));
        }
    };
    let (response, text) = current.response()?;
    match (wanted, octets) {
        (Some(partial), Some(octets)) => {
            let range = cut(0..octets, partial);
            let origin = partial.map(|partial| partial.offset);
            response.binary_header(&numbers, origin, range.end - range.start, text);
            Ok(Part::Octets(range))
        }
        (Some(partial), None) => {
            response.binary_nil(&numbers, partial.map(|partial| partial.offset), text);
            Ok(Part::Written)
        }
        (None, octets) => {
            response.binary_size(&numbers, octets.unwrap_or(0), text);
            Ok(Part::Written)
        }
    }
}

/// The octets of a range that a partial names.
fn cut(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(Partial { offset, octets }) = partial else {
        return range;
    };
    let start = range.start.saturating_add(offset).min(range.end);
    start..start.saturating_add(octets).min(range.end)
}

fn ask_for(ask: Ask, mut job: Job, queue: Queue, mut current: Current) -> Result<Step, Refusal> {
    Step::wait(For::Answer(ask), |session, event| {
        match event {
            Event::Answer(Answer::Body { octets }) if current.got_body(octets, &job) => {}
            Event::Answer(Answer::Read(header)) => current.got = Some(Got::Header(header)),
            Event::Answer(Answer::Refused(Trouble::UnknownTransferEncoding)) => {
                current.got = Some(Got::Undecodable);
            }
            // It went while we were about to send it.
            Event::Answer(Answer::Refused(Trouble::Expunged)) if !current.said => {
                job.gone = true;
                return next(session, job, queue);
            }
            // One that nobody can read does not stand before the others.
            Event::Answer(Answer::Refused(Trouble::Damaged)) if !current.said => {
                job.damaged = true;
                return next(session, job, queue);
            }
            Event::Answer(Answer::Refused(trouble)) if !current.said => return Err(trouble.into()),
            // A response that has begun cannot be taken back: the connection ends, and the client asks again.
            Event::Answer(Answer::Refused(_)) => {
                session.bye("a message cannot be read now");
                return Step::silent();
            }
            _ => return Err(Refusal::Bug),
        }
        send(session, job, queue, current)
    })
}

impl Current {
    /// Where this message's items are written.
    fn response(&mut self) -> Result<(&mut FetchResponse, &mut BytesMut), Refusal> {
        let response = self.response.as_mut().ok_or(Refusal::Bug)?;
        Ok((response, &mut self.text))
    }

    /// A body is open: the stored one, or a decoded part if that was asked for.
    fn got_body(&mut self, octets: u64, job: &Job) -> bool {
        match job.items.get(self.at) {
            Some(FetchItem::Binary { .. } | FetchItem::BinarySize { .. }) => {
                self.got = Some(Got::Decoded(octets));
            }
            _ => (self.open, self.octets) = (true, octets),
        }
        true
    }
}
