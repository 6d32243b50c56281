//! Log lines: text on a terminal, one JSON object a line elsewhere, to standard error.
//!
//! A line begins with time, level and module; then come the peer's address and what else the server itself knows
//! of the connection, then the event. Fields of the spans around an event stand in its line, so that each line can be understood alone
//! (and matched by Fail2ban).

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::Mutex,
};

use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

use super::{
    field::{Fields, write_json_string},
    metrics,
};
use crate::config::{Log, LogFormat};

/// Why logging could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not understood.
    #[error("bad log filter: {0}")]
    Filter(String),
    /// The program has its own logging already; Postrider's events go there.
    #[error("logging is set up already")]
    Taken,
}

/// Changes a log that is set up.
#[derive(Clone)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogHandle")
    }
}

impl LogHandle {
    /// Puts another filter in place.
    ///
    /// # Errors
    /// [`LogError::Filter`] if it is not understood; the old one stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        self.filter
            .reload(parse_filter(filter)?)
            .map_err(|error| LogError::Filter(error.to_string()))
    }
}

/// Whether a filter is understood.
///
/// # Errors
/// [`LogError::Filter`] if not.
pub fn check_filter(filter: &str) -> Result<(), LogError> {
    parse_filter(filter).map(drop)
}

fn parse_filter(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|error| LogError::Filter(error.to_string()))
}

/// Sets up logging for the whole process. Called once, by the programs; an embedding program may have its own instead.
///
/// # Errors
/// A filter that is not understood; logging that is set up already.
pub fn init_log(log: &Log) -> Result<LogHandle, LogError> {
    let (filter, handle) = reload::Layer::new(parse_filter(&log.filter)?);
    tracing_subscriber::registry()
        .with(filter)
        .with(LogLayer::new(log.format, io::stderr()))
        .try_init()
        .map_err(|_| LogError::Taken)?;
    Ok(LogHandle { filter: handle })
}

/// Writes events as lines.
pub struct LogLayer<W> {
    json: bool,
    colour: bool,
    writer: Mutex<W>,
}

impl<W> fmt::Debug for LogLayer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLayer")
            .field("json", &self.json)
            .finish_non_exhaustive()
    }
}

impl LogLayer<io::Stderr> {
    fn new(format: LogFormat, writer: io::Stderr) -> Self {
        let terminal = writer.is_terminal();
        let json = match format {
            LogFormat::Auto => !terminal,
            LogFormat::Text => false,
            LogFormat::Json => true,
        };
        Self {
            json,
            colour: terminal && !json,
            writer: Mutex::new(writer),
        }
    }
}

impl<W: Write> LogLayer<W> {
    /// Lines of text into any writer, for tests and embedding programs.
    pub fn text(writer: W) -> Self {
        Self {
            json: false,
            colour: false,
            writer: Mutex::new(writer),
        }
    }

    /// Lines of JSON into any writer.
    pub fn json(writer: W) -> Self {
        Self {
            json: true,
            ..Self::text(writer)
        }
    }

    fn line(&self, event: &Event<'_>, fields: &Fields) -> String {
        let metadata = event.metadata();
        let mut time = String::new();
        // Without a clock a line without time is better than none.
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        let (level, target) = (metadata.level().as_str(), metadata.target());
        let mut line = String::with_capacity(256);
        if self.json {
            line.push_str("{\"time\":");
            write_json_string(&time, &mut line);
            line.push_str(",\"level\":");
            write_json_string(level, &mut line);
            line.push_str(",\"target\":");
            write_json_string(target, &mut line);
            fields.write_json(&mut line);
            line.push_str("}\n");
            return line;
        }
        let colour = match *metadata.level() {
            _ if !self.colour => None,
            Level::ERROR => Some("31"),
            Level::WARN => Some("33"),
            Level::INFO => Some("32"),
            _ => Some("2"),
        };
        match colour {
            Some(colour) => {
                line.push_str(&format!("{time} \x1b[{colour}m{level:>5}\x1b[0m {target}:"))
            }
            None => line.push_str(&format!("{time} {level:>5} {target}:")),
        }
        fields.write_text(&mut line);
        line.push('\n');
        line
    }
}

