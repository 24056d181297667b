//! The kinds of columns that PostgreSQL and SQLite store differently, and the domain's values that
//! columns hold. Anything else in a column is an error of decoding.

use chrono::{DateTime, Utc};
use diesel::{
    backend::Backend,
    deserialize::{self, FromSql},
    pg::Pg,
    query_builder::QueryId,
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{self, BigInt, Integer, SqlType, Text, Timestamptz},
    sqlite::Sqlite,
};
use uuid::Uuid;

use crate::domain::{ProductId, PurchaseId, SystemId, UserId};

type PgColumn<'row> = <Pg as Backend>::RawValue<'row>;
type SqliteColumn<'row> = <Sqlite as Backend>::RawValue<'row>;

/// A UUID: in SQLite as text.
#[derive(SqlType, QueryId)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951), sqlite_type(name = "Text"))]
pub(super) struct Id;

/// A time: in SQLite as milliseconds since 1970.
#[derive(SqlType, QueryId)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185), sqlite_type(name = "Long"))]
pub(super) struct Timestamp;

/// A unit, a stock, or the number of an offer: 4 bytes in PostgreSQL.
#[derive(SqlType, QueryId)]
#[diesel(postgres_type(oid = 23, array_oid = 1007), sqlite_type(name = "Long"))]
pub(super) struct Number;

/// An epoch, the number of a change, or a count of rows: 8 bytes in both.
#[derive(SqlType, QueryId)]
#[diesel(postgres_type(oid = 20, array_oid = 1016), sqlite_type(name = "Long"))]
pub(super) struct Counter;

impl FromSql<Id, Pg> for Uuid {
    fn from_sql(column: PgColumn<'_>) -> deserialize::Result<Self> {
        FromSql::<sql_types::Uuid, Pg>::from_sql(column)
    }
}

impl FromSql<Id, Sqlite> for Uuid {
    fn from_sql(column: SqliteColumn<'_>) -> deserialize::Result<Self> {
        let text: String = FromSql::<Text, Sqlite>::from_sql(column)?;
        text.parse().map_err(|error| format!("{text:?} is not an id: {error}").into())
    }
}

impl<DB: Backend> FromSql<Id, DB> for PurchaseId
where
    Uuid: FromSql<Id, DB>,
{
    fn from_sql(column: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Uuid::from_sql(column).map(Self)
    }
}

impl<DB: Backend> FromSql<Id, DB> for SystemId
where
    Uuid: FromSql<Id, DB>,
{
    fn from_sql(column: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Uuid::from_sql(column).map(Self)
    }
}

impl ToSql<Id, Pg> for PurchaseId {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Uuid, Pg>::to_sql(&self.0, out)
    }
}

impl ToSql<Id, Sqlite> for PurchaseId {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<Timestamp, Pg> for DateTime<Utc> {
    fn from_sql(column: PgColumn<'_>) -> deserialize::Result<Self> {
        FromSql::<Timestamptz, Pg>::from_sql(column)
    }
}

impl FromSql<Timestamp, Sqlite> for DateTime<Utc> {
    fn from_sql(column: SqliteColumn<'_>) -> deserialize::Result<Self> {
        let millis = FromSql::<BigInt, Sqlite>::from_sql(column)?;
        Self::from_timestamp_millis(millis).ok_or_else(|| format!("{millis} ms is not a time").into())
    }
}

impl ToSql<Timestamp, Pg> for DateTime<Utc> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<Timestamptz, Pg>::to_sql(self, out)
    }
}

impl ToSql<Timestamp, Sqlite> for DateTime<Utc> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.timestamp_millis());
        Ok(IsNull::No)
    }
}

impl FromSql<Number, Pg> for u32 {
    fn from_sql(column: PgColumn<'_>) -> deserialize::Result<Self> {
        let number: i32 = FromSql::<Integer, Pg>::from_sql(column)?;
        Self::try_from(number).map_err(|_negative| format!("{number} is out of range").into())
    }
}

impl FromSql<Number, Sqlite> for u32 {
    fn from_sql(column: SqliteColumn<'_>) -> deserialize::Result<Self> {
        let number: i64 = FromSql::<BigInt, Sqlite>::from_sql(column)?;
        Self::try_from(number).map_err(|_too_large| format!("{number} is out of range").into())
    }
}

impl ToSql<Number, Pg> for u32 {
    /// No unit or stock exceeds [`crate::domain::TOTAL_STOCK_MAX`] in a well-formed catalogue; a
    /// unit that does is out of range of every product.
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let number = i32::try_from(*self).unwrap_or(i32::MAX);
        ToSql::<Integer, Pg>::to_sql(&number, &mut out.reborrow())
    }
}

impl ToSql<Number, Sqlite> for u32 {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(i64::from(*self));
        Ok(IsNull::No)
    }
}

impl<DB: Backend> FromSql<Counter, DB> for u64
where
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(column: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let number = i64::from_sql(column)?;
        Self::try_from(number).map_err(|_negative| format!("{number} is out of range").into())
    }
}

impl ToSql<Counter, Pg> for u64 {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let number = i64::try_from(*self).unwrap_or(i64::MAX);
        ToSql::<BigInt, Pg>::to_sql(&number, &mut out.reborrow())
    }
}

impl ToSql<Counter, Sqlite> for u64 {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(i64::try_from(*self).unwrap_or(i64::MAX));
        Ok(IsNull::No)
    }
}

impl<DB: Backend> FromSql<Text, DB> for ProductId
where
    String: FromSql<Text, DB>,
{
    fn from_sql(column: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::parse(&String::from_sql(column)?)?)
    }
}

impl<DB: Backend> FromSql<Text, DB> for UserId
where
    String: FromSql<Text, DB>,
{
    fn from_sql(column: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::parse(&String::from_sql(column)?)?)
    }
}

#[cfg(test)]
mod tests {
    use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};

    use super::*;
    use crate::ledger::LedgerError;

    #[derive(QueryableByName)]
    #[expect(dead_code, reason = "only decoding is tested")]
    struct Row {
        #[diesel(sql_type = Id)]
        id: PurchaseId,
        #[diesel(sql_type = Timestamp)]
        at: DateTime<Utc>,
        #[diesel(sql_type = Number)]
        unit: u32,
        #[diesel(sql_type = Counter)]
        epoch: u64,
        #[diesel(sql_type = Text)]
        user: UserId,
    }

    #[test]
    fn what_a_column_must_not_hold_is_a_permanent_error() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        let mut read = |row: &str| {
            let query = sql_query(format!(
                "SELECT column1 AS id, column2 AS at, column3 AS unit, \
                                                  column4 AS epoch, column5 AS user FROM (VALUES ({row}))"
            ));
            query.get_result::<Row>(&mut connection).map_err(LedgerError::from)
        };
        let id = "'01932b5e-0c7b-7000-8000-000000000001'";
        assert!(read(&format!("{id}, 1, 1, 1, 'ada'")).is_ok());
        for row in [
            "'01932b5e', 1, 1, 1, 'ada'".to_owned(),
            format!("{id}, 9223372036854775807, 1, 1, 'ada'"),
            format!("{id}, 1, -1, 1, 'ada'"),
            format!("{id}, 1, 4294967296, 1, 'ada'"),
            format!("{id}, 1, 1, -1, 'ada'"),
            format!("{id}, 1, 1, 1, 'ada lovelace'"),
            format!("{id}, 1, 1, 1, NULL"),
        ] {
            let error = read(&row).err().expect("no row");
            assert!(matches!(error, LedgerError::Corrupt(_)), "{row}: {error:?}");
        }
    }
}
