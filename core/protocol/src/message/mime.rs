//! The scanner: where the parts of a message lie and what they say about themselves (RFC 2046, RFC 6532 section 3.7).
//!
//! One pass over the octets with one stack of open parts. A line that begins with `--` is looked up among the
//! boundaries of all open multiparts at once, so depth costs nothing, and a boundary of an outer part ends all
//! inner ones that were left open.
//!
//! **Invariants.** It never fails. What [`Part`] promises about spans.
//! **Bounds.** Time is linear in the message. [`Limits`] bound depth, parts, what of a header is read and what is
//! kept; what is beyond is content of the part that reached the limit, and flagged.

mod budget;
mod entity;

use std::collections::HashMap;

use memchr::memchr_iter;

pub(super) use budget::Budget;
use entity::Unsaid;

use super::envelope::Envelope;
use super::header::{is_blank, line_length};
use super::parameter;
use super::part::{Content, Embedded, Flaws, MediaType, Part, Span};

/// How much of a message is taken apart and kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Parts inside each other; at most 100.
    pub depth: usize,
    /// Parts in all. Each multipart that meets the limit gets one more, opaque, with the rest of it.
    pub parts: usize,
    /// Fields of a header that are read.
    pub fields: usize,
    /// Octets of a header that are read.
    pub header: usize,
    /// Addresses kept in all.
    pub addresses: usize,
    /// Octets of values kept in all.
    pub kept: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 50,
            parts: 1000,
            fields: 1000,
            header: 256 * 1024,
            addresses: 2000,
            kept: 256 * 1024,
        }
    }
}

/// A message taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scanned {
    /// The whole message.
    pub root: Part,
    /// What its header says.
    pub envelope: Envelope,
    /// Octets looked at, each time they were: a measure of the work that does not depend on the machine.
    pub work: u64,
}

/// Takes a message apart.
pub fn scan(message: &[u8], limits: &Limits) -> Scanned {
    Scanner::new(message, limits).run()
}

/// A part whose end has not come.
struct Open {
    part: Part,
    /// Line ends before the body.
    lines: u64,
    /// Of the root of a message.
    envelope: Option<Envelope>,
    /// Of a multipart until its closing boundary.
    boundary: Option<Boundary>,
    children: Vec<(Part, Option<Envelope>)>,
    kind: Kind,
    /// Parts of this multipart are no longer told apart.
    full: bool,
}

struct Boundary {
    text: Vec<u8>,
    /// The outer part whose equal boundary this one hides.
    hidden: Option<usize>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Leaf,
    Multipart,
    Message,
}

/// What stands at an entity.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Entity {
    Part,
    Message,
}

/// A line that is the boundary of an open part.
#[derive(Clone, Copy)]
struct Delimiter {
    /// Where in the stack the part is.
    level: usize,
    closes: bool,
}

struct Scanner<'a> {
    message: &'a [u8],
    limits: Limits,
    budget: Budget,
    /// The next octet.
    at: usize,
    /// Line ends before it.
    lines: u64,
    open: Vec<Open>,
    /// The innermost open part with each boundary.
    boundaries: HashMap<Vec<u8>, usize>,
    parts: usize,
    work: u64,
}

impl<'a> Scanner<'a> {
    fn new(message: &'a [u8], limits: &Limits) -> Self {
        // The tree is walked and dropped recursively.
        let depth = limits.depth.min(100);
        Self {
            message,
            limits: Limits { depth, ..*limits },
            budget: Budget::new(limits),
            at: 0,
            lines: 0,
            open: Vec::new(),
            boundaries: HashMap::new(),
            parts: 0,
            work: 0,
        }
    }

    fn run(mut self) -> Scanned {
        self.enter(Entity::Message, Unsaid::TextPlain);
        while self.at < self.message.len() {
            if self.boundaries.is_empty() {
                let rest = &self.message[self.at..];
                self.work += rest.len() as u64;
                self.lines += memchr_iter(b'\n', rest).count() as u64;
                break;
            }
            let start = self.at;
            let line = self.next_line();
            match self.delimiter(line) {
                Some(delimiter) => self.meet(delimiter, start),
                None => self.lines += u64::from(line.ends_with(b"\n")),
            }
        }
        let (end, lines) = (self.message.len(), self.lines);
        let mut root = None;
        while let Some(open) = self.open.pop() {
            root = self.leave(open, end, lines);
        }
        let (root, envelope) = root.unwrap_or_else(|| (Part::empty(), None));
        Scanned {
            root,
            envelope: envelope.unwrap_or_default(),
            work: self.work,
        }
    }

