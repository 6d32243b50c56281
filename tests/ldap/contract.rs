//! The LDAP resolver passes the contract of all resolvers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider::auth::Resolver;
use postrider::auth::contract::{self, Fixture, USERS};
use postrider::auth::ldap::{LdapClient, LdapResolver, Rows};
use postrider_storage::index::{AddDomain, AuthType, Change, Index, MemoryIndex, Timestamp};
use tokio::runtime::Handle;

use super::company::{change, settings};
use super::slapd::{Slapd, person};

struct Directory {
    resolver: LdapResolver,
    slapd: Mutex<Slapd>,
}

#[async_trait::async_trait]
impl Fixture for Directory {
    fn resolver(&self) -> &dyn Resolver {
        &self.resolver
    }

    async fn set_reachable(&self, reachable: bool) -> Option<()> {
        {
            let mut slapd = self.slapd.lock().unwrap();
            match reachable {
                true => slapd.restart(),
                false => slapd.kill(),
            }
        }
        if reachable {
            // A server that failed is left alone for a moment, which grows while it fails.
            tokio::time::sleep(Duration::from_secs(9)).await;
        }
        Some(())
    }
}

impl Directory {
    async fn new() -> Self {
        let people = USERS.map(|(user, password)| {
            let person = person(user, password);
            // What is ASCII has the other attribute too.
            match user.is_ascii() {
                true => person.with("mailAddress", user),
                false => person,
            }
        });
        let slapd = Slapd::start(&people);
        let mut settings = settings(&slapd);
        settings.mail_attribute = "mailAddress".to_owned();
        settings.user_filter = "(mailAddress={email})".to_owned();
        let index: Arc<dyn Index> = Arc::new(MemoryIndex::new());
        let domain = AddDomain {
            name: "example.test".to_owned(),
            auth: AuthType::Ldap,
            ldap_base_dn: None,
            now: Timestamp(1),
        };
        change(&*index, Change::AddDomain(domain)).await;
        let client = LdapClient::new(&settings, Handle::current()).unwrap();
        Self {
            resolver: LdapResolver::new(client, Rows::new(index)),
            slapd: Mutex::new(slapd),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ldap_passes() {
    contract::all(Directory::new).await;
}
