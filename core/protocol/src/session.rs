//! The shape all sessions share: inputs in, actions out, no I/O.
//!
//! **Invariants.** At most one action that brings an answer ([`Action::Ask`], [`Action::Receive`],
//! [`Action::StartTls`], [`Action::Resume`]) is open, and it is the last of its batch. While none is open
//! the connection reads the next line; pipelined commands wait in the socket, not in the session.
//! **Bounds.** A session emits at most about [`BATCH`] bytes of text before it asks to be resumed.

use bytes::{Bytes, BytesMut};

use crate::limit::Limit;
use crate::line::Ends;

/// Bytes of response text after which a session yields with [`Action::Resume`].
pub const BATCH: usize = 64 * 1024;

/// A protocol state machine.
pub trait Session {
    /// What it asks of the engine.
    type Ask;
    /// What the engine answers.
    type Answer;

    /// Takes one input and says what must be done next, in order.
    fn on(&mut self, input: Input<'_, Self::Answer>) -> Vec<Action<Self::Ask>>;

    /// The same as [`Input::Line`], for a line behind which the peer has sent more already. A protocol in
    /// which some commands must wait for their answer (RFC 2920 section 3.1) refuses them here.
    fn on_pipelined(&mut self, line: &[u8]) -> Vec<Action<Self::Ask>> {
        self.on(Input::Line(line))
    }

    /// The same as [`Input::Open`], for a peer that has spoken before it was greeted. A protocol in which the
    /// server speaks first for a reason refuses it here.
    fn on_hasty(&mut self) -> Vec<Action<Self::Ask>> {
        self.on(Input::Open)
    }

    /// The same as [`Input::LineTooLong`] and [`Input::BareNewline`], with what is kept of the line. A protocol in
    /// which a line says what follows it reads that here.
    fn on_broken_line(&mut self, fault: LineFault, _ends: &Ends) -> Vec<Action<Self::Ask>> {
        self.on(match fault {
            LineFault::TooLong => Input::LineTooLong,
            LineFault::BareNewline => Input::BareNewline,
        })
    }

    /// Longest line, in octets without its CRLF, that the session accepts now.
    fn line_limit(&self) -> usize;

    /// What the session waits for; the connection chooses the deadline that belongs to it.
    fn patience(&self) -> Patience;

    /// The bound that stopped the peer since this was asked last, if one did. For metrics.
    fn reached(&mut self) -> Option<Limit>;
}

/// Why a line is of no use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineFault {
    /// It is longer than [`Session::line_limit`].
    TooLong,
    /// It holds a bare CR or a bare LF.
    BareNewline,
}

/// What can happen to a session.
#[derive(Debug)]
pub enum Input<'a, A> {
    /// The connection stands: PROXY header read, implicit TLS done. Comes once, first.
    Open,
    /// One line without its CRLF. May hold any octet but CR and LF.
    Line(&'a [u8]),
    /// A line longer than [`Session::line_limit`]; it was thrown away up to its end.
    LineTooLong,
    /// A line with a bare CR or a bare LF; it was thrown away up to its CRLF.
    BareNewline,
    /// The octets that [`Receive::Literal`] asked for.
    Literal(&'a [u8]),
    /// The outcome of every other [`Receive`].
    Received(Received),
    /// The answer to the open [`Action::Ask`].
    Answer(A),
    /// The handshake that [`Action::StartTls`] asked for is done; nothing said before it counts.
    Secured,
    /// All actions before [`Action::Resume`] are done.
    Resume,
    /// Something outside changed; look when the protocol allows. Only between commands, may be dropped.
    Changed,
    /// The account's right to be here has ended (disabled, removed, password changed). Only between commands.
    Revoked,
    /// The server is going down. Only between commands.
    Drain,
    /// The peer was silent longer than [`Session::patience`] allows.
    TimedOut,
}

/// What the connection must do next.
#[derive(Debug)]
pub enum Action<K> {
    /// Write these octets to the peer.
    Write(Bytes),
    /// Stream `octets` of the body opened by an ask straight to the peer, from `offset`.
    /// A body that ends early closes the connection: the peer was told how many octets come.
    Send {
        /// First octet.
        offset: u64,
        /// How many octets follow.
        octets: u64,
        /// How the octets are framed on the wire.
        framing: Framing,
    },
    /// Put a question to the engine.
    Ask(K),
    /// Read octets from the peer.
    Receive(Receive),
    /// Write what is pending, forget what was read, shake hands.
    StartTls,
    /// Come back with [`Input::Resume`] when all before is done.
    Resume,
    /// Write what is pending and close.
    Close,
}

/// How a sent body is framed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// As it is, the count was announced (an IMAP `literal8`).
    Counted,
    /// The same for an IMAP literal, which holds no NUL (RFC 9051 section 9, `CHAR8`): see [`without_nul`](crate::line::without_nul).
    Literal,
    /// Dot-stuffed, line ends made CRLF, ended by `CRLF.CRLF` (POP3 RETR and TOP).
    DotStuffed {
        /// Send the header and this many lines of the body (TOP); all of it if `None`.
        body_lines: Option<u64>,
    },
}

