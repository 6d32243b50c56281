//! `postrider user …`, but for `user import`.

use postrider::admin::{Admin, AdminError};
use postrider::auth::password::check_hash;
use postrider::config::{Config, Keep};
use postrider_storage::index::{Account, AuthType, Mailbox, Retention, SpecialUse};
use serde_json::{Value, json};

use super::{Output, domain::auth, user_import};
use crate::{
    Failure, Place, Report,
    cli::UserCommand,
    open::{self, Missing},
    password,
    report::{Align, Table, json_time, printable, quota, size, time},
};

pub(super) async fn run(
    place: &Place,
    command: UserCommand,
    output: Output,
) -> Result<Report, Failure> {
    let config = place.config()?;
    let admin = open::admin(&config, Missing::Refuse).await?;
    match command {
        UserCommand::Add {
            email,
            quota: limit,
        } => {
            // Before somebody types a password for nothing.
            let email = admin.check_new_user(&email).await?;
            let hash = new_hash(&email).await?;
            let account = admin.add_user(&email, hash, limit.0).await?;
            let line = format!("added user {email} with a quota of {}", quota(limit.0));
            Ok(Report::line(line, document(&account)))
        }
        UserCommand::List { domain } => list(&admin, domain.as_deref()).await,
        UserCommand::Show { email } => show(&admin, &email, &config).await,
        UserCommand::Disable { email } => {
            let account = admin.set_user_active(&email, false).await?;
            Ok(Report::line(
                format!("disabled user {}", account.email),
                document(&account),
            ))
        }
        UserCommand::Enable { email } => {
            let account = admin.set_user_active(&email, true).await?;
            let mut line = format!("enabled user {}", account.email);
            if !account.domain_active {
                line.push_str(" (but its domain is disabled)");
            }
            Ok(Report::line(line, document(&account)))
        }
        UserCommand::Remove { email } => {
            let account = admin.remove_user(&email).await?;
            let line = format!(
                "removed user {} and {} of mail",
                account.email,
                size(account.used)
            );
            Ok(Report::line(line, json!({ "removed": account.email })))
        }
        UserCommand::Passwd { email } => {
            // Before somebody types a password for nothing.
            let account = admin.find_user(&email).await?;
            if account.auth == AuthType::Ldap {
                return Err(AdminError::PasswordOfLdap(account.email).into());
            }
            let email = account.email;
            let hash = new_hash(&email).await?;
            let account = admin.set_password(&email, hash).await?;
            Ok(Report::line(
                format!("changed the password of {email}"),
                document(&account),
            ))
        }
        UserCommand::Quota { email, size: limit } => {
            let account = admin.set_quota(&email, limit.0).await?;
            let mut line = format!("quota of {} is now {}", account.email, quota(limit.0));
            if limit.0.is_some_and(|limit| account.used > limit) {
                line.push_str(&format!(
                    "; {} are used already, so no further mail comes in",
                    size(account.used)
                ));
            }
            Ok(Report::line(line, document(&account)))
        }
        UserCommand::Retention { email, time: own } => {
            let retention = own.0.map(|keep| keep.0);
            let account = admin.set_retention(&email, retention).await?;
            let line = format!(
                "mail of {} that POP3 retrieved now stays {}",
                account.email,
                kept(account.pop3_retention, &config)
            );
            Ok(Report::line(line, document(&account)))
        }
        UserCommand::Import { file } => user_import::run(&admin, &file, output).await,
    }
}

/// Asks for a password and hashes it, both of which block.
async fn new_hash(email: &str) -> Result<String, Failure> {
    let email = email.to_owned();
    let read = tokio::task::spawn_blocking(move || password::read_hash(&email)).await;
    read.unwrap_or_else(|error| Err(Failure::new(format!("cannot read a password: {error}"))))
}

