//! EHLO: the client's name, our extensions (RFC 5321 section 4.1.1.1).

use super::{ANY, Access, Group, LINE, Payload, Purpose, Spec, Step};
use crate::sasl::Channel;
use crate::smtp::config::{Chunking, Reports, Role};
use crate::smtp::reply::Reply;
use crate::smtp::session::SmtpSession;
use crate::smtp::syntax::{Args, hello_name};
use crate::smtp::transaction::{Hello, Manner};
use crate::tls::Secrecy;

pub(crate) const SPEC: Spec = Spec {
    name: "EHLO",
    states: ANY,
    access: Access::Anybody,
    purpose: Purpose::Chatter,
    payload: Payload::None,
    group: Group::Last,
    limit: LINE,
    run,
};

/// Shared with LHLO.
pub(crate) fn run(session: &mut SmtpSession, args: Args<'_>) -> Result<Step, Reply> {
    introduce(session, args, Manner::Extended)?;
    Ok(Step::Lines {
        first: session.config.hostname.clone(),
        rest: extensions(session),
    })
}

/// Takes the client's name; clears the transaction like RSET (RFC 5321 section 4.1.4).
pub(super) fn introduce(
    session: &mut SmtpSession,
    args: Args<'_>,
    manner: Manner,
) -> Result<(), Reply> {
    let octets = args.octets();
    let name = match (hello_name(octets), session.config.role) {
        (Some(name), _) => name,
        // Users' machines are called what their owners like. Only the trace sees the name.
        (None, Role::Submission) if !octets.is_empty() => {
            let odd =
                |character: char| !(character.is_ascii_alphanumeric() || ".-_".contains(character));
            let name: String = String::from_utf8_lossy(octets).chars().take(255).collect();
            name.replace(odd, "?")
        }
        (None, _) => return Err(Reply::BadArguments),
    };
    session.transaction = None;
    session.hello = Some(Hello { name, manner });
    Ok(())
}

fn extensions(session: &SmtpSession) -> Vec<String> {
    let config = &session.config;
    let mut lines = vec![
        "PIPELINING".to_owned(),                         // RFC 2920
        format!("SIZE {}", config.message_size),         // RFC 1870
        "8BITMIME".to_owned(),                           // RFC 6152
        "SMTPUTF8".to_owned(),                           // RFC 6531
        "ENHANCEDSTATUSCODES".to_owned(),                // RFC 2034
        format!("LIMITS RCPTMAX={}", config.recipients), // RFC 9422
    ];
    if config.reports == Reports::Offered {
        lines.push("DSN".to_owned()); // RFC 3461
    }
    if config.chunking == Chunking::Offered {
        lines.push("BINARYMIME".to_owned()); // RFC 3030
        lines.push("CHUNKING".to_owned()); // RFC 3030
    }
    if session.secrecy == Secrecy::Clear && config.tls.is_offered() {
        lines.push("STARTTLS".to_owned()); // RFC 3207
    }
    let mechanisms: Vec<_> = session.mechanisms().collect();
    if session.channel() == Channel::Confidential && !mechanisms.is_empty() {
        let mechanisms = mechanisms.join(" ");
        lines.push(format!("AUTH {mechanisms}")); // RFC 4954
        lines.push(format!("AUTH={mechanisms}")); // its draft, which old Outlooks read
    }
    lines
}
