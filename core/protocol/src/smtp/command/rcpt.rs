//! RCPT: one more forward-path (RFC 5321 section 4.1.1.3).
//!
//! Parameters: where reports are offered NOTIFY and ORCPT (RFC 3461 section 4.1 and section 4.2).

use super::{Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::smtp::ask::{Ask, ForwardPath};
use crate::smtp::config::Reports;
use crate::smtp::dsn::{self, Notify, OriginalRecipient};
use crate::smtp::reply::Reply;
use crate::smtp::session::{SmtpSession, Waiting};
use crate::smtp::syntax::{Args, Parameters, Path};
use crate::smtp::transaction::State;

/// 512, and what SMTPUTF8, NOTIFY and ORCPT add.
pub(crate) const LIMIT: usize = LINE + 10 + 29 + 7 + dsn::ORIGINAL_LIMIT;

pub(crate) const SPEC: Spec = Spec {
    name: "RCPT",
    states: &[State::Mail, State::Recipients],
    access: Access::LoggedIn,
    purpose: Purpose::Mail,
    payload: Payload::None,
    group: Group::Anywhere,
    limit: LIMIT,
    run,
};

fn run(session: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    let (path, parameters) = args.path(b"TO:", Reply::BadForwardPath)?;
    let transaction = session.transaction.as_ref().ok_or(Reply::NoTransaction)?;
    let mut wishes = ForwardPath::default();
    match session.config.reports {
        Reports::Absent => parameters.none()?,
        Reports::Offered => read(&parameters, transaction.utf8, &mut wishes)?,
    }
    let address = match path {
        Path::Null => return Err(Reply::BadForwardPath),
        Path::Postmaster => None,
        Path::Mailbox { ascii: false, .. } if !transaction.utf8 => {
            return Err(Reply::AddressNeedsUtf8);
        }
        Path::Mailbox { address, .. } => Some(address),
    };
    if transaction.forward_paths.len() >= session.config.recipients {
        return Err(Reply::TooManyRecipients);
    }
    let ask = Ask::Recipient {
        forward_path: address.clone(),
        size: transaction.size,
    };
    let forward_path = ForwardPath { address, ..wishes };
    Ok(Step::Ask(ask, Waiting::Recipient(forward_path)))
}

fn read(parameters: &Parameters<'_>, utf8: bool, wishes: &mut ForwardPath) -> Result<(), Reply> {
    for (keyword, value) in parameters.iter() {
        match (keyword.to_ascii_uppercase().as_slice(), value) {
            (b"NOTIFY", Some(value)) => {
                wishes.notify = Notify::parse(value).ok_or(Reply::BadArguments)?;
            }
            (b"ORCPT", Some(value)) => {
                let original = OriginalRecipient::parse(value, utf8);
                wishes.original = Some(original.ok_or(Reply::BadArguments)?);
            }
            (b"NOTIFY" | b"ORCPT", None) => return Err(Reply::BadArguments),
            _ => return Err(Reply::UnknownParameter),
        }
    }
    Ok(())
}
