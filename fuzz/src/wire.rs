//! A connection without sockets: frames what the peer says by the real framing, does what the session wants.
//!
//! Checked for every protocol: an action that brings an answer, or closes, is the last of its batch; a batch is bounded;
//! the session comes to rest; text goes out in whole lines; nothing comes after the close.

use std::collections::VecDeque;

use bytes::{BufMut, BytesMut};
use postrider_protocol::line::{
    Counted, Data, DotStuffer, Frame, Framer, Newlines, Piece, without_nul,
};
use postrider_protocol::session::{
    Action, BATCH, Framing, Input, LineFault, Receive, ReceiveFault, Session, SpoolStart,
};

use super::script::{Choices, Script};

/// Octets of text that one input may bring: a batch, and what was begun when it was full.
const TEXT: usize = 4 * BATCH;
/// Answers and resumes that one input may bring.
const STEPS: usize = 2_000;

/// The engine behind a session, and a judge of what the session says.
pub trait Engine<S: Session> {
    /// The peer said this line; the session hears it next.
    fn hears(&mut self, _line: &[u8]) {}
    /// Answers.
    fn answer(&mut self, ask: S::Ask, choices: &mut Choices<'_>) -> S::Answer;
    /// The body that the last ask opened.
    fn body(&self) -> &[u8];
    /// The handshake is done.
    fn secured(&mut self);
    /// Looks at what an input brought.
    fn judge(&mut self, turn: &Turn<'_>);
}

/// One input of the peer and all that came of it.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The input.
    pub cause: Cause<'a>,
    /// What the session said, bodies too.
    pub said: &'a [u8],
    /// What it waits for.
    pub next: Next,
}

/// What made a session speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause<'a> {
    /// The connection opened.
    Open,
    /// A line.
    Line(&'a [u8]),
    /// A line too long, or with a bare newline.
    Broken,
    /// Octets that it wanted.
    Octets,
    /// Something changed outside.
    Changed,
    /// Drain, time-out or revocation.
    Ending,
}

/// What a session waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// A line.
    Line,
    /// Octets.
    Octets,
    /// Nothing.
    Closed,
}

enum Reading {
    Lines,
    Data(Data),
    Literal(Counted, Vec<u8>),
    Spool(Counted),
    Discard(Counted),
}

/// A session and what is around it.
pub struct Connection<'a, S: Session, E> {
    session: S,
    engine: E,
    choices: Choices<'a>,
    buffer: BytesMut,
    framer: Framer,
    reading: Reading,
    newlines: Newlines,
    spooled: u64,
    said: Vec<u8>,
    closed: bool,
}

/// Plays an input; gives the engine back.
pub fn play<S: Session, E: Engine<S>>(session: S, engine: E, script: &Script<'_>) -> E {
    let mut connection = Connection::open(session, engine, script.choices.clone());
    for piece in script.cut.pieces(script.said) {
        connection.hear(piece);
    }
    connection.end(script.setting >> 6);
    connection.engine
}

impl<'a, S: Session, E: Engine<S>> Connection<'a, S, E> {
    /// A connection that was just accepted.
    pub fn open(session: S, engine: E, choices: Choices<'a>) -> Self {
        let mut connection = Self {
            session,
            engine,
            choices,
            buffer: BytesMut::new(),
            framer: Framer::default(),
            reading: Reading::Lines,
            newlines: Newlines::default(),
            spooled: 0,
            said: Vec::new(),
            closed: false,
        };
        let actions = connection.session.on(Input::Open);
        connection.turn(Cause::Open, actions);
        connection
    }

    /// The peer sends these octets.
    pub fn hear(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
        while !self.closed {
            let piece = match &mut self.reading {
                Reading::Lines => {
                    let limit = self.session.line_limit();
                    let Some(frame) = self.framer.next_line(&mut self.buffer, limit) else {
                        break;
                    };
                    self.frame(&frame);
                    continue;
                }
                Reading::Data(data) => data.next(&mut self.buffer),
                Reading::Literal(counted, _)
                | Reading::Spool(counted)
                | Reading::Discard(counted) => counted.next(&mut self.buffer),
            };
            match piece {
                Piece::More => break,
                Piece::Keep(octets) => match &mut self.reading {
                    Reading::Data(_) | Reading::Spool(_) => self.spooled += octets.len() as u64,
                    Reading::Literal(_, literal) => literal.put(octets),
                    Reading::Discard(_) | Reading::Lines => {}
                },
                Piece::End(received) => self.received(received),
            }
        }
    }

