//! The resolver: search as the service account, then bind as the one entry that was found.
//!
//! **Invariants.** See [`super`]. Domains without LDAP cost one read of the index, and wait for nobody here.
//! **Bounds.** The deadline of the request; places of its own ([`Resolver::places`] is open), which are the client's connections.

use std::sync::Arc;

use postrider_storage::index::{AuthType, Domain};

use super::account::{self, Whose};
use super::bind::{BindDn, BindPassword, Bound};
use super::client::{Found, LdapClient};
use super::entry::Entry;
use super::query;
use super::{LdapError, Rows};
use crate::auth::cache::Cache;
use crate::auth::resolver::{Answer, Caching, Request, Resolver};
use crate::telemetry::metrics::LDAP_BINDS;

/// Vouches for the users of a directory, in domains whose auth type is LDAP.
pub struct LdapResolver {
    client: LdapClient,
    rows: Rows,
    /// Who was let in lately, for while the directory is away.
    lately: Arc<Cache>,
}

/// A login by a name in a domain with LDAP.
struct Login<'a> {
    user: String,
    local: String,
    domain: Domain,
    request: Request<'a>,
}

/// What becomes of a login before anybody looks at the directory.
enum Before<'a> {
    Ask(Box<Login<'a>>),
    Answer(Answer),
}

impl LdapResolver {
    /// Its name in the log.
    pub const NAME: &'static str = "ldap";

    /// Asks by this client; accounts are in these rows.
    pub fn new(client: LdapClient, rows: Rows) -> Self {
        let grace = client.settings().grace;
        Self {
            client,
            rows,
            lately: Arc::new(Cache::new(grace)),
        }
    }