async fn list(admin: &Admin, domain: Option<&str>) -> Result<Report, Failure> {
    let accounts = admin.users(domain).await?;
    let columns = [
        ("USER", Align::Left),
        ("USED", Align::Right),
        ("QUOTA", Align::Right),
        ("STATE", Align::Left),
        ("LAST LOGIN", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for account in &accounts {
        table.row([
            account.email.clone(),
            size(account.used),
            quota(account.quota),
            [
                Some(state(account)),
                unreachable(account).map(|_| "address unusable"),
                unusable(account).map(|_| "password unusable"),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", "),
            time(account.last_login),
        ]);
    }
    let empty = "no users; add one with: postrider user add EMAIL";
    Ok(Report::table(
        table,
        empty,
        accounts.iter().map(document).collect(),
    ))
}

async fn show(admin: &Admin, email: &str, config: &Config) -> Result<Report, Failure> {
    let report = admin.user(email).await?;
    let account = &report.account;
    let mut text = format!("user        {} ({})\n", account.email, state(account));
    text.push_str(&format!("auth        {}\n", auth(account.auth)));
    if let Some(why) = unusable(account) {
        let line = "password    nobody can log in with it";
        text.push_str(&format!(
            "{line}: {why}; set a new one: postrider user passwd\n"
        ));
    }
    text.push_str(&format!(
        "used        {} of {}\n",
        size(account.used),
        quota(account.quota)
    ));
    text.push_str(&format!(
        "after POP3  {}\n",
        kept(account.pop3_retention, config)
    ));
    text.push_str(&format!("last login  {}\n", time(account.last_login)));
    text.push_str(&format!("added       {}\n", time(Some(account.created))));
    if let Some(entry) = &report.entry {
        let shown = |text: &Option<String>| printable(text.as_deref().unwrap_or("none"));
        text.push_str(&format!("name        {}\n", shown(&entry.display_name)));
        text.push_str(&format!("department  {}\n", shown(&entry.department)));
        text.push_str(&format!("directory   {}\n", printable(&entry.stable_id)));
    }
    if !report.aliases.is_empty() {
        text.push_str(&format!("aliases     {}\n", report.aliases.join(", ")));
    }
    text.push('\n');
    let columns = [
        ("MAILBOX", Align::Left),
        ("MESSAGES", Align::Right),
        ("UNSEEN", Align::Right),
        ("SIZE", Align::Right),
    ];
    let mut table = Table::new(&columns);
    for mailbox in &report.mailboxes {
        table.row([
            mailbox.name.clone(),
            mailbox.messages.to_string(),
            mailbox.unseen.to_string(),
            size(mailbox.size),
        ]);
    }
    text.push_str(&table.text_or("no mailboxes"));
    let mut json = document(account);
    json["mailboxes"] = report.mailboxes.iter().map(mailbox_document).collect();
    json["aliases"] = json!(report.aliases);
    json["directory"] = json!(report.entry.as_ref().map(|it| json!({
        "id": it.stable_id,
        "name": it.display_name,
        "department": it.department,
        "aliases": it.aliases,
        "seen": json_time(Some(it.seen)),
        "disabled": json_time(it.disabled),
    })));
    Ok(Report {
        text,
        json,
        good: true,
    })
}

fn document(account: &Account) -> Value {
    json!({
        "email": account.email,
        "auth": auth(account.auth),
        "quota": account.quota,
        "used": account.used,
        "active": account.active,
        "address_problem": unreachable(account),
        "password_problem": unusable(account),
        "domain_active": account.domain_active,
        "pop3_retention": account.pop3_retention.map(|it| Keep(it).to_string()),
        "last_login": json_time(account.last_login),
        "created": json_time(Some(account.created)),
    })
}

fn mailbox_document(mailbox: &Mailbox) -> Value {
    let special_use = mailbox.special_use.map(|it| match it {
        SpecialUse::Archive => "archive",
        SpecialUse::Drafts => "drafts",
        SpecialUse::Junk => "junk",
        SpecialUse::Sent => "sent",
        SpecialUse::Trash => "trash",
    });
    json!({
        "name": mailbox.name,
        "special_use": special_use,
        "uid_validity": mailbox.uid_validity.0,
        "uid_next": mailbox.uid_next.0,
        "messages": mailbox.messages,
        "unseen": mailbox.unseen,
        "size": mailbox.size,
    })
}

/// How long mail stays that POP3 retrieved.
fn kept(own: Option<Retention>, config: &Config) -> String {
    let phrase = |keep: Keep| match keep.0 {
        Retention::Never => "until it is deleted".to_owned(),
        Retention::Days(1) => "1 day".to_owned(),
        Retention::Days(days) => format!("{days} days"),
    };
    match own {
        Some(own) => phrase(Keep(own)),
        None => format!("{} (as configured)", phrase(config.retention.retrieved)),
    }
}

/// Why nobody can log in with what is kept of the password, where something is kept that cannot be verified.
fn unusable(account: &Account) -> Option<String> {
    let hash = account.password.as_deref()?;
    let kept = account.auth == AuthType::Local;
    kept.then(|| check_hash(hash).err())
        .flatten()
        .map(|why| why.to_string())
}

/// Why neither mail nor a login finds an account, which another program made: both look for addresses in lower case.
fn unreachable(account: &Account) -> Option<String> {
    let folded = account.email.to_lowercase();
    let why = match folded.split_once('@') {
        _ if folded != account.email => "it is not in lower case",
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() => return None,
        _ => "it is no address",
    };
    Some(why.to_owned())
}

fn state(account: &Account) -> &'static str {
    match (account.active, account.domain_active) {
        (true, true) => "active",
        (false, _) => "disabled",
        (true, false) => "domain disabled",
    }
}

#[cfg(test)]
mod tests {
    use postrider_storage::index::{AccountId, DomainId, Timestamp};

    use super::*;

    #[test]
    fn an_address_that_nobody_finds_is_named() {
        let account = |email: &str| Account {
            id: AccountId(1),
            email: email.to_owned(),
            domain: DomainId(1),
            password: None,
            quota: None,
            used: 0,
            auth: AuthType::Local,
            active: true,
            domain_active: true,
            version: 1,
            last_login: None,
            created: Timestamp(0),
            addressed: Timestamp(0),
            pop3_retention: None,
        };
        for (email, why) in [
            ("ada@example.test", None),
            ("\u{d55c}@example.test", None),
            ("Ada@example.test", Some("it is not in lower case")),
            ("ada@Example.test", Some("it is not in lower case")),
            ("ada", Some("it is no address")),
            ("@example.test", Some("it is no address")),
        ] {
            assert_eq!(unreachable(&account(email)).as_deref(), why, "{email}");
        }
    }
}
