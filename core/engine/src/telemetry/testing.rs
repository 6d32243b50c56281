//! What a test reads of the log.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

use super::log::{LogLayer, never_deaf};

/// Lines as they are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.octets().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// What was written since the last call.
    pub fn text(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.octets())).expect("text")
    }

    /// The lines since the last call, without their times.
    pub fn lines(&self) -> Vec<String> {
        let text = self.text();
        let line = |line: &str| {
            line.split_once(' ')
                .expect("a time")
                .1
                .trim_start()
                .to_owned()
        };
        text.lines().map(line).collect()
    }

    fn octets(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What this thread logs from now on and passes the filter, until the guard is dropped.
pub(crate) fn listen(filter: &str) -> (Lines, DefaultGuard) {
    never_deaf();
    let lines = Lines::default();
    let log = tracing_subscriber::registry()
        .with(EnvFilter::new(filter))
        .with(LogLayer::text(lines.clone()));
    (lines, tracing::subscriber::set_default(log))
}
