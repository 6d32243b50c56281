//! MAIL: the reverse-path begins a transaction (RFC 5321 section 4.1.1.2).
//!
//! Parameters: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), AUTH (RFC 4954). BODY=BINARYMIME and
//! those of RFC 3461 (RET, ENVID) are not offered.

use super::{Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::smtp::ask::{Ask, Body};
use crate::smtp::config::Role;
use crate::smtp::reply::Reply;
use crate::smtp::session::{SmtpSession, Waiting};
use crate::smtp::syntax::{Args, Parameters, Path, is_xtext, size};
use crate::smtp::transaction::{Chunks, Manner, State, Transaction};

/// 512, and what SIZE, BODY, SMTPUTF8 and AUTH add.
pub(crate) const LIMIT: usize = LINE + 26 + 17 + 10 + 500;

pub(crate) const SPEC: Spec = Spec {
    name: "MAIL",
    states: &[State::Ready],
    access: Access::LoggedIn,
    purpose: Purpose::Mail,
    payload: Payload::None,
    group: Group::Anywhere,
    limit: LIMIT,
    run,
};

fn run(session: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    let (path, parameters) = args.path(b"FROM:", Reply::BadReversePath)?;
    if matches!(&session.hello, Some(hello) if hello.manner == Manner::Plain) {
        parameters.none()?;
    }
    let mut transaction = Transaction {
        reverse_path: None,
        forward_paths: Vec::new(),
        size: None,
        body: Body::SevenBit,
        utf8: false,
        chunks: Chunks::None,
    };
    read(&parameters, session.config.role, &mut transaction)?;
    transaction.reverse_path = match path {
        Path::Null => None,
        Path::Postmaster => return Err(Reply::BadReversePath),
        Path::Mailbox { ascii: false, .. } if !transaction.utf8 => {
            return Err(Reply::AddressNeedsUtf8);
        }
        Path::Mailbox { address, .. } => Some(address),
    };
    if transaction.size > Some(session.config.message_size) {
        return Err(Reply::MessageTooLarge);
    }
    let ask = Ask::Sender {
        reverse_path: transaction.reverse_path.clone(),
        size: transaction.size,
    };
    Ok(Step::Ask(ask, Waiting::Sender(transaction)))
}

fn read(
    parameters: &Parameters<'_>,
    role: Role,
    transaction: &mut Transaction,
) -> Result<(), Reply> {
    for (keyword, value) in parameters.iter() {
        match (keyword.to_ascii_uppercase().as_slice(), value) {
            // Zero means that the client does not know.
            (b"SIZE", Some(digits)) => {
                transaction.size =
                    Some(size(digits).ok_or(Reply::BadArguments)?).filter(|&size| size > 0);
            }
            (b"BODY", Some(value)) if value.eq_ignore_ascii_case(b"7BIT") => {}
            (b"BODY", Some(value)) if value.eq_ignore_ascii_case(b"8BITMIME") => {
                transaction.body = Body::EightBitMime;
            }
            (b"BODY", Some(value)) if value.eq_ignore_ascii_case(b"BINARYMIME") => {
                return Err(Reply::UnknownParameter);
            }
            (b"SMTPUTF8", None) => transaction.utf8 = true,
            // Who wrote it first is a claim nobody here believes: checked, then read as `<>` (RFC 4954 section 5).
            (b"AUTH", Some(value)) if role == Role::Submission && is_xtext(value) => {}
            (b"AUTH", _) if role == Role::Mx => return Err(Reply::UnknownParameter),
            (b"SIZE" | b"BODY" | b"SMTPUTF8" | b"AUTH", _) => return Err(Reply::BadArguments),
            _ => return Err(Reply::UnknownParameter),
        }
    }
    Ok(())
}
