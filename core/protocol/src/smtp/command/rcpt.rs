//! RCPT: one more forward-path (RFC 5321 section 4.1.1.3).

use super::{Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::smtp::ask::Ask;
use crate::smtp::reply::Reply;
use crate::smtp::session::{SmtpSession, Waiting};
use crate::smtp::syntax::{Args, Path};
use crate::smtp::transaction::State;

pub(crate) const SPEC: Spec = Spec {
    name: "RCPT",
    states: &[State::Mail, State::Recipients],
    access: Access::LoggedIn,
    purpose: Purpose::Mail,
    payload: Payload::None,
    group: Group::Anywhere,
    limit: LINE + 10,
    run,
};

fn run(session: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    let (path, parameters) = args.path(b"TO:", Reply::BadForwardPath)?;
    parameters.none()?;
    let transaction = session.transaction.as_ref().ok_or(Reply::NoTransaction)?;
    let forward_path = match path {
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
        forward_path: forward_path.clone(),
        size: transaction.size,
    };
    Ok(Step::Ask(ask, Waiting::Recipient(forward_path)))
}