    /// The connection ends: by the peer, or by one of the ways in which we end it.
    pub fn end(&mut self, how: u8) {
        if self.closed || !matches!(self.reading, Reading::Lines) {
            return;
        }
        let input = match how {
            1 => Input::Drain,
            2 => Input::TimedOut,
            3 => Input::Revoked,
            _ => return,
        };
        let actions = self.session.on(input);
        self.turn(Cause::Ending, actions);
        assert!(self.closed, "open after it was told to end");
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn frame(&mut self, frame: &Frame) {
        if let Frame::Line(line) = frame {
            self.engine.hears(line);
        }
        let (cause, actions) = match frame {
            Frame::Line(line) if self.framer.inside_line(&self.buffer) => {
                (Cause::Line(line), self.session.on_pipelined(line))
            }
            Frame::Line(line) => (Cause::Line(line), self.session.on(Input::Line(line))),
            Frame::TooLong => {
                let ends = self.framer.ends();
                self.engine.hears(&ends.head);
                let actions = self.session.on_broken_line(LineFault::TooLong, &ends);
                (Cause::Broken, actions)
            }
            Frame::BareNewline => {
                let ends = self.framer.ends();
                self.engine.hears(&ends.head);
                let actions = self.session.on_broken_line(LineFault::BareNewline, &ends);
                (Cause::Broken, actions)
            }
        };
        self.turn(cause, actions);
        let between = !self.closed && matches!(self.reading, Reading::Lines);
        if between && self.choices.take() % 4 == 3 {
            let actions = self.session.on(Input::Changed);
            self.turn(Cause::Changed, actions);
        }
    }

    fn received(&mut self, mut received: postrider_protocol::session::Received) {
        let reading = std::mem::replace(&mut self.reading, Reading::Lines);
        if !matches!(reading, Reading::Discard(_)) && self.choices.take() % 16 == 15 {
            received.fault = Some(ReceiveFault::Spool);
        }
        let actions = match reading {
            Reading::Literal(_, literal) => self.session.on(Input::Literal(&literal)),
            Reading::Spool(counted) => {
                self.newlines = counted.newlines().unwrap_or_default();
                received.octets = self.spooled;
                self.session.on(Input::Received(received))
            }
            _ => self.session.on(Input::Received(received)),
        };
        self.turn(Cause::Octets, actions);
    }

    /// Does what an input brought until the session wants something of its peer.
    fn turn(&mut self, cause: Cause<'_>, actions: Vec<Action<S::Ask>>) {
        self.said.clear();
        let mut actions = VecDeque::from(checked(actions));
        let mut steps = 0;
        while let Some(action) = actions.pop_front() {
            steps += 1;
            assert!(steps < STEPS, "it does not come to rest");
            let next = match action {
                Action::Write(octets) => {
                    self.said.extend_from_slice(&octets);
                    continue;
                }
                Action::Send {
                    offset,
                    octets,
                    framing,
                } => {
                    self.send(offset, octets, framing);
                    continue;
                }
                Action::Ask(ask) => {
                    let answer = self.engine.answer(ask, &mut self.choices);
                    self.session.on(Input::Answer(answer))
                }
                Action::Receive(receive) => {
                    self.reading = self.begin(receive);
                    continue;
                }
                Action::StartTls => {
                    if self.framer.inside_line(&self.buffer) {
                        self.closed = true; // what was said in clear behind it
                        continue;
                    }
                    self.engine.secured();
                    self.session.on(Input::Secured)
                }
                Action::Resume => self.session.on(Input::Resume),
                Action::Close => {
                    self.closed = true;
                    continue;
                }
            };
            actions = checked(next).into();
        }
        let next = match (self.closed, &self.reading) {
            (true, _) => Next::Closed,
            (false, Reading::Lines) => Next::Line,
            (false, _) => Next::Octets,
        };
        let said = std::mem::take(&mut self.said);
        assert!(
            said.is_empty() || said.ends_with(b"\r\n"),
            "half a line is out"
        );
        self.engine.judge(&Turn {
            cause,
            said: &said,
            next,
        });
        self.said = said;
        assert!(self.session.line_limit() >= 253, "no line fits");
        let _ = self.session.patience();
    }

    fn begin(&mut self, receive: Receive) -> Reading {
        match receive {
            Receive::Literal { octets } => {
                Reading::Literal(Counted::new(octets as u64), Vec::new())
            }
            Receive::Discard { octets } => Reading::Discard(Counted::new(octets)),
            Receive::Spool { octets, spool } => {
                if spool == SpoolStart::Fresh {
                    self.spooled = 0;
                    self.newlines = Newlines::default();
                }
                Reading::Spool(Counted::checked(octets, self.newlines))
            }
            Receive::Binary { octets, spool } => {
                if spool == SpoolStart::Fresh {
                    self.spooled = 0;
                }
                self.newlines = Newlines::default();
                Reading::Spool(Counted::new(octets))
            }
            Receive::Data { limit } => {
                self.spooled = 0;
                Reading::Data(Data::new(limit))
            }
        }
    }

    fn send(&mut self, offset: u64, octets: u64, framing: Framing) {
        let body = self.engine.body();
        let end = offset.checked_add(octets).expect("a range of octets");
        assert!(
            end <= body.len() as u64,
            "more is announced than the body has"
        );
        let body = &body[offset as usize..end as usize];
        match framing {
            Framing::Counted => self.said.extend_from_slice(body),
            Framing::Literal => self.said.extend_from_slice(&without_nul(body)),
            Framing::DotStuffed { body_lines } => {
                let mut stuffer = DotStuffer::new(body_lines);
                let mut output = BytesMut::new();
                let _ = stuffer.encode(body, &mut output);
                stuffer.finish(&mut output);
                self.said.extend_from_slice(&output);
            }
        }
    }
}

/// A batch that is as batches must be.
fn checked<K>(actions: Vec<Action<K>>) -> Vec<Action<K>> {
    let mut text = 0;
    for (at, action) in actions.iter().enumerate() {
        match action {
            Action::Write(octets) => text += octets.len(),
            Action::Send { .. } => {}
            _ => assert_eq!(
                at + 1,
                actions.len(),
                "something comes after what must be last"
            ),
        }
    }
    assert!(text <= TEXT, "{text} octets at once");
    actions
}

/// The lines of what was said; each ends with CRLF and holds no other CR or LF.
pub fn lines(said: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = said;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = &rest[..end];
        assert!(
            !line.iter().any(|octet| matches!(octet, b'\r' | b'\n')),
            "a bare newline is out"
        );
        lines.push(line);
        rest = &rest[end + 2..];
    }
    assert!(rest.is_empty(), "half a line is out");
    lines
}
