//! What a run found, as a table or as one JSON document.

use std::fmt::Write;

use crate::fault::Faults;
use crate::statistics::{Latencies, Summary};

/// How a report is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// The figures of one run.
pub struct Report {
    load: &'static str,
    target: String,
    figures: Vec<(String, f64, &'static str)>,
    latencies: Vec<(String, Summary)>,
    faults: Faults,
}

impl Report {
    /// An empty one.
    pub fn new(load: &'static str, target: &str) -> Self {
        Self {
            load,
            target: target.to_owned(),
            figures: Vec::new(),
            latencies: Vec::new(),
            faults: Faults::default(),
        }
    }

    /// Adds a figure. Names are in `snake_case`, they are the keys of the JSON document.
    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push((name.into(), value, unit));
    }

    /// Adds a line of percentiles, if there are any.
    pub fn latency(&mut self, name: impl Into<String>, latencies: &Latencies) {
        if let Some(summary) = latencies.summary() {
            self.latencies.push((name.into(), summary));
        }
    }

    /// Adds what failed.
    pub fn faults(&mut self, faults: Faults) {
        self.faults.merge(faults);
    }

    /// Whether nothing failed.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// The whole report.
    pub fn render(&self, format: Format) -> String {
        let mut out = String::new();
        let written = match format {
            Format::Table => self.table(&mut out),
            Format::Json => self.json(&mut out),
        };
        written.expect("writing to a String does not fail");
        out
    }

    fn table(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "{} {}", self.load, self.target)?;
        for (name, value, unit) in &self.figures {
            writeln!(out, "  {name:<36} {:>14} {unit}", plain(*value))?;
        }
        if !self.latencies.is_empty() {
            let titles = ["count", "p50 ms", "p90 ms", "p95 ms", "p99 ms", "max ms"];
            write!(out, "  {:<24}", "latency")?;
            for title in titles {
                write!(out, " {title:>10}")?;
            }
            writeln!(out)?;
        }
        for (name, summary) in &self.latencies {
            write!(out, "  {name:<24} {:>10}", summary.count)?;
            for value in [
                summary.p50,
                summary.p90,
                summary.p95,
                summary.p99,
                summary.max,
            ] {
                write!(out, " {value:>10.3}")?;
            }
            writeln!(out)?;
        }
        for (text, count) in self.faults.iter() {
            writeln!(out, "  FAILED {count} times: {text}")?;
        }
        Ok(())
    }

    fn json(&self, out: &mut String) -> std::fmt::Result {
        write!(
            out,
            "{{\"load\":{},\"target\":{},\"figures\":{{",
            quoted(self.load),
            quoted(&self.target)
        )?;
        for (n, (name, value, _)) in self.figures.iter().enumerate() {
            write!(out, "{}{}:{}", comma(n), quoted(name), plain(*value))?;
        }
        out.push_str("},\"latency_ms\":{");
        for (n, (name, s)) in self.latencies.iter().enumerate() {
            write!(
                out,
                "{}{}:{{\"count\":{},\"p50\":{},\"p90\":{},\"p95\":{},\"p99\":{},\"max\":{}}}",
                comma(n),
                quoted(name),
                s.count,
                s.p50,
                s.p90,
                s.p95,
                s.p99,
                s.max
            )?;
        }
        out.push_str("},\"failed\":{");
        for (n, (text, count)) in self.faults.iter().enumerate() {
            write!(out, "{}{}:{count}", comma(n), quoted(text))?;
        }
        out.push_str("}}\n");
        Ok(())
    }
}

fn comma(n: usize) -> &'static str {
    if n == 0 { "" } else { "," }
}

/// A number that JSON takes too, with as many digits as are worth reading.
fn plain(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    if value.fract() == 0.0 || value.abs() >= 10_000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

/// A JSON string (RFC 8259 section 7).
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fault::Fault;

    fn report() -> Report {
        let mut report = Report::new("smtp", "127.0.0.1:25");
        report.figure("messages", 12.0, "");
        report.figure("messages_per_second", 34.5678, "/s");
        report.figure("nothing", f64::NAN, "");
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_micros(1500));
        report.latency("message", &latencies);
        report
    }

    #[test]
    fn json_is_one_document_with_quoted_texts() {
        let mut report = report();
        let mut faults = Faults::default();
        faults.add(&Fault::Usage("say \"what\"\\\u{1}".to_owned()));
        report.faults(faults);
        assert_eq!(
            report.render(Format::Json),
            "{\"load\":\"smtp\",\"target\":\"127.0.0.1:25\",\"figures\":{\"messages\":12,\"messages_per_second\":34.568,\"nothing\":0},\
             \"latency_ms\":{\"message\":{\"count\":1,\"p50\":1.5,\"p90\":1.5,\"p95\":1.5,\"p99\":1.5,\"max\":1.5}},\
             \"failed\":{\"say \\\"what\\\"\\\\\\u0001\":1}}\n"
        );
        assert!(!report.is_clean());
    }

    #[test]
    fn the_table_names_figures_latencies_and_failures() {
        let mut report = report();
        assert!(report.is_clean());
        let mut faults = Faults::default();
        faults.add(&Fault::Closed);
        faults.add(&Fault::Closed);
        report.faults(faults);
        let table = report.render(Format::Table);
        for part in [
            "messages_per_second",
            "34.568 /s",
            "p99 ms",
            "FAILED 2 times: connection closed",
        ] {
            assert!(table.contains(part), "{part} is missing in\n{table}");
        }
    }
}
