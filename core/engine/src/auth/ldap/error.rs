//! Why the directory gave no answer: for the log and the operator, never for a client.

use std::fmt;

/// Why the directory gave no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LdapError {
    /// A server could not be reached, or did not let us in.
    #[error("{server}: {step} failed: {why}")]
    Server {
        /// Which.
        server: String,
        /// At what.
        step: Step,
        /// Why.
        why: String,
    },
    /// Every server failed a moment ago.
    #[error("not asked, for it failed a moment ago: {0}")]
    BackOff(String),
    /// An answer did not come in time.
    #[error("{server}: no answer to a {what} in time")]
    Slow {
        /// Which server.
        server: String,
        /// What was asked.
        what: &'static str,
    },
    /// The connection broke under a question.
    #[error("{server}: {why}")]
    Broken {
        /// Which server.
        server: String,
        /// How.
        why: String,
    },
    /// The server answered a question with another result than success.
    #[error("{what}: {result}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Its result.
        result: Code,
    },
    /// What was found is not all there is.
    #[error("the result is not whole: {0}")]
    Partial(String),
    /// The settings cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The engine stops, or the work panicked.
    #[error("the work was given up")]
    GivenUp,
}

impl LdapError {
    /// One word for metrics.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Server { step, .. } => match step {
                Step::Connect => "connect",
                Step::Tls => "tls",
                Step::Bind => "bind",
            },
            Self::BackOff(_) => "back_off",
            Self::Slow { .. } => "slow",
            Self::Broken { .. } => "broken",
            Self::Refused { .. } => "refused",
            Self::Partial(_) => "partial",
            Self::Settings(_) => "settings",
            Self::GivenUp => "given_up",
        }
    }
}

/// A step on the way to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// TCP.
    Connect,
    /// The handshake and the certificate.
    Tls,
    /// As the service account.
    Bind,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Tls => "TLS",
            Self::Bind => "the bind as service account",
        })
    }
}

/// A result code (RFC 4511 section 4.1.9) and what the server says beside it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Code {
    /// The code.
    pub number: u32,
    /// The server's words, without what could drive a terminal or break a line of the log.
    pub text: String,
}

impl Code {
    pub(super) const SUCCESS: u32 = 0;
    pub(super) const SIZE_LIMIT: u32 = 4;
    pub(super) const CONSTRAINT: u32 = 19;
    pub(super) const NO_SUCH_OBJECT: u32 = 32;
    pub(super) const INAPPROPRIATE: u32 = 48;
    pub(super) const INVALID_CREDENTIALS: u32 = 49;
    pub(super) const INSUFFICIENT_RIGHTS: u32 = 50;
    pub(super) const UNWILLING: u32 = 53;

    pub(super) fn of(result: &ldap3::LdapResult) -> Self {
        Self {
            number: result.rc,
            text: visible(&result.text),
        }
    }

    fn name(&self) -> &'static str {
        match self.number {
            Self::SUCCESS => "success",
            1 => "operationsError",
            2 => "protocolError",
            3 => "timeLimitExceeded",
            Self::SIZE_LIMIT => "sizeLimitExceeded",
            8 => "strongerAuthRequired",
            10 => "referral",
            11 => "adminLimitExceeded",
            12 => "unavailableCriticalExtension",
            13 => "confidentialityRequired",
            Self::CONSTRAINT => "constraintViolation",
            Self::NO_SUCH_OBJECT => "noSuchObject",
            34 => "invalidDNSyntax",
            Self::INAPPROPRIATE => "inappropriateAuthentication",
            Self::INVALID_CREDENTIALS => "invalidCredentials",
            Self::INSUFFICIENT_RIGHTS => "insufficientAccessRights",
            51 => "busy",
            52 => "unavailable",
            Self::UNWILLING => "unwillingToPerform",
            80 => "other",
            _ => "result",
        }
    }
}

/// What a server said, without what could drive a terminal or break a line of the log.
pub(super) fn visible(text: &str) -> String {
    let start = text.chars().take(200);
    start
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.number)?;
        match self.text.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", self.text),
        }
    }
}
