//! BDAT: the message in chunks of known size (RFC 3030 section 2).
//!
//! **Invariants.** The octets of a chunk are read whatever is wrong with the command (invariant 2 of
//! [`crate::smtp`]). A line that does not say how many there are ends the session: what follows might be
//! taken for commands.
//! **Bounds.** A chunk that is refused is thrown away as it comes, but none of more than [`CHUNK_LIMIT`] octets: that ends the session.

use super::{Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::session::{Receive, SpoolStart};
use crate::smtp::ask::Body;
use crate::smtp::config::Chunking;
use crate::smtp::dialect::Ending;
use crate::smtp::reply::Reply;
use crate::smtp::session::{SmtpSession, Waiting};
use crate::smtp::syntax::{Args, size};
use crate::smtp::transaction::{Chunks, Position, State};

/// Octets of the largest chunk that is read, if only to be thrown away: twice the largest message that can be configured.
pub const CHUNK_LIMIT: u64 = 1 << 32;

pub(crate) const SPEC: Spec = Spec {
    name: "BDAT",
    states: &[State::Recipients, State::Chunks],
    access: Access::LoggedIn,
    purpose: Purpose::Mail,
    payload: Payload::Chunk,
    group: Group::Anywhere,
    limit: LINE,
    run,
};

fn run(session: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    let (octets, position) = chunk(args)?;
    if session.config.chunking == Chunking::Absent {
        return discard(args, Reply::NotImplemented);
    }
    let limit = session.config.message_size;
    let transaction = session.transaction.as_mut().ok_or(Reply::Bug)?;
    let body = transaction.body;
    let (taken, spool) = match transaction.chunks {
        Chunks::None => (0, SpoolStart::Fresh),
        Chunks::Taken(octets) => (octets, SpoolStart::Append),
        Chunks::Failed => return fail(session, octets, position, Reply::BadSequence),
    };
    let taken = taken.saturating_add(octets);
    if taken > limit {
        return fail(session, octets, position, Reply::MessageTooLarge);
    }
    if octets == 0 && position == Position::Middle && session.chatters() {
        return Err(Reply::TooManyErrors);
    }
    let receive = match body {
        Body::BinaryMime => Receive::Binary { octets, spool },
        Body::SevenBit | Body::EightBitMime => Receive::Spool { octets, spool },
    };
    Ok(Step::Receive(receive, Waiting::Chunk(position, taken)))
}

/// Throws a chunk away and ends or spoils its transaction.
fn fail(
    session: &mut SmtpSession,
    octets: u64,
    position: Position,
    reply: Reply,
) -> Result<Step, Reply> {
    let replies = match (position, &mut session.transaction) {
        (Position::Last, transaction) => {
            let recipients = transaction
                .take()
                .map_or(1, |gone| gone.forward_paths.len());
            (session.dialect.conclude)(Ending::Failed(reply), recipients)
        }
        (Position::Middle, transaction) => {
            if let Some(transaction) = transaction {
                transaction.chunks = Chunks::Failed;
            }
            vec![reply]
        }
    };
    Ok(Step::Receive(
        Receive::Discard { octets },
        Waiting::Discarded(replies),
    ))
}

/// Throws away the chunk of a command that may not run, then answers.
pub(crate) fn discard(args: Args<'_>, refusal: Reply) -> Result<Step, Reply> {
    let (octets, _) = chunk(args)?;
    Ok(Step::Receive(
        Receive::Discard { octets },
        Waiting::Discarded(vec![refusal]),
    ))
}

/// `chunk-size [SP "LAST"]`
fn chunk(args: Args<'_>) -> Result<(u64, Position), Reply> {
    let mut words = args.words();
    let octets = words.next().and_then(size).ok_or(Reply::BadChunk)?;
    if octets > CHUNK_LIMIT {
        return Err(Reply::ChunkTooLarge);
    }
    match (words.next(), words.next()) {
        (None, _) => Ok((octets, Position::Middle)),
        (Some(last), None) if last.eq_ignore_ascii_case(b"LAST") => Ok((octets, Position::Last)),
        _ => Err(Reply::BadChunk),
    }
}
