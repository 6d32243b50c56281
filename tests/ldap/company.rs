//! Domains, accounts and logins over a directory: what all tests here share.

use std::sync::Arc;
use std::time::Duration;

use postrider::auth::ldap::sync::{self, DomainPlan, Limit, Mode};
use postrider::auth::ldap::{LdapClient, LdapResolver, Rows};
use postrider::auth::{Attempt, Authenticator, HasherError, Parts, Passwords};
use postrider::config::{Config, Ldap};
use postrider::net::peer::{Peer, Remote};
use postrider_protocol::sasl::{Credentials, Verdict};
use postrider_protocol::secret::Secret;
use postrider_storage::index::{
    Account, AddAccounts, AddDomain, AuthType, Change, Index, MemoryIndex, NewAccount, Outcome,
    Timestamp,
};
use tokio::runtime::Handle;

use super::slapd::{SERVICE, Slapd};

/// The time of the tests.
const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
/// With LDAP, and without.
pub const WITH: &str = "with.test";
pub const WITHOUT: &str = "without.test";

/// Hashes that are the password.
struct Plain;

#[async_trait::async_trait]
impl Passwords for Plain {
    async fn verify(&self, hash: &str, password: &Secret<String>) -> Result<bool, HasherError> {
        Ok(hash == password.expose())
    }

    async fn verify_nobody(&self) -> Result<(), HasherError> {
        Ok(())
    }

    async fn hash(&self, password: &Secret<String>) -> Result<String, HasherError> {
        Ok(password.expose().clone())
    }

    fn is_weak(&self, _hash: &str) -> bool {
        false
    }
}

/// Settings for a directory, as an operator's.
pub fn settings(slapd: &Slapd) -> Ldap {
    Ldap {
        urls: vec![slapd.url()],
        ca_file: Some(slapd.ca()),
        bind_dn: SERVICE.0.to_owned(),
        bind_password: Secret::new(SERVICE.1.to_owned()),
        base_dn: "ou=people,dc=test".to_owned(),
        default_domain: None,
        user_filter: "(&(objectClass=inetOrgPerson)(|(mail={email})(uid={uid})))".to_owned(),
        disabled_filter: None,
        id_attribute: "entryUUID".to_owned(),
        mail_attribute: "mail".to_owned(),
        uid_attribute: "uid".to_owned(),
        alias_attributes: vec!["mailAlternate".to_owned()],
        name_attributes: vec!["displayName".to_owned(), "cn".to_owned()],
        department_attributes: vec!["departmentNumber".to_owned()],
        timeout: Duration::from_secs(10),
        connections: 4,
        create_accounts: true,
        grace: Duration::ZERO,
        sync_every: Duration::ZERO,
        sync_filter: "(&(objectClass=inetOrgPerson)(mail=*))".to_owned(),
        sync_page: 3,
        ignore_references: false,
    }
}

/// A server over a directory.
pub struct Company {
    pub index: Arc<dyn Index>,
    pub client: LdapClient,
    pub rows: Rows,
    pub auth: Authenticator,
}

impl Company {
    /// With a domain with LDAP and one without.
    pub async fn new(settings: &Ldap) -> Self {
        let index: Arc<dyn Index> = Arc::new(MemoryIndex::new());
        for (name, auth) in [(WITH, AuthType::Ldap), (WITHOUT, AuthType::Local)] {
            let domain = AddDomain {
                name: name.to_owned(),
                auth,
                ldap_base_dn: None,
                now: NOW,
            };
            change(&*index, Change::AddDomain(domain)).await;
        }
        Self::over(index, settings)
    }

    /// Another server over the same index.
    pub fn over(index: Arc<dyn Index>, settings: &Ldap) -> Self {
        let client = LdapClient::new(settings, Handle::current()).unwrap();
        let rows = Rows::new(index.clone());
        let mut auth = Config::embedded(std::path::Path::new("/nowhere")).auth;
        auth.throttle.failures_per_ip = 1_000_000;
        auth.throttle.failures_per_account = 1_000_000;
        let resolver = LdapResolver::new(client.clone(), rows.clone());
        let auth = Authenticator::new(Parts {
            accounts: Arc::new(index.clone()),
            passwords: Arc::new(Plain),
            settings: auth,
            exempt: Vec::new(),
            deadline: Duration::from_secs(60),
            resolvers: vec![Arc::new(resolver)],
        });
        Self {
            index,
            client,
            rows,
            auth,
        }
    }

    /// Adds an account; its hash is its password.
    pub async fn account(&self, email: &str, auth: AuthType, password: Option<&str>) {
        let account = NewAccount {
            email: email.to_owned(),
            password: password.map(str::to_owned),
            quota: None,
            auth,
        };
        let add = AddAccounts {
            accounts: vec![account],
            now: NOW,
        };
        change(&*self.index, Change::AddAccounts(add)).await;
    }

    pub async fn login(&self, user: &str, password: &str) -> Result<Account, Verdict> {
        let credentials = Credentials {
            mechanism: "PLAIN",
            user: user.to_owned(),
            authorize_as: String::new(),
            password: Secret::new(password.as_bytes().to_vec()),
        };
        let peer = Peer {
            remote: Remote::Unix,
            local: None,
            proxy: None,
            tls: None,
        };
        self.auth
            .authenticate(Attempt {
                credentials,
                peer,
                protocol: "imaps",
            })
            .await
    }

    /// The address of the account that a login opens.
    pub async fn opens(&self, user: &str, password: &str) -> Result<String, Verdict> {
        self.login(user, password).await.map(|it| it.email)
    }

    pub async fn find(&self, email: &str) -> Option<Account> {
        self.index.account(email).await.unwrap()
    }

    /// Synchronises; all must be well.
    pub async fn sync(&self) -> Vec<String> {
        let plans = self.plans(Mode::Apply, Limit::OneInFive).await;
        for plan in &plans {
            assert_eq!(
                (&plan.refused, &plan.problems),
                (&None, &Vec::new()),
                "{plan:?}"
            );
        }
        changes(&plans)
    }

    pub async fn plans(&self, mode: Mode, limit: Limit) -> Vec<DomainPlan> {
        sync::run(&self.client, &self.rows, None, mode, limit)
            .await
            .unwrap()
    }
}

/// What changed, or would.
pub fn changes(plans: &[DomainPlan]) -> Vec<String> {
    let steps = plans.iter().flat_map(|it| &it.steps);
    steps.map(ToString::to_string).collect()
}

/// Makes one change of an index.
pub async fn change(index: &dyn Index, change: Change) -> Outcome {
    index.apply(vec![change]).await.remove(0).unwrap()
}
