//! `postrider migrate`: brings the database up to date.

use serde_json::json;

use crate::{Failure, Place, Report, open, report::count};

pub(super) async fn run(place: &Place) -> Result<Report, Failure> {
    let config = place.config()?;
    let (path, applied) = open::migrate(&config).await?;
    let shown = &path;
    let line = match applied.len() {
        0 => format!("{shown}: up to date"),
        steps => {
            let steps = count(steps as u64, "step", "steps");
            format!(
                "{shown}: brought up to date by {steps}: {}",
                applied.join(", ")
            )
        }
    };
    Ok(Report::line(
        line,
        json!({ "database": path, "applied": applied }),
    ))
}
