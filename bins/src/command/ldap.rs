//! `postrider ldap …`

use postrider::auth::ldap::sync::{self, DomainPlan, Limit, Mode, Says, Step};
use postrider::auth::ldap::{LdapClient, Rows, probe};
use postrider::config::Config;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::{
    Failure, Place, Report,
    cli::LdapCommand,
    open::{self, Missing},
    report::{count, printable},
};

pub(super) async fn run(place: &Place, command: LdapCommand) -> Result<Report, Failure> {
    let config = place.config()?;
    match command {
        LdapCommand::Sync {
            domain,
            dry_run,
            force,
        } => {
            let mode = match dry_run {
                true => Mode::DryRun,
                false => Mode::Apply,
            };
            let limit = match force {
                true => Limit::None,
                false => Limit::OneInFive,
            };
            synchronise(&config, domain.as_deref(), mode, limit).await
        }
        LdapCommand::Test { email } => test(&config, &email).await,
        LdapCommand::Unbind { email } => {
            let admin = open::admin(&config, Missing::Refuse).await?;
            let account = admin.unbind_user(&email).await?;
            let line = format!("unbound {} from its entry", account.email);
            Ok(Report::line(line, json!({ "unbound": account.email })))
        }
    }
}

async fn parts(config: &Config) -> Result<(LdapClient, Rows), Failure> {
    let Some(settings) = &config.auth.ldap else {
        return Err(Failure::new("no directory is configured").hint("add a section [auth.ldap]"));
    };
    let client = LdapClient::new(settings, Handle::current());
    let client = client.map_err(|error| Failure::new(error.to_string()))?;
    let index = open::index(config, Missing::Refuse).await?;
    Ok((client, Rows::new(index)))
}

async fn synchronise(
    config: &Config,
    domain: Option<&str>,
    mode: Mode,
    limit: Limit,
) -> Result<Report, Failure> {
    let (client, rows) = parts(config).await?;
    let domain = domain.map(str::to_ascii_lowercase);
    let done = sync::run(&client, &rows, domain.as_deref(), mode, limit).await;
    let plans = done.map_err(|error| Failure::new(error.to_string()))?;
    let good = |it: &DomainPlan| it.refused.is_none() && it.problems.is_empty();
    let mut text: String = plans.iter().map(|it| self::text(it, mode)).collect();
    if plans.is_empty() {
        text.push_str(
            "no domains with LDAP; add one with: postrider domain add NAME --auth ldap\n",
        );
    }
    Ok(Report {
        text,
        json: json!({
            "dry_run": mode == Mode::DryRun,
            "domains": plans.iter().map(document).collect::<Vec<_>>(),
        }),
        good: plans.iter().all(good),
    })
}

fn text(plan: &DomainPlan, mode: Mode) -> String {
    let entries = count(plan.entries as u64, "entry", "entries");
    let changes = count(plan.steps.len() as u64, "change", "changes");
    let verb = match mode {
        Mode::DryRun => "would be made",
        Mode::Apply => "made",
    };
    let mut text = match &plan.refused {
        Some(why) => format!("{}: left as it is: {}\n", plan.domain, printable(why)),
        None => format!("{}: {entries}, {changes} {verb}\n", plan.domain),
    };
    for step in &plan.steps {
        text.push_str(&format!("  {}\n", printable(&step.to_string())));
    }
    for problem in &plan.problems {
        text.push_str(&format!("  ! {}\n", printable(problem)));
    }
    text
}

fn document(plan: &DomainPlan) -> Value {
    json!({
        "domain": plan.domain,
        "entries": plan.entries,
        "changes": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "problems": plan.problems,
        "refused": plan.refused,
    })
}

fn step(step: &Step) -> Value {
    let mut document = json!({ "change": step.kind() });
    let says = |document: &mut Value, says: &Says| {
        document["name"] = json!(says.name);
        document["department"] = json!(says.department);
        document["aliases"] = json!(says.aliases);
    };
    match step {
        Step::Create { email, says: it }
        | Step::Bind {
            email, says: it, ..
        }
        | Step::Update {
            email, says: it, ..
        } => {
            document["email"] = json!(email);
            says(&mut document, it);
        }
        Step::Rename { from, to, .. } => {
            document["email"] = json!(to);
            document["from"] = json!(from);
        }
        Step::Disable { email, why, .. } => {
            document["email"] = json!(email);
            document["why"] = json!(why);
        }
        Step::Enable { email, .. } => document["email"] = json!(email),
    }
    document
}

async fn test(config: &Config, user: &str) -> Result<Report, Failure> {
    let (client, rows) = parts(config).await?;
    let probe = probe(&client, &rows, user).await;
    let mut text = String::new();
    for step in &probe.steps {
        let mark = if step.good { "ok" } else { "FAILED" };
        let line = format!("{:<14}{mark:<8}{}\n", step.name, printable(&step.found));
        text.push_str(&line);
    }
    let steps = probe.steps.iter().map(|it| {
        json!({
            "step": it.name,
            "good": it.good,
            "found": it.found,
        })
    });
    Ok(Report {
        text,
        json: json!({ "user": user, "good": probe.is_good(), "steps": steps.collect::<Vec<_>>() }),
        good: probe.is_good(),
    })
}
