//! `postrider undelete`: what was deleted, and back with it.

use postrider::admin::{BroughtBack, DeletedMessage, Undeleted, WhichDeleted};
use postrider::clock;
use postrider::config::Config;
use postrider_storage::index::Timestamp;
use serde_json::{Value, json};

use crate::{
    Failure, Place, Report,
    cli::{UndeleteArgs, When},
    open::{self, Missing},
    report::{Align, Table, count, json_time, printable, size, time},
};

/// Characters of an address or a subject in a table.
const WIDE: usize = 50;

pub(super) async fn run(place: &Place, arguments: &UndeleteArgs) -> Result<Report, Failure> {
    let config = place.config()?;
    let admin = open::admin(&config, Missing::Refuse).await?;
    let which = WhichDeleted {
        mailbox: arguments.mailbox.clone(),
        since: arguments.since.map(moment),
        uids: arguments.uid.clone().map(|it| it.0).unwrap_or_default(),
    };
    if arguments.list {
        let (account, deleted) = admin.deleted(&arguments.email, &which).await?;
        return Ok(list(&account.email, &deleted, &config));
    }
    let into = arguments.into.as_deref();
    let undeleted = admin.undelete(&arguments.email, &which, into).await?;
    Ok(brought_back(&undeleted))
}

fn moment(when: When) -> Timestamp {
    match when {
        When::At(at) => Timestamp(at.timestamp_micros()),
        When::Ago(ago) => {
            let micros = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
            Timestamp(clock::now().0.saturating_sub(micros))
        }
    }
}

fn list(email: &str, deleted: &[DeletedMessage], config: &Config) -> Report {
    let columns = [
        ("MAILBOX", Align::Left),
        ("UID", Align::Right),
        ("EXPUNGED", Align::Left),
        ("FROM", Align::Left),
        ("SUBJECT", Align::Left),
        ("SIZE", Align::Right),
    ];
    let mut table = Table::new(&columns);
    for message in deleted {
        table.row([
            match (&message.name, message.there) {
                (Some(name), true) => name.clone(),
                (Some(name), false) => format!("{name} (gone)"),
                (None, _) => "(gone)".to_owned(),
            },
            message.uid.0.to_string(),
            time(Some(message.expunged)),
            short(&message.from),
            short(&message.subject),
            size(message.size),
        ]);
    }
    let retention = config.retention.expunged.as_micros();
    let retention = i64::try_from(retention).unwrap_or(i64::MAX);
    let documents = deleted.iter().map(|message| {
        let until = Timestamp(message.expunged.0.saturating_add(retention));
        let mut document = document(message);
        document["kept_until"] = json_time(Some(until));
        document
    });
    let json = json!({ "email": email, "messages": documents.collect::<Vec<_>>() });
    Report::table(table, "nothing that can be brought back", json)
}

fn brought_back(undeleted: &Undeleted) -> Report {
    let email = &undeleted.account.email;
    let messages = count(undeleted.messages.len() as u64, "message", "messages");
    let mut text = String::new();
    for name in &undeleted.made {
        text.push_str(&format!("made mailbox {} again\n", printable(name)));
    }
    let mut mailboxes: Vec<&str> = Vec::new();
    for message in &undeleted.messages {
        if !mailboxes.contains(&message.mailbox.as_str()) {
            mailboxes.push(&message.mailbox);
        }
    }
    let places = mailboxes.iter().map(|it| printable(it));
    let places = places.collect::<Vec<_>>().join(", ");
    text.push_str(&match places.is_empty() {
        true => format!("brought back nothing of {email}\n"),
        false => format!("brought back {messages} of {email}: {places}\n"),
    });
    if undeleted.passed_over > 0 {
        let passed_over = count(undeleted.passed_over as u64, "message was", "messages were");
        text.push_str(&format!(
            "{passed_over} brought back by somebody else, or given up, meanwhile\n"
        ));
    }
    if let Some(error) = &undeleted.refused {
        text.push_str(&format!("the others did not come back: {error}\n"));
    }
    let documents = undeleted.messages.iter().map(|it: &BroughtBack| {
        let mut document = document(&it.was);
        document["now"] = json!({ "mailbox": it.mailbox, "uid": it.uid.0 });
        document
    });
    Report {
        text,
        json: json!({
            "email": email,
            "brought_back": undeleted.messages.len(),
            "passed_over": undeleted.passed_over,
            "made": undeleted.made,
            "error": undeleted.refused.as_ref().map(ToString::to_string),
            "messages": documents.collect::<Vec<_>>(),
        }),
        good: undeleted.refused.is_none(),
    }
}

fn document(message: &DeletedMessage) -> Value {
    json!({
        "mailbox": message.name,
        "mailbox_exists": message.there,
        "uid": message.uid.0,
        "expunged": json_time(Some(message.expunged)),
        "date": json_time(Some(message.internal_date)),
        "from": message.from,
        "subject": message.subject,
        "size": message.size,
    })
}

/// As much of a text as a column has room for.
fn short(text: &str) -> String {
    match text.char_indices().nth(WIDE) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
