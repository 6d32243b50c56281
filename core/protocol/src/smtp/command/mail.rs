//! MAIL: the reverse-path begins a transaction (RFC 5321 section 4.1.1.2).
//!
//! Parameters: SIZE (RFC 1870), BODY (RFC 6152, RFC 3030 section 3), SMTPUTF8 (RFC 6531), AUTH (RFC 4954), and where
//! reports are offered RET and ENVID (RFC 3461 section 4.3 and section 4.4).

use super::{Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::smtp::ask::{Ask, Body};
use crate::smtp::config::{Chunking, Config, Reports, Role};
use crate::smtp::dsn::{self, EnvelopeId, Return};
use crate::smtp::reply::Reply;
use crate::smtp::session::{SmtpSession, Waiting};
use crate::smtp::syntax::{Args, Parameters, Path, is_xtext, size};
use crate::smtp::transaction::{Manner, State, Transaction};

/// 512, and what SIZE, BODY, SMTPUTF8, AUTH, RET and ENVID add.
pub(crate) const LIMIT: usize = LINE + 26 + 17 + 10 + 500 + 9 + 7 + dsn::ID_LIMIT;

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
    let mut transaction = Transaction::default();
    read(&parameters, &session.config, &mut transaction)?;
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
    config: &Config,
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
                if config.chunking == Chunking::Absent {
                    return Err(Reply::UnknownParameter);
                }
                transaction.body = Body::BinaryMime;
            }
            (b"SMTPUTF8", None) => transaction.utf8 = true,
            // Who wrote it first is a claim nobody here believes: checked, then read as `<>` (RFC 4954 section 5).
            (b"AUTH", Some(value)) if config.role == Role::Submission && is_xtext(value) => {}
            (b"AUTH", _) if config.role == Role::Mx => return Err(Reply::UnknownParameter),
            (b"RET" | b"ENVID", _) if config.reports == Reports::Absent => {
                return Err(Reply::UnknownParameter);
            }
            (b"RET", Some(value)) => {
                transaction.returns = Some(Return::parse(value).ok_or(Reply::BadArguments)?);
            }
            (b"ENVID", Some(value)) => {
                transaction.id = Some(EnvelopeId::parse(value).ok_or(Reply::BadArguments)?);
            }
            (b"SIZE" | b"BODY" | b"SMTPUTF8" | b"AUTH" | b"RET" | b"ENVID", _) => {
                return Err(Reply::BadArguments);
            }
            _ => return Err(Reply::UnknownParameter),
        }
    }
    Ok(())
}
