//! Domains: reads and changes of `domains`.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, dsl::exists, insert_into, select,
    update,
};

use super::{
    Conn,
    fault::Fault,
    moment::Moment,
    schema::{domains, virtual_aliases, virtual_users},
};
use crate::{
    Error,
    index::{
        AddDomain, AuthType, Domain, DomainId, Outcome, RemoveDomain, SetDomainActive,
        SetDomainAuth, UsersOfDomain, check,
    },
};

type Row = (
    i64,
    String,
    String,
    Option<i64>,
    String,
    Option<String>,
    bool,
    Moment,
);

fn domain(row: Row) -> Result<Domain, Error> {
    let (id, name, transport, company, auth, ldap_base_dn, active, created) = row;
    let auth = auth_type(&auth).map_err(|error| named(&name, error))?;
    Ok(Domain {
        id: DomainId(id),
        name,
        transport,
        company,
        auth,
        ldap_base_dn,
        active,
        created: created.0,
    })
}

/// Reads the column of an [`AuthType`].
pub(super) fn auth_type(text: &str) -> Result<AuthType, Error> {
    match text {
        "ldap" => Ok(AuthType::Ldap),
        "local" => Ok(AuthType::Local),
        _ => Err(Error::Corrupt(format!(
            "auth type is {text:?}, and can be \"ldap\" or \"local\""
        ))),
    }
}

/// Says whose row it is that makes no sense: tables that were taken over may hold anything.
pub(super) fn named(whose: &str, error: Error) -> Error {
    match error {
        Error::Corrupt(what) => Error::Corrupt(format!("row of {whose}: {what}")),
        other => other,
    }
}

/// Writes the column of an [`AuthType`].
pub(super) fn auth_text(auth: AuthType) -> &'static str {
    match auth {
        AuthType::Ldap => "ldap",
        AuthType::Local => "local",
    }
}

pub(super) fn by_name(conn: &mut Conn, name: &str) -> Result<Option<Domain>, Fault> {
    let row: Option<Row> = domains::table
        .filter(domains::domain_name.eq(name))
        .get_result(conn)
        .optional()?;
    Ok(row.map(domain).transpose()?)
}

pub(super) fn all(conn: &mut Conn) -> Result<Vec<Domain>, Fault> {
    let rows: Vec<Row> = domains::table.order(domains::domain_name).load(conn)?;
    Ok(rows.into_iter().map(domain).collect::<Result<_, _>>()?)
}

/// The row of a domain. `NotFound` if there is none.
pub(super) fn id(conn: &mut Conn, name: &str) -> Result<i64, Fault> {
    let id = domains::table
        .filter(domains::domain_name.eq(name))
        .select(domains::id)
        .get_result(conn)
        .optional()?;
    Ok(id.ok_or(Error::NotFound("domain"))?)
}

pub(super) fn add(conn: &mut Conn, change: &AddDomain) -> Result<Outcome, Fault> {
    check::domain_name(&change.name)?;
    check::column(change.ldap_base_dn.as_deref(), "the base DN is too long")?;
    if by_name(conn, &change.name)?.is_some() {
        return Err(Error::Exists("domain").into());
    }
    let id = insert_into(domains::table)
        .values((
            domains::domain_name.eq(&change.name),
            domains::auth_type.eq(auth_text(change.auth)),
            domains::ldap_base_dn.eq(&change.ldap_base_dn),
            domains::created_at.eq(Moment(change.now)),
        ))
        .returning(domains::id)
        .get_result(conn)?;
    Ok(Outcome::Domain(DomainId(id)))
}

/// Also raises the versions of its accounts: what was remembered of their logins no longer counts.
pub(super) fn set_active(conn: &mut Conn, change: &SetDomainActive) -> Result<Outcome, Fault> {
    let id = id(conn, &change.name)?;
    update(domains::table.find(id))
        .set(domains::is_active.eq(change.active))
        .execute(conn)?;
    update(virtual_users::table.filter(virtual_users::domain_id.eq(id)))
        .set(virtual_users::version.eq(virtual_users::version + 1))
        .execute(conn)?;
    Ok(Outcome::Done)
}

/// Also raises the versions of its accounts.
pub(super) fn set_auth(conn: &mut Conn, change: &SetDomainAuth) -> Result<Outcome, Fault> {
    check::column(change.ldap_base_dn.as_deref(), "the base DN is too long")?;
    let id = id(conn, &change.name)?;
    update(domains::table.find(id))
        .set((
            domains::auth_type.eq(auth_text(change.auth)),
            domains::ldap_base_dn.eq(&change.ldap_base_dn),
        ))
        .execute(conn)?;
    let accounts = || virtual_users::table.filter(virtual_users::domain_id.eq(id));
    let raised = || virtual_users::version.eq(virtual_users::version + 1);
    if change.users == UsersOfDomain::Stay {
        update(accounts()).set(raised()).execute(conn)?;
        return Ok(Outcome::Done);
    }
    // Each row once: what changes without its version looks like SQL of others, and is raised once more.
    let auth = auth_text(change.auth);
    update(accounts().filter(virtual_users::auth_source.eq(auth)))
        .set(raised())
        .execute(conn)?;
    update(accounts().filter(virtual_users::auth_source.ne(auth)))
        .set((
            virtual_users::auth_source.eq(auth),
            virtual_users::updated_at.eq(Moment(change.now)),
            raised(),
        ))
        .execute(conn)?;
    Ok(Outcome::Done)
}

pub(super) fn remove(conn: &mut Conn, change: &RemoveDomain) -> Result<Outcome, Fault> {
    let id = id(conn, &change.name)?;
    let of_domain = virtual_users::table.filter(virtual_users::domain_id.eq(id));
    if select(exists(of_domain)).get_result(conn)? {
        return Err(Error::Exists("account").into());
    }
    diesel::delete(virtual_aliases::table.filter(virtual_aliases::domain_id.eq(id)))
        .execute(conn)?;
    diesel::delete(domains::table.find(id)).execute(conn)?;
    Ok(Outcome::Done)
}
