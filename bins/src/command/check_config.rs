//! `postrider check-config`: all that is wrong, with file and line.

use postrider::{
    config::{Config, Problem, Severity},
    net::tls::Certificates,
};
use serde_json::{Value, json};

use super::Output;
use crate::{Failure, Place, Report};

pub(super) fn run(place: &Place, output: Output) -> Result<Report, Failure> {
    let (name, loaded) = match place {
        Place::File(file) => (file.display().to_string(), Config::load(file)),
        Place::Embedded(folder) => ("embedded default".to_owned(), Ok(Config::embedded(folder))),
    };
    let (mut problems, config) = match loaded {
        Ok(config) => (config.warnings.clone(), Some(config)),
        Err(problems) => (problems, None),
    };
    if let Some(problem) = config.and_then(|config| certificate_problem(&config)) {
        problems.push(problem);
    }
    let good = problems.iter().all(|it| it.severity == Severity::Warning);
    let mut text: String = problems.iter().map(|it| format!("{it}\n")).collect();
    if good {
        text.push_str(&format!("{name}: ok\n"));
    }
    let json = json!({
        "file": name,
        "ok": good,
        "problems": problems.iter().map(document).collect::<Vec<_>>(),
    });
    if !good {
        // What is wrong goes to standard error; the document was asked for, and goes to standard output.
        if output == Output::Text {
            eprint!("{text}");
        }
        text.clear();
    }
    Ok(Report { text, json, good })
}

/// The certificate and its key belong together, and can be used: what only the TLS library can tell.
fn certificate_problem(config: &Config) -> Option<Problem> {
    let files = config.tls.certificate.clone()?;
    let error = Certificates::load(vec![files]).err()?;
    Some(Problem {
        file: config.file.clone()?,
        place: None,
        severity: Severity::Error,
        message: format!("tls.certificate: {error}"),
    })
}

fn document(problem: &Problem) -> Value {
    json!({
        "file": problem.file,
        "line": problem.place.map(|it| it.line),
        "column": problem.place.map(|it| it.column),
        "severity": match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": problem.message,
    })
}
