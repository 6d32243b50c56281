//! Domains: add, list, show, switch on and off, remove.

use postrider_storage::{
    Error,
    index::{
        AddDomain, AuthType, Change, Domain, RemoveDomain, SetDomainActive, SetDomainAuth,
        UsersOfDomain,
    },
};

use super::{Admin, AdminError, name::domain_name, now};

/// A domain and what is in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DomainReport {
    /// The domain.
    pub domain: Domain,
    /// Its accounts.
    pub users: usize,
    /// Octets its accounts' messages take.
    pub used: u64,
    /// Its aliases.
    pub aliases: usize,
}

impl Admin {
    /// Adds a domain whose mail is kept here from now on.
    ///
    /// # Errors
    /// A name that is none, a domain that is there, a base DN without LDAP.
    pub async fn add_domain(
        &self,
        name: &str,
        auth: AuthType,
        ldap_base_dn: Option<String>,
    ) -> Result<Domain, AdminError> {
        let name = domain_name(name)?;
        if ldap_base_dn.is_some() && auth == AuthType::Local {
            return Err(AdminError::BaseDnWithoutLdap);
        }
        let change = Change::AddDomain(AddDomain {
            name: name.clone(),
            auth,
            ldap_base_dn,
            now: now(),
        });
        match self.apply(change).await {
            Ok(_) => self.existing_domain(name).await,
            Err(Error::Exists(_)) => Err(AdminError::DomainExists(name)),
            Err(other) => Err(other.into()),
        }
    }

    /// All domains by name.
    ///
    /// # Errors
    /// Storage.
    pub async fn domains(&self) -> Result<Vec<Domain>, AdminError> {
        Ok(self.index.domains().await?)
    }

    /// A domain and what is in it.
    ///
    /// # Errors
    /// A domain that is not there.
    pub async fn domain(&self, name: &str) -> Result<DomainReport, AdminError> {
        let domain = self.existing_domain(domain_name(name)?).await?;
        let accounts = self.index.accounts(Some(&domain.name)).await?;
        let aliases = self.index.aliases(Some(&domain.name)).await?;
        Ok(DomainReport {
            domain,
            users: accounts.len(),
            used: accounts.iter().map(|it| it.used).sum(),
            aliases: aliases.len(),
        })
    }

    /// Switches a domain on or off.
    ///
    /// # Errors
    /// A domain that is not there.
    pub async fn set_domain_active(&self, name: &str, active: bool) -> Result<Domain, AdminError> {
        let name = domain_name(name)?;
        let change = Change::SetDomainActive(SetDomainActive {
            name: name.clone(),
            active,
        });
        match self.apply(change).await {
            Ok(_) => self.existing_domain(name).await,
            Err(Error::NotFound(_)) => Err(AdminError::NoDomain(name)),
            Err(other) => Err(other.into()),
        }
    }

    /// Says who vouches for a domain's users from now on, and whether those that are there go with it; how many of its users have no password here.
    ///
    /// # Errors
    /// A domain that is not there, a base DN without LDAP.
    pub async fn set_domain_auth(
        &self,
        name: &str,
        auth: AuthType,
        ldap_base_dn: Option<String>,
        users: UsersOfDomain,
    ) -> Result<(DomainReport, usize), AdminError> {
        let name = domain_name(name)?;
        if ldap_base_dn.is_some() && auth == AuthType::Local {
            return Err(AdminError::BaseDnWithoutLdap);
        }
        let change = Change::SetDomainAuth(SetDomainAuth {
            name: name.clone(),
            auth,
            ldap_base_dn,
            users,
            now: now(),
        });
        match self.apply(change).await {
            Ok(_) => {}
            Err(Error::NotFound(_)) => return Err(AdminError::NoDomain(name)),
            Err(other) => return Err(other.into()),
        }
        let accounts = self.index.accounts(Some(&name)).await?;
        let without = accounts.iter().filter(|it| it.password.is_none()).count();
        Ok((self.domain(&name).await?, without))
    }

    /// Removes a domain without users, and its aliases. Gives its name.
    ///
    /// # Errors
    /// A domain that is not there, or has users.
    pub async fn remove_domain(&self, name: &str) -> Result<String, AdminError> {
        let name = domain_name(name)?;
        let change = Change::RemoveDomain(RemoveDomain { name: name.clone() });
        match self.apply(change).await {
            Ok(_) => Ok(name),
            Err(Error::NotFound(_)) => Err(AdminError::NoDomain(name)),
            Err(Error::Exists(_)) => {
                let users = self.index.accounts(Some(&name)).await?.len();
                Err(AdminError::DomainInUse {
                    domain: name,
                    users,
                })
            }
            Err(other) => Err(other.into()),
        }
    }

    /// The domain of this name, which is in look-up form.
    pub(super) async fn existing_domain(&self, name: String) -> Result<Domain, AdminError> {
        let domain = self.index.domain(&name).await?;
        domain.ok_or(AdminError::NoDomain(name))
    }
}
