//! Rows as Diesel reads them.

use std::{error::Error, num::NonZeroU32, ops::Range, vec};

use diesel::{
    QueryResult,
    pg::{Pg, PgValue, TypeOidLookup},
    row::{Field, PartialRow, Row, RowIndex, RowSealed},
};
use tokio_postgres::types::{FromSql, Type};

/// The rows of an answer, all of which are here already.
pub(super) struct Rows(vec::IntoIter<tokio_postgres::Row>);

impl Rows {
    pub(super) fn new(rows: Vec<tokio_postgres::Row>) -> Rows {
        Rows(rows.into_iter())
    }
}

impl Iterator for Rows {
    type Item = QueryResult<PgRow>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|row| Ok(PgRow::new(row)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

/// A row.
///
/// Row numbers that other programs share have four octets; like all other numbers they are read as having eight.
pub(super) struct PgRow {
    row: tokio_postgres::Row,
    /// Those with four, by column.
    widened: Vec<(usize, [u8; 8])>,
}

impl PgRow {
    fn new(row: tokio_postgres::Row) -> PgRow {
        let mut widened = Vec::new();
        for (at, column) in row.columns().iter().enumerate() {
            if *column.type_() == Type::INT4
                && let Ok(Some(number)) = row.try_get::<_, Option<i32>>(at)
            {
                widened.push((at, i64::from(number).to_be_bytes()));
            }
        }
        PgRow { row, widened }
    }
}

impl RowSealed for PgRow {}

impl<'a> Row<'a, Pg> for PgRow {
    type InnerPartialRow = Self;
    type Field<'b>
        = PgField<'b>
    where
        Self: 'b,
        'a: 'b;

    fn field_count(&self) -> usize {
        self.row.len()
    }

    fn get<'b, I>(&'b self, at: I) -> Option<Self::Field<'b>>
    where
        'a: 'b,
        Self: RowIndex<I>,
    {
        let at = self.idx(at)?;
        Some(PgField { row: self, at })
    }

    fn partial_row(&self, range: Range<usize>) -> PartialRow<'_, Self::InnerPartialRow> {
        PartialRow::new(self, range)
    }
}

impl RowIndex<usize> for PgRow {
    fn idx(&self, at: usize) -> Option<usize> {
        (at < self.row.len()).then_some(at)
    }
}

impl<'a> RowIndex<&'a str> for PgRow {
    fn idx(&self, name: &'a str) -> Option<usize> {
        self.row.columns().iter().position(|it| it.name() == name)
    }
}

/// A column of a row.
pub(super) struct PgField<'a> {
    row: &'a PgRow,
    at: usize,
}

impl<'a> Field<'a, Pg> for PgField<'a> {
    fn field_name(&self) -> Option<&str> {
        self.row.row.columns().get(self.at).map(|it| it.name())
    }

    fn value(&self) -> Option<PgValue<'_>> {
        let wide = self.row.widened.iter().find(|(at, _)| *at == self.at);
        if let Some((_, octets)) = wide {
            return Some(PgValue::new(octets, &Asked));
        }
        let Ok(Octets(octets)) = self.row.row.try_get(self.at) else {
            return None;
        };
        octets.map(|octets| PgValue::new(octets, &Asked))
    }
}

/// A column as it came.
struct Octets<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Octets<'a> {
    fn from_sql(_: &Type, octets: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(octets)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// What type a column has, for those who ask: nobody here does, because statements say what they read.
struct Asked;

impl TypeOidLookup for Asked {
    fn lookup(&self) -> NonZeroU32 {
        NonZeroU32::MIN
    }
}
