//! `postrider domain …`

use postrider_storage::index::{AuthType, Domain, UsersOfDomain};
use serde_json::{Value, json};

use crate::{
    Failure, Place, Report,
    cli::DomainCommand,
    open::{self, Missing},
    report::{Align, Table, count, json_time, printable, size, time},
};

pub(super) async fn run(place: &Place, command: DomainCommand) -> Result<Report, Failure> {
    let config = place.config()?;
    // The first domain is how a new server begins.
    let missing = match command {
        DomainCommand::Add { .. } => Missing::Make,
        _ => Missing::Refuse,
    };
    let admin = open::admin(&config, missing).await?;
    match command {
        DomainCommand::Add {
            name,
            auth,
            ldap_base_dn,
        } => {
            let domain = admin.add_domain(&name, auth.into(), ldap_base_dn).await?;
            let mut line = format!("added domain {}", domain.name);
            if domain.auth == AuthType::Ldap && config.auth.ldap.is_none() {
                line.push_str(" (its users cannot log in by LDAP until auth.ldap is configured)");
            }
            Ok(Report::line(line, document(&domain)))
        }
        DomainCommand::List => {
            let domains = admin.domains().await?;
            let columns = [
                ("DOMAIN", Align::Left),
                ("AUTH", Align::Left),
                ("STATE", Align::Left),
                ("ADDED", Align::Left),
            ];
            let mut table = Table::new(&columns);
            for domain in &domains {
                table.row([
                    domain.name.clone(),
                    auth(domain.auth).to_owned(),
                    state(domain).to_owned(),
                    time(Some(domain.created)),
                ]);
            }
            let empty = "no domains; add one with: postrider domain add NAME";
            Ok(Report::table(
                table,
                empty,
                domains.iter().map(document).collect(),
            ))
        }
        DomainCommand::Show { name } => {
            let report = admin.domain(&name).await?;
            let domain = &report.domain;
            let mut json = document(domain);
            json["users"] = json!(report.users);
            json["used"] = json!(report.used);
            json["aliases"] = json!(report.aliases);
            let mut text = format!("domain   {} ({})\n", domain.name, state(domain));
            text.push_str(&format!("auth     {}\n", auth(domain.auth)));
            if let Some(dn) = &domain.ldap_base_dn {
                text.push_str(&format!("base DN  {}\n", printable(dn)));
            }
            let users = count(report.users as u64, "user", "users");
            text.push_str(&format!(
                "holds    {users} with {} of mail\n",
                size(report.used)
            ));
            let aliases = count(report.aliases as u64, "alias", "aliases");
            text.push_str(&format!("         {aliases}\n"));
            text.push_str(&format!("added    {}\n", time(Some(domain.created))));
            Ok(Report {
                text,
                json,
                good: true,
            })
        }
        DomainCommand::Auth {
            name,
            auth: to,
            ldap_base_dn,
            keep_users,
        } => {
            let users = match keep_users {
                true => UsersOfDomain::Stay,
                false => UsersOfDomain::Follow,
            };
            let changed = admin.set_domain_auth(&name, to.into(), ldap_base_dn, users);
            let (report, without) = changed.await?;
            let domain = &report.domain;
            let mut text = format!(
                "domain {} authenticates by {}\n",
                domain.name,
                auth(domain.auth)
            );
            text.push_str(&follows(domain, users, report.users, without));
            if domain.auth == AuthType::Ldap && config.auth.ldap.is_none() {
                text.push_str("its users cannot log in by LDAP until auth.ldap is configured\n");
            }
            let mut json = document(domain);
            json["users"] = json!(report.users);
            json["without_password"] = json!(without);
            Ok(Report {
                text,
                json,
                good: true,
            })
        }
        DomainCommand::Disable { name } => {
            let domain = admin.set_domain_active(&name, false).await?;
            Ok(Report::line(
                format!("disabled domain {}", domain.name),
                document(&domain),
            ))
        }
        DomainCommand::Enable { name } => {
            let domain = admin.set_domain_active(&name, true).await?;
            Ok(Report::line(
                format!("enabled domain {}", domain.name),
                document(&domain),
            ))
        }
        DomainCommand::Remove { name } => {
            let name = admin.remove_domain(&name).await?;
            let json = json!({ "removed": name });
            Ok(Report::line(format!("removed domain {name}"), json))
        }
    }
}

/// What becomes of the users of a domain that changed, in a line; none if it has none.
fn follows(domain: &Domain, users: UsersOfDomain, all: usize, without: usize) -> String {
    let count = |number: usize| count(number as u64, "user", "users");
    match (domain.auth, users) {
        (AuthType::Ldap, UsersOfDomain::Follow) if all > 0 => format!(
            "{}: bound by address at the next synchronisation or login; who is not in the directory cannot log in\n",
            count(all)
        ),
        (AuthType::Ldap, UsersOfDomain::Stay) if all > 0 => {
            format!("{}: passwords kept here go on opening them\n", count(all))
        }
        (AuthType::Local, _) if without > 0 => format!(
            "{} without a password here cannot log in before: postrider user passwd EMAIL\n",
            count(without)
        ),
        _ => String::new(),
    }
}

fn document(domain: &Domain) -> Value {
    json!({
        "name": domain.name,
        "auth": auth(domain.auth),
        "ldap_base_dn": domain.ldap_base_dn,
        "active": domain.active,
        "created": json_time(Some(domain.created)),
    })
}

/// As `--auth` says it.
pub(super) fn auth(auth: AuthType) -> &'static str {
    match auth {
        AuthType::Ldap => "ldap",
        AuthType::Local => "local",
    }
}

fn state(domain: &Domain) -> &'static str {
    match domain.active {
        true => "active",
        false => "disabled",
    }
}