/// What to read from the peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Receive {
    /// Exactly `octets` into memory; comes back as [`Input::Literal`].
    Literal {
        /// How many.
        octets: usize,
    },
    /// Exactly `octets`, thrown away without buffering.
    Discard {
        /// How many.
        octets: u64,
    },
    /// Exactly `octets`, appended to the connection's spool (APPEND, BDAT). `Fresh` starts a new spool.
    Spool {
        /// How many.
        octets: u64,
        /// Start anew or go on.
        spool: SpoolStart,
    },
    /// The same, where CR, LF and NUL are octets like all others (RFC 3030 section 3).
    Binary {
        /// How many.
        octets: u64,
        /// Start anew or go on.
        spool: SpoolStart,
    },
    /// Dot-stuffed lines up to `CRLF.CRLF`, into a fresh spool. At most `limit` octets are kept.
    Data {
        /// How many octets may be kept; what is above is read and thrown away.
        limit: u64,
    },
}

/// Whether octets start a spool or go on with the open one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpoolStart {
    /// Drop what the spool holds and begin.
    Fresh,
    /// Append to what it holds.
    Append,
}

/// How a [`Receive`] went. All octets were consumed from the peer whatever the outcome.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Received {
    /// Octets kept in the spool, in all.
    pub octets: u64,
    /// What is wrong with them, if anything.
    pub fault: Option<ReceiveFault>,
}

/// Why received octets are of no use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReceiveFault {
    /// More octets came than may be kept.
    TooLarge,
    /// A CR without LF or an LF without CR: what one server takes for a line end and the next does not.
    BareNewline,
    /// Our spool failed: disk full, memory budget spent, I/O error.
    Spool,
}

/// What a session waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// A client that has not logged in (or greeted).
    BeforeLogin,
    /// The next command.
    Command,
    /// A client in IMAP IDLE, or selected and silent.
    Idle,
}

/// Collects actions; text is gathered so that a batch is one write.
#[derive(Debug)]
pub struct Output<K> {
    text: BytesMut,
    actions: Vec<Action<K>>,
}

impl<K> Default for Output<K> {
    fn default() -> Self {
        Self {
            text: BytesMut::new(),
            actions: Vec::new(),
        }
    }
}

impl<K> Output<K> {
    /// The text being gathered. Write response octets here.
    pub fn text(&mut self) -> &mut BytesMut {
        &mut self.text
    }

    /// Adds a line and its CRLF.
    pub fn line(&mut self, line: impl AsRef<[u8]>) {
        self.text.extend_from_slice(line.as_ref());
        self.text.extend_from_slice(b"\r\n");
    }

    /// Adds an action after the text so far.
    pub fn push(&mut self, action: Action<K>) {
        self.flush();
        self.actions.push(action);
    }

    /// Octets of text since the last action.
    pub fn pending(&self) -> usize {
        self.text.len()
    }

    /// The actions, in order.
    pub fn finish(mut self) -> Vec<Action<K>> {
        self.flush();
        self.actions
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            let text = self.text.split().freeze();
            self.actions.push(Action::Write(text));
        }
    }
}
