//! The connection's part: frames what the client says, does what the session wants, one step at a time.

use std::collections::VecDeque;

use bytes::{BufMut, BytesMut};
use postrider_protocol::line::{Counted, Data, DotStuffer, Frame, Framer, Newlines, Piece};
use postrider_protocol::session::{
    Action, Framing, Input, LineFault, Receive, ReceiveFault, Session, SpoolStart,
};

use super::world::World;

/// A session and the connection around it, of any protocol.
pub trait Play {
    /// The client sends these octets.
    fn client(&mut self, octets: &[u8]);
    /// Lines the server said that nobody has read.
    fn heard(&mut self) -> &mut Vec<String>;
    fn is_closed(&self) -> bool;
    fn world(&mut self) -> &mut World;
}

/// Gives the engine's answer.
pub type Engine<S> = fn(&mut World, <S as Session>::Ask) -> <S as Session>::Answer;

pub struct Wire<S: Session> {
    session: S,
    world: World,
    engine: Engine<S>,
    buffer: BytesMut,
    framer: Framer,
    reading: Reading,
    newlines: Newlines,
    said: Vec<u8>,
    heard: Vec<String>,
    closed: bool,
}

enum Reading {
    Lines,
    Data(Data),
    Literal(Counted, Vec<u8>),
    Spool(Counted),
    Discard(Counted),
}

impl<S: Session> Wire<S> {
    /// A connection that was just accepted.
    pub fn open(session: S, world: World, engine: Engine<S>) -> Self {
        let mut wire = Self {
            session,
            world,
            engine,
            buffer: BytesMut::new(),
            framer: Framer::default(),
            reading: Reading::Lines,
            newlines: Newlines::default(),
            said: Vec::new(),
            heard: Vec::new(),
            closed: false,
        };
        let actions = wire.session.on(Input::Open);
        wire.perform(actions);
        wire
    }

    fn perform(&mut self, actions: Vec<Action<S::Ask>>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            assert!(!self.closed, "an action after Close");
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
                    let answer = (self.engine)(&mut self.world, ask);
                    self.session.on(Input::Answer(answer))
                }
                Action::Receive(receive) => {
                    self.reading = self.begin(receive);
                    assert!(actions.is_empty(), "an action after Receive");
                    continue;
                }
                Action::StartTls => {
                    if self.framer.inside_line(&self.buffer) {
                        self.closed = true;
                        continue;
                    }
                    self.session.on(Input::Secured)
                }
                Action::Resume => self.session.on(Input::Resume),
                Action::Close => {
                    self.closed = true;
                    continue;
                }
            };
            assert!(
                actions.is_empty(),
                "an action behind one that brings an answer"
            );
            actions = next.into();
        }
        self.hear();
    }

    fn begin(&mut self, receive: Receive) -> Reading {
        match receive {
            Receive::Literal { octets } => {
                Reading::Literal(Counted::new(octets as u64), Vec::new())
            }
            Receive::Discard { octets } => Reading::Discard(Counted::new(octets)),
            Receive::Spool { octets, spool } => {
                if spool == SpoolStart::Fresh {
                    self.world.spool.clear();
                    self.newlines = Newlines::default();
                }
                Reading::Spool(Counted::checked(octets, self.newlines))
            }
            Receive::Binary { octets, spool } => {
                if spool == SpoolStart::Fresh {
                    self.world.spool.clear();
                }
                self.newlines = Newlines::default();
                Reading::Spool(Counted::new(octets))
            }
            Receive::Data { limit } => {
                self.world.spool.clear();
                Reading::Data(Data::new(limit))
            }
        }
    }

    /// Feeds the session until it wants more than the client has said.
    fn pump(&mut self) {
        while !self.closed {
            let piece = match &mut self.reading {
                Reading::Lines => {
                    let limit = self.session.line_limit();
                    let Some(frame) = self.framer.next_line(&mut self.buffer, limit) else {
                        break;
                    };
                    let actions = match &frame {
                        Frame::Line(line) if self.framer.inside_line(&self.buffer) => {
                            self.session.on_pipelined(line)
                        }
                        Frame::Line(line) => self.session.on(Input::Line(line)),
                        Frame::TooLong => self
                            .session
                            .on_broken_line(LineFault::TooLong, &self.framer.ends()),
                        Frame::BareNewline => self
                            .session
                            .on_broken_line(LineFault::BareNewline, &self.framer.ends()),
                    };
                    self.perform(actions);
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
                    Reading::Data(_) | Reading::Spool(_) => self.world.spool.put(octets),
                    Reading::Literal(_, literal) => literal.put(octets),
                    Reading::Discard(_) | Reading::Lines => {}
                },
                Piece::End(mut received) => {
                    let actions = match std::mem::replace(&mut self.reading, Reading::Lines) {
                        Reading::Literal(_, literal) => self.session.on(Input::Literal(&literal)),
                        Reading::Spool(counted) => {
                            self.newlines = counted.newlines().unwrap_or_default();
                            received.octets = self.world.spool.len() as u64;
                            if self.world.spool_fails() {
                                received.fault = Some(ReceiveFault::Spool);
                            }
                            self.session.on(Input::Received(received))
                        }
                        _ => {
                            if received.fault.is_none() && self.world.spool_fails() {
                                received.fault = Some(ReceiveFault::Spool);
                            }
                            self.session.on(Input::Received(received))
                        }
                    };
                    self.perform(actions);
                }
            }
        }
    }

    fn send(&mut self, offset: u64, octets: u64, framing: Framing) {
        let from = usize::try_from(offset).expect("small in tests");
        let to = from + usize::try_from(octets).expect("small in tests");
        let body = self
            .world
            .body
            .get(from..to)
            .expect("the body has these octets")
            .to_vec();
        match framing {
            Framing::Counted | Framing::Literal => self.said.extend(body),
            Framing::DotStuffed { body_lines } => {
                let mut stuffer = DotStuffer::new(body_lines);
                let mut output = BytesMut::new();
                let _ = stuffer.encode(&body, &mut output);
                stuffer.finish(&mut output);
                self.said.extend_from_slice(&output);
            }
        }
    }

    /// Cuts what was said into lines.
    fn hear(&mut self) {
        while let Some(end) = self.said.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = self.said.drain(..end + 2).take(end).collect();
            self.heard.push(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

impl<S: Session> Play for Wire<S> {
    fn client(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
        self.pump();
    }

    fn heard(&mut self) -> &mut Vec<String> {
        &mut self.heard
    }

    fn is_closed(&self) -> bool {
        self.closed
    }

    fn world(&mut self) -> &mut World {
        &mut self.world
    }
}
