//! `[log]`: what is written to standard error.

use std::str::FromStr;

use super::source::Table;

/// What is logged, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    /// Levels by module, such as `info` or `info,postrider::queue=debug`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

/// A text that names no format.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown log format; known are auto, text and json")]
pub struct UnknownLogFormat;

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(text: &str) -> Result<Self, UnknownLogFormat> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownLogFormat),
        }
    }
}

/// Reads the section.
pub(super) fn read(root: &Table<'_>) -> Log {
    let table = root.table("log");
    let mut filter = "info".to_owned();
    if let Some(found) = table.get::<String>("filter") {
        match crate::telemetry::check_filter(&found.value) {
            Ok(()) => filter = found.value,
            Err(error) => {
                let message = format!("log.filter: {:?}: {error}", found.value);
                table.source.error(Some(found.at), message);
            }
        }
    }
    Log {
        filter,
        format: table.or("format", LogFormat::Auto),
    }
}
