//! What LMTP does differently from SMTP (RFC 2033 section 4): LHLO in the place of EHLO and HELO, and
//! after a message one reply for each recipient that was accepted, in the order of RCPT.
//!
//! There is no login and no relaying; the listener says who may connect.

use std::sync::Arc;

use crate::limit::Limit;
use crate::session::{Action, Input, Patience, Session};
use crate::smtp::ask::{Answer, Ask, Delivered};
use crate::smtp::command::{
    Spec, bdat, data, ehlo, expn, help, mail, noop, quit, rcpt, rset, starttls, vrfy,
};
use crate::smtp::config::{Config, Reports, Role};
use crate::smtp::dialect::{Dialect, Ending, Harvest};
use crate::smtp::reply::Reply;
use crate::smtp::session::SmtpSession;
use crate::smtp::transaction::State;
use crate::tls::Secrecy;

/// LMTP. There is no HELO, EHLO or AUTH.
const COMMANDS: &[Spec] = &[
    Spec {
        name: "LHLO",
        ..ehlo::SPEC
    },
    mail::SPEC,
    rcpt::SPEC,
    data::SPEC,
    rset::SPEC,
    vrfy::SPEC,
    expn::SPEC,
    help::SPEC,
    noop::SPEC,
    quit::SPEC,
    bdat::SPEC,
    starttls::SPEC,
];

static LMTP: Dialect = Dialect {
    commands: COMMANDS,
    banner: "LMTP",
    with,
    conclude,
    harvest: Harvest::Impossible,
};

/// An LMTP session.
#[derive(Debug)]
pub struct LmtpSession(SmtpSession);

impl LmtpSession {
    /// A session that waits for [`Input::Open`]. Role and reports in `config` are ignored.
    pub fn new(config: Arc<Config>) -> Self {
        let config = match (config.role, config.reports) {
            (Role::Mx, Reports::Absent) => config,
            // Who delivers by LMTP has the queue, and writes the reports (RFC 3461 section 6.2).
            _ => Arc::new(Config {
                role: Role::Mx,
                reports: Reports::Absent,
                ..(*config).clone()
            }),
        };
        Self(SmtpSession::with_dialect(config, &LMTP))
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.0.state()
    }

    /// Whether TLS is on.
    pub fn secrecy(&self) -> Secrecy {
        self.0.secrecy()
    }

    /// What the client called itself.
    pub fn hello(&self) -> Option<&str> {
        self.0.hello()
    }

    /// The verb of the last command, `UNKNOWN` if it is none of ours; for metrics.
    pub fn last_command(&self) -> &'static str {
        self.0.last_command()
    }

    /// Whether it is over: nothing but the end of the connection may follow.
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }
}

impl Session for LmtpSession {
    type Ask = Ask;
    type Answer = Answer;

    fn on(&mut self, input: Input<'_, Answer>) -> Vec<Action<Ask>> {
        self.0.on(input)
    }

    fn on_hasty(&mut self) -> Vec<Action<Ask>> {
        self.0.on_hasty()
    }

    fn on_pipelined(&mut self, line: &[u8]) -> Vec<Action<Ask>> {
        self.0.on_pipelined(line)
    }

    fn line_limit(&self) -> usize {
        self.0.line_limit()
    }

    fn reached(&mut self) -> Option<Limit> {
        self.0.reached()
    }

    fn patience(&self) -> Patience {
        self.0.patience()
    }
}

/// The "with" of Received (RFC 3848, RFC 6531 section 4.3).
fn with(session: &SmtpSession, utf8: bool) -> &'static str {
    match session.secrecy {
        Secrecy::Clear if utf8 => "UTF8LMTP",
        Secrecy::Tls if utf8 => "UTF8LMTPS",
        Secrecy::Clear => "LMTP",
        Secrecy::Tls => "LMTPS",
    }
}

/// One reply a recipient (RFC 2033 section 4.2). An outcome that the engine owes is "try again later".
fn conclude(ending: Ending<'_>, recipients: usize) -> Vec<Reply> {
    match ending {
        Ending::Failed(reply) => vec![reply; recipients],
        Ending::Delivered(outcomes) => outcomes
            .iter()
            .copied()
            .chain(std::iter::repeat(Delivered::Unavailable))
            .take(recipients)
            .map(Reply::from)
            .collect(),
    }
}
