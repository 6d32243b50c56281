//! DATA: the message, up to `CRLF.CRLF` (RFC 5321 section 4.1.1.4).

use super::{Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::session::Receive;
use crate::smtp::ask::Body;
use crate::smtp::reply::Reply;
use crate::smtp::session::{SmtpSession, Waiting};
use crate::smtp::syntax::Args;
use crate::smtp::transaction::State;

pub(crate) const SPEC: Spec = Spec {
    name: "DATA",
    states: &[State::Recipients],
    access: Access::LoggedIn,
    purpose: Purpose::Mail,
    payload: Payload::None,
    group: Group::Last,
    limit: LINE,
    run,
};

fn run(session: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    args.none()?;
    // Lines cannot carry it (RFC 3030 section 3).
    if matches!(&session.transaction, Some(open) if open.body == Body::BinaryMime) {
        return Err(Reply::BadSequence);
    }
    let limit = session.config.message_size;
    Ok(Step::Receive(Receive::Data { limit }, Waiting::Data))
}
