//! Aliases: reads and changes of `virtual_aliases`.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl, delete, dsl::exists,
    insert_into, select,
};

use super::{
    Conn, domain,
    fault::Fault,
    schema::{domains, virtual_aliases},
    sql::{Bind, run},
};
use crate::{
    Error,
    index::{AddAlias, Alias, Outcome, RemoveAlias, check},
};

pub(super) fn destinations(conn: &mut Conn, source: &str) -> Result<Vec<String>, Fault> {
    Ok(virtual_aliases::table
        .filter(virtual_aliases::source.eq(source))
        .filter(virtual_aliases::is_active.eq(true))
        .select(virtual_aliases::destination)
        .order(virtual_aliases::destination)
        .load(conn)?)
}

pub(super) fn all(conn: &mut Conn, domain: Option<&str>) -> Result<Vec<Alias>, Fault> {
    let columns = (
        virtual_aliases::source,
        virtual_aliases::destination,
        virtual_aliases::is_active,
    );
    let order = (virtual_aliases::source, virtual_aliases::destination);
    let rows: Vec<(String, String, bool)> = match domain {
        Some(domain) => virtual_aliases::table
            .inner_join(domains::table)
            .filter(domains::domain_name.eq(domain))
            .select(columns)
            .order(order)
            .load(conn)?,
        None => virtual_aliases::table
            .select(columns)
            .order(order)
            .load(conn)?,
    };
    let alias = |(source, destination, active)| Alias {
        source,
        destination,
        active,
    };
    Ok(rows.into_iter().map(alias).collect())
}

pub(super) fn add(conn: &mut Conn, change: &AddAlias) -> Result<Outcome, Fault> {
    let alias = &change.alias;
    let domain = check::alias_source(&alias.source)?;
    check::alias_destination(&alias.destination)?;
    let domain = domain::id(conn, domain)?;
    let same = virtual_aliases::table.filter(
        virtual_aliases::source
            .eq(&alias.source)
            .and(virtual_aliases::destination.eq(&alias.destination)),
    );
    if select(exists(same)).get_result(conn)? {
        return Err(Error::Exists("alias").into());
    }
    insert_into(virtual_aliases::table)
        .values((
            virtual_aliases::source.eq(&alias.source),
            virtual_aliases::destination.eq(&alias.destination),
            virtual_aliases::domain_id.eq(domain),
            virtual_aliases::is_active.eq(alias.active),
        ))
        .execute(conn)?;
    Ok(Outcome::Done)
}

/// Lets aliases that lead to one address lead to another; none from there to itself.
pub(super) fn redirect(conn: &mut Conn, from: &str, to: &str) -> Result<(), Fault> {
    let texts = [Bind::Text(to), Bind::Text(from)];
    // Those of a source that leads to the other address already have nothing left to say.
    run(
        conn,
        "DELETE FROM virtual_aliases WHERE source IN \
         (SELECT source FROM virtual_aliases WHERE destination = ?) AND destination = ?",
        &texts,
    )?;
    run(
        conn,
        "UPDATE virtual_aliases SET destination = ? WHERE destination = ?",
        &texts,
    )?;
    run(
        conn,
        "DELETE FROM virtual_aliases WHERE source = ? AND destination = ?",
        &[Bind::Text(to), Bind::Text(to)],
    )?;
    Ok(())
}

pub(super) fn remove(conn: &mut Conn, change: &RemoveAlias) -> Result<Outcome, Fault> {
    let of_source = virtual_aliases::table.filter(virtual_aliases::source.eq(&change.source));
    let gone = match &change.destination {
        Some(destination) => {
            delete(of_source.filter(virtual_aliases::destination.eq(destination))).execute(conn)?
        }
        None => delete(of_source).execute(conn)?,
    };
    if gone == 0 {
        return Err(Error::NotFound("alias").into());
    }
    Ok(Outcome::Done)
}