impl<S, W> Layer<S> for LogLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + Send + 'static,
{
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        // There is one for each connection, and most of them are silent.
        fields.shrink();
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.extend(of_span);
            }
        }
        event.record(&mut fields);
        let line = self.line(event, &fields);
        match *event.metadata().level() {
            Level::ERROR => {
                ::metrics::counter!(metrics::LOG_EVENTS, "level" => "error").increment(1)
            }
            Level::WARN => ::metrics::counter!(metrics::LOG_EVENTS, "level" => "warn").increment(1),
            _ => {}
        }
        // A log that cannot be written is no reason to stop the mail; a writer that panicked once may work again.
        let mut writer = self
            .writer
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = writer.write_all(line.as_bytes());
    }
}

/// Makes tests hear what they listen for. Whether a line is worth its trouble is decided once, when it is first met, by who listens then:
/// in tests beside each other that may be nobody, unless somebody listens everywhere.
#[cfg(test)]
pub(crate) fn never_deaf() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // Should somebody listen everywhere already, that does too.
        let _ = tracing::subscriber::set_global_default(Registry::default());
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::Lines;
    use super::*;

    /// What a client may send as its name to forge a line or a field.
    const FORGERY: &str =
        "x\" peer=9.9.9.9\n2026-01-01T00:00:00Z  INFO auth: peer=9.9.9.9 login\x1b[2K\u{2028}";

    fn log(layer: impl Layer<Registry> + Send + Sync) {
        never_deaf();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!(
                "connection",
                helo = tracing::field::Empty,
                peer = "192.0.2.1:5000",
                session = 7
            );
            let _inside = span.enter();
            span.record("helo", FORGERY);
            tracing::warn!(user = %FORGERY, raw = FORGERY, debug = ?FORGERY, octets = 3, "login failed");
        });
    }

    #[test]
    fn a_text_line_cannot_be_forged() {
        let buffer = Lines::default();
        log(LogLayer::text(buffer.clone()));
        let text = buffer.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.ends_with('\n'));
        assert!(
            !text
                .trim_end()
                .chars()
                .any(|c| c.is_control() || c == '\u{2028}'),
            "{text}"
        );
        let after_target = text.split_once("log::tests: ").expect("the module").1;
        assert!(
            after_target
                .starts_with("peer=192.0.2.1:5000 session=7 login failed helo=\"x\\\" peer="),
            "{text}"
        );
        // Outside of quotes the forged field does not stand.
        let mut quoted = false;
        let mut outside = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => drop(characters.next()),
                '"' => quoted = !quoted,
                other if !quoted => outside.push(other),
                _ => {}
            }
        }
        assert!(!outside.contains("9.9.9.9"), "{outside}");
        assert!(outside.contains("octets=3"));
    }

    #[test]
    fn a_json_line_cannot_be_forged() {
        let buffer = Lines::default();
        log(LogLayer::json(buffer.clone()));
        let text = buffer.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).expect("a JSON document");
        assert_eq!(value["peer"], "192.0.2.1:5000");
        assert_eq!(value["session"], 7);
        assert_eq!(value["level"], "WARN");
        assert_eq!(value["message"], "login failed");
        assert_eq!(value["user"], FORGERY);
        assert_eq!(value["helo"], FORGERY);
        let (peer, user) = (text.find("\"peer\""), text.find("\"helo\""));
        assert!(peer < user, "the peer comes before what it chose");
    }

    #[test]
    fn filters_are_checked() {
        assert!(check_filter("info,postrider::queue=debug").is_ok());
        assert!(check_filter("info,postrider=loud").is_err());
    }
}
