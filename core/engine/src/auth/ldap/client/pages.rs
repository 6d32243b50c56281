//! All entries below a base, page by page (RFC 2696), and what the server says lies elsewhere (RFC 4511 section 4.5.3).
//!
//! **Invariants.** All pages or an error. References to other servers are not followed, for nobody verified where they lead, and not forgotten:
//! whoever counts who is gone has to know that not everybody was seen.
//! **Bounds.** [`ENTRIES`] and [`REFERENCES`]; each page has its deadline.

use ldap3::controls::{Control, ControlType, PagedResults};
use ldap3::{Scope, SearchEntry, SearchResult};
use tokio::time::timeout;

use super::LdapClient;
use crate::auth::ldap::LdapError;
use crate::auth::ldap::entry::Entry;
use crate::auth::ldap::error::{Code, visible};
use crate::auth::ldap::server::plain;

/// Entries of a directory.
const ENTRIES: usize = 1_000_000;
/// References that are named; of more it is known that there are some.
const REFERENCES: usize = 8;
/// A page may take so many times as long as a search for one user.
const PAGE_PATIENCE: u32 = 10;
/// Parts of Active Directory that hold no people, to which it refers whoever searches its root.
const WITHOUT_PEOPLE: [&str; 4] = [
    "cn=configuration,",
    "cn=schema,cn=configuration,",
    "dc=domaindnszones,",
    "dc=forestdnszones,",
];

/// What was found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::auth::ldap) struct Pages {
    pub(in crate::auth::ldap) entries: Vec<Entry>,
    /// Where more of the same tree is, which was not read.
    pub(in crate::auth::ldap) elsewhere: Vec<String>,
}

impl Pages {
    fn refers_to(&mut self, urls: Vec<String>) {
        for url in urls.into_iter().filter(|it| may_hold_people(it)) {
            let url = visible(&url);
            if self.elsewhere.len() < REFERENCES && !self.elsewhere.contains(&url) {
                self.elsewhere.push(url);
            }
        }
    }
}

impl LdapClient {
    pub(super) async fn all_here(&self, base: &str, filter: &str) -> Result<Pages, LdapError> {
        let settings = &self.0.settings;
        let (mut ldap, server) = self.connect(Some(&self.0.service)).await?;
        let url = &self.0.servers[server].url;
        let mut pages = Pages::default();
        let mut cookie = Vec::new();
        loop {
            let page = PagedResults {
                size: i32::try_from(settings.sync_page).unwrap_or(i32::MAX),
                cookie,
            };
            let asked = ldap.with_controls(page);
            let search = asked.search(base, Scope::Subtree, filter, self.0.attributes.clone());
            let SearchResult(entries, result) =
                match timeout(settings.timeout * PAGE_PATIENCE, search).await {
                    Ok(Ok(result)) => result,
                    Ok(Err(ldap3::LdapError::FilterParsing)) => {
                        return Err(LdapError::Settings(format!("no LDAP filter: {filter}")));
                    }
                    Ok(Err(error)) => {
                        return Err(LdapError::Broken {
                            server: url.clone(),
                            why: plain(&error),
                        });
                    }
                    Err(_) => {
                        return Err(LdapError::Slow {
                            server: url.clone(),
                            what: "page",
                        });
                    }
                };
            let code = Code::of(&result);
            if code.number != Code::SUCCESS {
                return Err(LdapError::Partial(code.to_string()));
            }
            pages.refers_to(result.refs);
            let real = entries
                .into_iter()
                .filter(|it| !it.is_ref() && !it.is_intermediate());
            let real = real.map(|it| Entry::read(settings, SearchEntry::construct(it)));
            pages.entries.extend(real);
            if pages.entries.len() > ENTRIES {
                return Err(LdapError::Partial(format!("more than {ENTRIES} entries")));
            }
            cookie = next_page(&result.ctrls);
            if cookie.is_empty() {
                // It would be closed in any case; this way the server hears of it.
                let _ = timeout(settings.timeout, ldap.unbind()).await;
                return Ok(pages);
            }
        }
    }
}

/// Where the next page begins; empty after the last one, and where the server knows no pages.
fn next_page(controls: &[Control]) -> Vec<u8> {
    let paged = |it: &&Control| matches!(it.0, Some(ControlType::PagedResults));
    match controls.iter().find(paged) {
        Some(Control(_, raw)) if raw.val.is_some() => raw.parse::<PagedResults>().cookie,
        _ => Vec::new(),
    }
}

/// Whether a reference leads to a part of the tree in which there may be users.
fn may_hold_people(url: &str) -> bool {
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let name = path.split_once('/').map_or("", |(_, name)| name);
    let name = name.to_ascii_lowercase().replace("%2c", ",");
    let name = name.replace("%3d", "=").replace("%20", "");
    let name: String = name.split_whitespace().collect();
    !WITHOUT_PEOPLE.iter().any(|it| name.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_kept_but_for_parts_of_active_directory_without_people() {
        let mut pages = Pages::default();
        let own = [
            "ldap://ad.test/CN=Configuration,DC=ad,DC=test",
            "ldap://ad.test/CN=Schema,CN=Configuration,DC=ad,DC=test",
            "ldaps://DomainDnsZones.ad.test/DC=DomainDnsZones,DC=ad,DC=test",
            "ldap://ad.test/dc%3DForestDnsZones%2Cdc=ad,dc=test??sub",
        ];
        pages.refers_to(own.map(str::to_owned).to_vec());
        assert_eq!(pages.elsewhere, [""; 0]);
        let others = [
            "ldap://child.ad.test/DC=child,DC=ad,DC=test",
            "ldap://child.ad.test/DC=child,DC=ad,DC=test",
            "ldap://other.test",
            "strange\r\nline",
            "ldap://x/OU=CN=Configuration,DC=ad",
        ];
        pages.refers_to(others.map(str::to_owned).to_vec());
        assert_eq!(
            pages.elsewhere,
            [others[0], others[2], "strange  line", others[4]]
        );
        pages.refers_to((0..100).map(|n| format!("ldap://{n}.test")).collect());
        assert_eq!(pages.elsewhere.len(), REFERENCES);
    }
}