    async fn before<'a>(&self, request: Request<'a>) -> Result<Before<'a>, Answer> {
        let settings = self.client.settings();
        let user = match (request.user.contains('@'), &settings.default_domain) {
            (true, _) => request.user.to_owned(),
            (false, Some(domain)) if !request.user.is_empty() => {
                format!("{}@{domain}", request.user)
            }
            (false, _) => return Ok(Before::Answer(unknown("not an address"))),
        };
        let Some((local, name)) = user.rsplit_once('@').filter(|(local, _)| !local.is_empty())
        else {
            return Ok(Before::Answer(unknown("not an address")));
        };
        let domain = self.rows.index().domain(name).await;
        let domain = domain.map_err(|error| Answer::Unavailable(error.to_string().into()))?;
        Ok(match domain {
            None => Before::Answer(unknown("not a domain of ours")),
            Some(domain) if domain.auth == AuthType::Local => {
                Before::Answer(unknown("the domain has no LDAP"))
            }
            Some(domain) if !domain.active => {
                Before::Answer(Answer::Denied("domain is switched off".into()))
            }
            Some(domain) => Before::Ask(Box::new(Login {
                local: local.to_owned(),
                user,
                domain,
                request,
            })),
        })
    }

    async fn ask(&self, login: &Login<'_>) -> Result<Answer, LdapError> {
        let settings = self.client.settings();
        let base = base(settings, &login.domain);
        let filter = query::for_user(&settings.user_filter, &login.user);
        let entry = match self.client.find(base.clone(), filter.clone()).await? {
            Found::One(entry) => entry,
            Found::Many => {
                self.bind_as_nobody(&base, login).await?;
                return Ok(Answer::Denied("several entries have this name".into()));
            }
            Found::Nobody => {
                self.bind_as_nobody(&base, login).await?;
                return Ok(unknown("no entry"));
            }
        };
        if entry.mail_in(&login.domain.name).is_none()
            || !entry.is_called(&login.user, &login.local, &login.domain.name)
        {
            self.bind_as_nobody(&base, login).await?;
            let why = "the entry has no such address, or none in the domain";
            return Ok(Answer::Denied(why.into()));
        }
        let names = (
            BindDn::new(&entry.dn),
            BindPassword::new(login.request.password),
        );
        let (Some(dn), Some(password)) = names else {
            return Ok(Answer::Denied("no password".into()));
        };
        let bound = self.client.verify(dn, password).await?;
        let result = match bound {
            Bound::Yes => "granted",
            _ => "denied",
        };
        metrics::counter!(LDAP_BINDS, "result" => result).increment(1);
        match bound {
            Bound::Yes => {}
            Bound::No(why) => return Ok(Answer::Denied(why.into())),
            Bound::Unclear(result) => {
                return Err(LdapError::Refused {
                    what: "bind",
                    result,
                });
            }
        }
        if let Some(why) = entry.disabled {
            return Ok(Answer::Denied(why.into()));
        }
        if let Some(disabled) = &settings.disabled_filter {
            let filter = query::both(&filter, disabled);
            if self.client.find(base, filter).await? != Found::Nobody {
                return Ok(Answer::Denied(
                    "disabled by auth.ldap.disabled_filter".into(),
                ));
            }
        }
        Ok(self.open(login, &entry).await)
    }

    /// A bind that cannot succeed takes as long as a wrong password, so that time does not tell who is in the directory.
    async fn bind_as_nobody(&self, base: &str, login: &Login<'_>) -> Result<(), LdapError> {
        let dn = BindDn::new(&format!("cn=nobody of postrider,{base}"));
        let password = BindPassword::new(login.request.password);
        if let (Some(dn), Some(password)) = (dn, password) {
            let _ = self.client.verify(dn, password).await?;
        }
        Ok(())
    }

    /// The account of an entry whose password was right.
    async fn open(&self, login: &Login<'_>, entry: &Entry) -> Answer {
        let create = self.client.settings().create_accounts;
        let whose = account::take(&self.rows, &login.user, &login.domain, entry, create).await;
        match whose {
            Ok(Whose::Account(account)) => {
                self.lately
                    .put(&account, login.request.password, Self::NAME);
                match account.email == login.request.user {
                    true => Answer::Granted,
                    false => Answer::GrantedAs(account.email),
                }
            }
            Ok(Whose::Nobody(email)) => Answer::Denied(
                format!("no account {email} yet, and auth.ldap.create_accounts is off").into(),
            ),
            Ok(Whose::Refused(why)) if why == account::NO_ID => Answer::Unavailable(why.into()),
            Ok(Whose::Refused(why)) => Answer::Denied(why.into()),
            Err(error) => Answer::Unavailable(error.to_string().into()),
        }
    }

    /// The answer while the directory is away: whoever was let in by this password lately, if that is wanted.
    fn without(&self, request: &Request<'_>, error: &LdapError) -> Answer {
        let account = request.account;
        let account = account.filter(|it| it.enabled() && it.auth == AuthType::Ldap);
        if let Some(account) = account
            && self.lately.get(account, request.password).is_some()
        {
            tracing::warn!(account = %account.email, %error, "let in by a login of lately, for the directory is away");
            return Answer::Granted;
        }
        Answer::Unavailable(error.to_string().into())
    }
}

fn unknown(why: &'static str) -> Answer {
    Answer::Unknown(why.into())
}

/// Where the users of a domain are.
pub(super) fn base(settings: &crate::config::Ldap, domain: &Domain) -> String {
    let own = domain.ldap_base_dn.as_deref();
    query::for_domain(own.unwrap_or(&settings.base_dn), &domain.name)
}

#[async_trait::async_trait]
impl Resolver for LdapResolver {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    /// A password that was changed in the directory counts at once.
    fn caching(&self) -> Caching {
        Caching::Forbidden
    }

    /// Logins of domains without LDAP must not wait behind those that do.
    fn places(&self) -> usize {
        tokio::sync::Semaphore::MAX_PERMITS
    }

    async fn authenticate(&self, request: Request<'_>) -> Answer {
        let login = match self.before(request).await {
            Ok(Before::Ask(login)) => login,
            Ok(Before::Answer(answer)) | Err(answer) => return answer,
        };
        let asked = self.ask(&login);
        let answer = match tokio::time::timeout_at(request.deadline, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return self.without(&request, &error),
            Err(_) => {
                let error = LdapError::Slow {
                    server: "directory".to_owned(),
                    what: "login",
                };
                return self.without(&request, &error);
            }
        };
        // What the directory says now ends what it said before.
        if let (Answer::Denied(_) | Answer::Unknown(_), Some(account)) = (&answer, request.account)
        {
            self.lately.forget(account, request.password);
        }
        answer
    }
}
