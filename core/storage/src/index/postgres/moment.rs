//! The timestamp columns that other programs read too: microseconds since 2000, UTC.

use std::{
    io::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{self, BigInt},
};

use crate::index::Timestamp;

/// 2000-01-01T00:00:00Z, in microseconds since 1970.
const EPOCH: i64 = 946_684_800_000_000;
/// The years 0 to 9999, which all who read the column understand; other times count as the nearest of these.
const RANGE: (i64, i64) = (-62_167_219_200_000_000, 253_402_300_799_999_999);

/// A [`Timestamp`] in such a column.
#[derive(AsExpression, Clone, Copy, Debug, FromSqlRow)]
#[diesel(sql_type = sql_types::Timestamp)]
pub(super) struct Moment(pub(super) Timestamp);

impl FromSql<sql_types::Timestamp, Pg> for Moment {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        // `infinity` and its opposite are the ends of the range.
        let since = <i64 as FromSql<BigInt, Pg>>::from_sql(value)?;
        Ok(Self(Timestamp(since.saturating_add(EPOCH))))
    }
}

impl ToSql<sql_types::Timestamp, Pg> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let since = self.0.0.clamp(RANGE.0, RANGE.1) - EPOCH;
        out.write_all(&since.to_be_bytes())?;
        Ok(IsNull::No)
    }
}

/// The time of this machine.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.map_or(0, |it| it.as_micros());
    Timestamp(i64::try_from(micros).unwrap_or(i64::MAX))
}
