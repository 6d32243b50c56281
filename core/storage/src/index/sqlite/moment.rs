//! The timestamp columns that other programs read too: `YYYY-MM-DD HH:MM:SS[.ffffff]`, UTC, as SQLite writes them itself.

use chrono::{DateTime, NaiveDateTime};
use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    serialize::{self, IsNull, Output, ToSql},
    sql_types,
    sqlite::{Sqlite, SqliteValue},
};

use crate::index::Timestamp;

/// The years 0 to 9999, which all who read the column understand; other times count as the nearest of these.
const RANGE: (i64, i64) = (-62_167_219_200_000_000, 253_402_300_799_999_999);
const FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f";

/// A [`Timestamp`] in such a column.
#[derive(AsExpression, Clone, Copy, Debug, FromSqlRow)]
#[diesel(sql_type = sql_types::Timestamp)]
pub(super) struct Moment(pub(super) Timestamp);

impl FromSql<sql_types::Timestamp, Sqlite> for Moment {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<sql_types::Timestamp, Sqlite>>::from_sql(value)?;
        let time = NaiveDateTime::parse_from_str(&text, FORMAT)
            .map_err(|it| it.to_string())?
            .and_utc();
        Ok(Self(Timestamp(time.timestamp_micros())))
    }
}

impl ToSql<sql_types::Timestamp, Sqlite> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        let micros = self.0.0.clamp(RANGE.0, RANGE.1);
        let time = DateTime::from_timestamp_micros(micros).ok_or("time out of range")?;
        out.set_value(time.naive_utc().format(FORMAT).to_string());
        Ok(IsNull::No)
    }
}
