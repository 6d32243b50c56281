//! Why a statement or a change failed: refused by the rules, or a database in trouble.
//!
//! A refusal rolls back one change; trouble rolls back the batch.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::Error;

/// What ends a read or a change early.
#[derive(Debug)]
pub(super) enum Fault {
    /// The change cannot be made, or a row cannot be understood; the database is well.
    Refused(Error),
    /// A statement failed.
    Database(DieselError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<DieselError> for Fault {
    fn from(error: DieselError) -> Self {
        Self::Database(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) => error,
            Fault::Database(error) => trouble(&error),
        }
    }
}

/// What a failed statement means. What we do not understand is temporary (I8).
pub(super) fn trouble(error: &DieselError) -> Error {
    let text = error.to_string();
    match error {
        DieselError::DatabaseError(
            DatabaseErrorKind::CheckViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::UniqueViolation,
            _,
        )
        | DieselError::DeserializationError(_)
        | DieselError::SerializationError(_)
        | DieselError::NotFound => Error::Corrupt(text),
        // SQLITE_CORRUPT and SQLITE_NOTADB; Diesel hands on their texts alone.
        _ if text.contains("malformed") || text.contains("not a database") => Error::Corrupt(text),
        _ => Error::Unavailable(text),
    }
}

/// A number of a row as the type that the index promises.
pub(super) fn number<T: TryFrom<i64>>(value: i64, what: &'static str) -> Result<T, Error> {
    T::try_from(value).map_err(|_| Error::Corrupt(format!("{what} is {value}")))
}
