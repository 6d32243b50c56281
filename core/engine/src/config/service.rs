//! What a listener speaks, the TLS rule of each, and which program serves it.

use std::{fmt, str::FromStr};

/// What a listener speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Service {
    /// Mail from other servers (port 25).
    Smtp,
    /// Mail from users, STARTTLS (port 587, RFC 6409).
    Submission,
    /// Mail from users, implicit TLS (port 465, RFC 8314).
    Submissions,
    /// Local delivery (RFC 2033).
    Lmtp,
    /// IMAP with STARTTLS (port 143).
    Imap,
    /// IMAP, implicit TLS (port 993, RFC 8314).
    Imaps,
    /// POP3 with STLS (port 110).
    Pop3,
    /// POP3, implicit TLS (port 995, RFC 8314).
    Pop3s,
    /// `/metrics`, `/health/live` and `/health/ready` over HTTP.
    Metrics,
}

/// When a service's connections are encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsRule {
    /// Never.
    None,
    /// STARTTLS is offered, and nothing depends on it.
    Offered,
    /// STARTTLS is offered; before it there is no login (and, at submission, no mail).
    Required,
    /// From the first octet.
    Implicit,
}

impl Service {
    /// All of them, as the table in the manual has them.
    pub const ALL: [Service; 9] = [
        Service::Smtp,
        Service::Submission,
        Service::Submissions,
        Service::Lmtp,
        Service::Imap,
        Service::Imaps,
        Service::Pop3,
        Service::Pop3s,
        Service::Metrics,
    ];

    /// Its name in the configuration, in logs and in the ports file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Lmtp => "lmtp",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Metrics => "metrics",
        }
    }

    /// The port on 127.0.0.1 it has when no listener is configured; needs no privilege.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Smtp => 2525,
            Self::Submission => 2587,
            Self::Submissions => 2465,
            Self::Lmtp => 2424,
            Self::Imap => 2143,
            Self::Imaps => 2993,
            Self::Pop3 => 2110,
            Self::Pop3s => 2995,
            Self::Metrics => 2090,
        }
    }

    /// When its connections are encrypted.
    pub const fn tls(self) -> TlsRule {
        match self {
            Self::Lmtp | Self::Metrics => TlsRule::None,
            Self::Smtp => TlsRule::Offered,
            Self::Submission | Self::Imap | Self::Pop3 => TlsRule::Required,
            Self::Submissions | Self::Imaps | Self::Pop3s => TlsRule::Implicit,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that stands for no service.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "unknown service; known are smtp, submission, submissions, lmtp, imap, imaps, pop3, pop3s and metrics"
)]
pub struct UnknownService;

impl FromStr for Service {
    type Err = UnknownService;

    fn from_str(name: &str) -> Result<Self, UnknownService> {
        Self::ALL
            .into_iter()
            .find(|service| service.name() == name)
            .ok_or(UnknownService)
    }
}

/// A program that serves some of the services.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Program {
    /// `postrider run`: all of them in one process.
    Postrider,
    /// `smtpd`
    Smtpd,
    /// `imapd`
    Imapd,
    /// `pop3d`
    Pop3d,
}

impl Program {
    /// All of them.
    pub const ALL: [Program; 4] = [
        Program::Postrider,
        Program::Smtpd,
        Program::Imapd,
        Program::Pop3d,
    ];

    /// The name of its executable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postrider => "postrider",
            Self::Smtpd => "smtpd",
            Self::Imapd => "imapd",
            Self::Pop3d => "pop3d",
        }
    }

    /// What it serves.
    pub const fn services(self) -> &'static [Service] {
        match self {
            Self::Postrider => &Service::ALL,
            Self::Smtpd => &[
                Service::Smtp,
                Service::Submission,
                Service::Submissions,
                Service::Lmtp,
                Service::Metrics,
            ],
            Self::Imapd => &[Service::Imap, Service::Imaps, Service::Metrics],
            Self::Pop3d => &[Service::Pop3, Service::Pop3s, Service::Metrics],
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that stands for no program.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown program; known are postrider, smtpd, imapd and pop3d")]
pub struct UnknownProgram;

impl FromStr for Program {
    type Err = UnknownProgram;

    fn from_str(name: &str) -> Result<Self, UnknownProgram> {
        Self::ALL
            .into_iter()
            .find(|program| program.name() == name)
            .ok_or(UnknownProgram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for service in Service::ALL {
            assert_eq!(service.name().parse(), Ok(service));
            let served = |program: &Program| program.services().contains(&service);
            let daemons = Program::ALL[1..].iter().filter(|it| served(it)).count();
            let expected = if service == Service::Metrics { 3 } else { 1 };
            assert_eq!(
                daemons, expected,
                "{service} is served by one daemon, metrics by all"
            );
        }
        for program in Program::ALL {
            assert_eq!(program.name().parse(), Ok(program));
        }
        assert_eq!("SMTP".parse::<Service>(), Err(UnknownService));
        assert_eq!("admind".parse::<Program>(), Err(UnknownProgram));
    }
}
