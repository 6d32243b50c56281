//! How far it is, on standard error: a bar on a terminal, a line now and then elsewhere, nothing beside JSON.

use std::{
    io::{IsTerminal, stderr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use postrider::moving::Watch;

use crate::{command::Output, report::printable};

/// How often a line is written where no bar is.
const EVERY: Duration = Duration::from_secs(10);

/// Shows it.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    lines: Option<Mutex<Lines>>,
}

#[derive(Debug)]
struct Lines {
    began: Instant,
    said: Instant,
    done: u64,
    total: u64,
}

impl Progress {
    /// Of this work.
    pub fn new(what: &'static str, output: Output) -> Self {
        let quiet = output == Output::Json;
        let terminal = stderr().is_terminal();
        let now = Instant::now();
        Self {
            what,
            bar: (terminal && !quiet).then(bar),
            lines: (!terminal && !quiet).then(|| {
                Mutex::new(Lines {
                    began: now,
                    said: now,
                    done: 0,
                    total: 0,
                })
            }),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn lines(&self, note: impl FnOnce(&mut Lines)) {
        let Some(lines) = &self.lines else {
            return;
        };
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        note(&mut lines);
        if lines.said.elapsed() >= EVERY {
            lines.said = Instant::now();
            eprintln!("{}: {}", self.what, lines.text());
        }
    }
}

impl Lines {
    fn text(&self) -> String {
        let Self { done, total, .. } = self;
        let rate = *done as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let mut text = format!("{done} of {total} messages, {rate:.0}/s");
        if rate > 0.0 {
            let left = total.saturating_sub(*done) as f64 / rate;
            text.push_str(&format!(", {left:.0} s left"));
        }
        text
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let template = "{bar:30} {pos}/{len} messages, {per_sec}, {eta} left  {wide_msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

impl Watch for Progress {
    fn total(&self, messages: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(messages);
        }
        self.lines(|lines| lines.total = messages);
    }

    fn mailbox(&self, name: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(printable(name));
        }
    }

    fn done(&self, messages: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(messages);
        }
        self.lines(|lines| lines.done += messages);
    }
}
