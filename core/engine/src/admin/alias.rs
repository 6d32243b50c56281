//! Aliases: add, list, remove. `@domain` is the catch-all of a domain.

use postrider_storage::{
    Error,
    index::{AddAlias, Alias, Change, RemoveAlias},
};

use super::{
    Admin, AdminError,
    name::{alias_destination, alias_source, domain_name},
};

impl Admin {
    /// Adds an alias. Its source lies in a domain of ours, its destination anywhere.
    ///
    /// # Errors
    /// Names that are none, a domain that is not there, an alias that is, one that leads to itself.
    pub async fn add_alias(&self, source: &str, destination: &str) -> Result<Alias, AdminError> {
        let (source, domain) = alias_source(source)?;
        let destination = alias_destination(destination)?;
        if destination.eq_ignore_ascii_case(&source) {
            return Err(AdminError::AliasToItself(source));
        }
        let alias = Alias {
            source,
            destination,
            active: true,
        };
        let change = Change::AddAlias(AddAlias {
            alias: alias.clone(),
        });
        match self.apply(change).await {
            Ok(_) => Ok(alias),
            Err(Error::NotFound(_)) => Err(AdminError::NoDomain(domain)),
            Err(Error::Exists(_)) => Err(AdminError::AliasExists {
                from: alias.source,
                to: alias.destination,
            }),
            Err(other) => Err(other.into()),
        }
    }

    /// All aliases by source and destination, of one domain if named.
    ///
    /// # Errors
    /// A domain that is not there.
    pub async fn aliases(&self, domain: Option<&str>) -> Result<Vec<Alias>, AdminError> {
        let Some(domain) = domain else {
            return Ok(self.index.aliases(None).await?);
        };
        let domain = self.existing_domain(domain_name(domain)?).await?;
        Ok(self.index.aliases(Some(&domain.name)).await?)
    }

    /// Removes one alias, or all of a source. Gives those that were removed.
    ///
    /// # Errors
    /// An alias that is not there.
    pub async fn remove_alias(
        &self,
        source: &str,
        destination: Option<&str>,
    ) -> Result<Vec<Alias>, AdminError> {
        let (source, domain) = alias_source(source)?;
        let destination = destination.map(alias_destination).transpose()?;
        let mut removed = self.index.aliases(Some(&domain)).await?;
        removed.retain(|it| {
            it.source == source && destination.as_ref().is_none_or(|to| it.destination == *to)
        });
        let change = Change::RemoveAlias(RemoveAlias {
            source: source.clone(),
            destination: destination.clone(),
        });
        match self.apply(change).await {
            Ok(_) => Ok(removed),
            Err(Error::NotFound(_)) => Err(AdminError::NoAlias {
                source_address: match destination {
                    Some(destination) => format!("{source} to {destination}"),
                    None => source,
                },
            }),
            Err(other) => Err(other.into()),
        }
    }
}