    /// Passes a line; its line end is not counted yet.
    fn next_line(&mut self) -> &'a [u8] {
        let rest = &self.message[self.at..];
        let line = &rest[..line_length(rest)];
        self.at += line.len();
        self.work += line.len() as u64;
        line
    }

    /// `delimiter := CRLF "--" boundary` and `close-delimiter := delimiter "--"`, matched whole, with padding.
    fn delimiter(&self, line: &[u8]) -> Option<Delimiter> {
        let text = line.strip_prefix(b"--")?.trim_ascii_end();
        let level = |boundary: &[u8]| self.boundaries.get(boundary).copied();
        let opens = level(text);
        let closes = text.strip_suffix(b"--").and_then(level);
        match (opens, closes) {
            (Some(opens), Some(closes)) if opens > closes => Some((opens, false)),
            (_, Some(closes)) => Some((closes, true)),
            (Some(opens), None) => Some((opens, false)),
            (None, None) => None,
        }
        .map(|(level, closes)| Delimiter { level, closes })
    }

    /// A boundary line, passed already, that began at `start`.
    fn meet(&mut self, Delimiter { level, closes }: Delimiter, start: usize) {
        let line_end = u64::from(self.message[..self.at].ends_with(b"\n"));
        if self.open[level].full && !closes {
            self.lines += line_end;
            return;
        }
        let end = self.before_line_end(start);
        let lines = self.lines.saturating_sub(u64::from(end < start));
        while self.open.len() > level + 1 {
            if let Some(inner) = self.open.pop() {
                self.leave(inner, end, lines);
            }
        }
        self.lines += line_end;
        if closes {
            self.forget_boundary(level);
        } else if self.parts >= self.limits.parts {
            self.enter_rest(level);
        } else {
            let digest = self.open[level].part.media.is("multipart", "digest");
            self.enter(
                Entity::Part,
                if digest {
                    Unsaid::Message
                } else {
                    Unsaid::TextPlain
                },
            );
        }
    }

    /// Leaves the line end before a boundary, which belongs to it.
    fn before_line_end(&self, boundary: usize) -> usize {
        let before = &self.message[..boundary];
        before.strip_suffix(b"\n").map_or(boundary, |text| {
            text.strip_suffix(b"\r").unwrap_or(text).len()
        })
    }

    /// Opens the entity whose header begins here, and if it is a message what is in it, and so on.
    fn enter(&mut self, mut entity: Entity, mut unsaid: Unsaid) {
        // Where a header ended at a boundary; nothing is left for a message inside.
        let mut stopped = None;
        loop {
            let (header, open_ended) = match stopped {
                Some(end) => (Span { start: end, end }, true),
                None => self.pass_header(),
            };
            stopped = open_ended.then_some(header.end);
            let mut part = self.read_header(header, unsaid);
            let mut envelope = None;
            if entity == Entity::Message {
                let (read, flaws) = Envelope::read(header.of(self.message), &mut self.budget);
                self.work += header.len().min(self.limits.header as u64);
                part.flaws |= flaws;
                envelope = Some(read);
            }
            if open_ended {
                part.flaws |= Flaws::HEADER_OPEN;
            }
            self.parts += 1;
            let (kind, boundary) = self.composite(&mut part);
            let level = self.open.len();
            let boundary = boundary.map(|text| Boundary {
                hidden: self.boundaries.insert(text.clone(), level),
                text,
            });
            self.open.push(Open {
                part,
                // A header that ended at a boundary does not have the line end before it.
                lines: self.lines - u64::from(header.end < self.at as u64),
                envelope,
                boundary,
                children: Vec::new(),
                kind,
                full: false,
            });
            if kind != Kind::Message {
                return;
            }
            (entity, unsaid) = (Entity::Message, Unsaid::TextPlain);
        }
    }

    /// Opens a part that takes all that is left of a multipart.
    fn enter_rest(&mut self, level: usize) {
        self.open[level].full = true;
        let here = Span {
            start: self.at as u64,
            end: self.at as u64,
        };
        let part = Part {
            header: here,
            body: here,
            media: MediaType::octet_stream(),
            flaws: Flaws::TOO_MANY,
            ..Part::empty()
        };
        self.open.push(Open {
            part,
            lines: self.lines,
            envelope: None,
            boundary: None,
            children: Vec::new(),
            kind: Kind::Leaf,
            full: false,
        });
    }

    /// Ends a part; gives it back if it was the outermost.
    fn leave(
        &mut self,
        mut open: Open,
        end: usize,
        lines: u64,
    ) -> Option<(Part, Option<Envelope>)> {
        self.work += 1;
        if let Some(boundary) = open.boundary.take() {
            open.part.flaws |= Flaws::UNCLOSED;
            self.restore_hidden(boundary);
        }
        let part = &mut open.part;
        let end = end as u64;
        let inside = open
            .children
            .last()
            .map_or(end, |(child, _)| child.body.end);
        // An empty part between two boundary lines: the line end between them is of the multipart, once.
        let lines = lines + u64::from(inside > end);
        part.body.end = part.body.start.max(end).max(inside);
        part.lines = lines.saturating_sub(open.lines);
        match open.kind {
            Kind::Leaf => {}
            Kind::Multipart if open.children.is_empty() => {
                part.media = MediaType::text_plain();
                part.flaws |= Flaws::NO_PARTS;
            }
            Kind::Multipart => {
                let children = open.children.into_iter().map(|(child, _)| child);
                part.content = Content::Multipart(children.collect());
            }
            Kind::Message => {
                if let Some((root, envelope)) = open.children.pop() {
                    let envelope = envelope.unwrap_or_default();
                    part.content = Content::Message(Box::new(Embedded { envelope, root }));
                }
            }
        }
        let done = (open.part, open.envelope);
        match self.open.last_mut() {
            Some(parent) => {
                parent.children.push(done);
                None
            }
            None => Some(done),
        }
    }

    /// After its closing boundary a multipart has only an epilogue.
    fn forget_boundary(&mut self, level: usize) {
        if let Some(boundary) = self.open[level].boundary.take() {
            self.restore_hidden(boundary);
        }
    }

    fn restore_hidden(&mut self, boundary: Boundary) {
        match boundary.hidden {
            Some(outer) => self.boundaries.insert(boundary.text, outer),
            None => self.boundaries.remove(&boundary.text),
        };
    }

    /// Passes a header. True if a boundary, which is not passed, came before its empty line.
    fn pass_header(&mut self) -> (Span, bool) {
        let start = self.at;
        let mut open_ended = false;
        while self.at < self.message.len() {
            let line_start = self.at;
            let line = self.next_line();
            if self.delimiter(line).is_some() {
                self.at = line_start;
                open_ended = true;
                break;
            }
            self.lines += u64::from(line.ends_with(b"\n"));
            if is_blank(line) {
                break;
            }
        }
        let end = if open_ended {
            self.before_line_end(self.at).max(start)
        } else {
            self.at
        };
        let header = Span {
            start: start as u64,
            end: end as u64,
        };
        (header, open_ended)
    }

    /// What an entity says about itself.
    fn read_header(&mut self, header: Span, unsaid: Unsaid) -> Part {
        self.work += header.len().min(self.limits.header as u64);
        let said = entity::read(header.of(self.message), unsaid, &mut self.budget);
        Part {
            header,
            body: Span {
                start: header.end,
                end: header.end,
            },
            ..said
        }
    }

    /// Whether a part is looked into, and between which boundaries. What is not becomes a leaf.
    fn composite(&self, part: &mut Part) -> (Kind, Option<Vec<u8>>) {
        let multipart = part.media.kind == "multipart";
        let message = part.media.is("message", "rfc822") || part.media.is("message", "global");
        if !multipart && !message {
            return (Kind::Leaf, None);
        }
        if !part.encoding.is_identity() {
            part.flaws |= Flaws::BAD_ENCODING;
        }
        if self.open.len() >= self.limits.depth {
            part.flaws |= Flaws::TOO_DEEP;
        } else if message {
            if self.parts >= self.limits.parts {
                part.flaws |= Flaws::TOO_MANY;
            } else if part.encoding.is_identity() {
                return (Kind::Message, None);
            }
        } else {
            let boundary = parameter::octets(&part.parameters, "boundary");
            let text = boundary.as_deref().unwrap_or_default().trim_ascii_end();
            if !text.is_empty() {
                return (Kind::Multipart, Some(text.to_vec()));
            }
            part.flaws |= Flaws::NO_BOUNDARY;
            part.media = MediaType::text_plain();
            return (Kind::Leaf, None);
        }
        part.media = MediaType::octet_stream();
        (Kind::Leaf, None)
    }
}

#[cfg(test)]
mod tests;
