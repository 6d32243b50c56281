//! `postrider alias …`

use postrider_storage::index::Alias;
use serde_json::{Value, json};

use crate::{
    Failure, Place, Report,
    cli::AliasCommand,
    open::{self, Missing},
    report::{Align, Table},
};

pub(super) async fn run(place: &Place, command: AliasCommand) -> Result<Report, Failure> {
    let config = place.config()?;
    let admin = open::admin(&config, Missing::Refuse).await?;
    match command {
        AliasCommand::Add {
            source,
            destination,
        } => {
            let alias = admin.add_alias(&source, &destination).await?;
            let line = format!("added alias {} to {}", alias.source, alias.destination);
            Ok(Report::line(line, document(&alias)))
        }
        AliasCommand::List { domain } => {
            let aliases = admin.aliases(domain.as_deref()).await?;
            let columns = [
                ("SOURCE", Align::Left),
                ("DESTINATION", Align::Left),
                ("STATE", Align::Left),
            ];
            let mut table = Table::new(&columns);
            for alias in &aliases {
                let state = match alias.active {
                    true => "active",
                    false => "disabled",
                };
                table.row([
                    alias.source.clone(),
                    alias.destination.clone(),
                    state.to_owned(),
                ]);
            }
            let empty = "no aliases; add one with: postrider alias add SOURCE DESTINATION";
            Ok(Report::table(
                table,
                empty,
                aliases.iter().map(document).collect(),
            ))
        }
        AliasCommand::Remove {
            source,
            destination,
        } => {
            let removed = admin.remove_alias(&source, destination.as_deref()).await?;
            let text = removed
                .iter()
                .map(|it| format!("removed alias {} to {}\n", it.source, it.destination));
            Ok(Report {
                text: text.collect(),
                json: json!({ "removed": removed.iter().map(document).collect::<Vec<_>>() }),
                good: true,
            })
        }
    }
}

fn document(alias: &Alias) -> Value {
    json!({
        "source": alias.source,
        "destination": alias.destination,
        "active": alias.active,
    })
}
