//! Why a program could not do what it was told, for standard error.

use std::{fmt, path::Path};

use postrider::{
    admin::AdminError,
    config::{Problem, Program},
};
use postrider_storage::Error;
use serde_json::{Value, json};

/// Why a program could not do what it was told. Its exit code is 1.
#[derive(Debug)]
pub struct Failure {
    /// What is wrong.
    message: String,
    /// What may help.
    hint: Option<String>,
    /// One line each, where many things are wrong.
    details: Vec<String>,
}

impl Failure {
    /// Just a reason.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            details: Vec::new(),
        }
    }

    /// With something that may help.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With all that is wrong, one line each.
    #[must_use]
    pub fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// Says which configuration was used, to who did not name one.
    #[must_use]
    pub fn about(mut self, file: &Path) -> Self {
        self.message = format!("{} ({})", self.message, file.display());
        self
    }

    /// A configuration that cannot be used.
    pub fn configuration(problems: &[Problem]) -> Self {
        let details = problems.iter().map(ToString::to_string).collect();
        Self::new("the configuration cannot be used").details(details)
    }

    /// As one JSON document.
    pub fn json(&self) -> Value {
        let mut document = json!({ "error": self.message });
        if let Some(hint) = &self.hint {
            document["hint"] = json!(hint);
        }
        if !self.details.is_empty() {
            document["details"] = json!(self.details);
        }
        document
    }
}

impl Failure {
    /// All that is wrong, then what it means, as the last word of this program.
    pub fn text(&self, program: &str) -> String {
        let mut text: String = self.details.iter().map(|it| format!("{it}\n")).collect();
        text.push_str(&format!("{program}: {}", self.message));
        if let Some(hint) = &self.hint {
            text.push_str(&format!("; {hint}"));
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Program::Postrider.name()))
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            AdminError::NoDomain(domain) => {
                failure.hint(format!("add it with: postrider domain add {domain}"))
            }
            AdminError::NoUser(email) => {
                failure.hint(format!("add it with: postrider user add {email}"))
            }
            AdminError::UserExists(email) => failure.hint(format!(
                "to change its password: postrider user passwd {email}"
            )),
            AdminError::DomainInUse { domain, .. } => failure.hint(format!(
                "remove them first, or switch it off with: postrider domain disable {domain}"
            )),
            AdminError::BaseDnWithoutLdap => failure.hint("add --auth ldap"),
            AdminError::Storage(error) => error.into(),
            _ => failure,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            Error::NewerSchema { .. } => failure.hint("run the newer version"),
            Error::Unavailable(_) => failure.hint("try again when it is back"),
            _ => failure,
        }
    }
}
