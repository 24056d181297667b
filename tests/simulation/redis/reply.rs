//! Replies of the simulated server, and what the driver makes of them.

use redis::{RedisResult, Value};

pub(crate) type Bytes = Vec<u8>;

/// A command with its arguments, as a client sends it.
pub(crate) type Request = Vec<Bytes>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Status(String),
    /// The error code, a space, and the details.
    Error(String),
    Int(i64),
    Bulk(Bytes),
    Nil,
    Array(Vec<Reply>),
}

/// The text of an error reply.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure(pub(crate) String);

pub(crate) type Outcome = Result<Reply, Failure>;

pub(crate) fn fail<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure(text.into()))
}

impl Reply {
    pub(crate) fn ok() -> Self {
        Self::Status("OK".to_owned())
    }

    pub(crate) fn count(count: usize) -> Self {
        Self::Int(i64::try_from(count).expect("collections are far smaller"))
    }

    pub(crate) fn bulk(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bulk(bytes.as_ref().to_vec())
    }

    pub(crate) fn bulk_or_nil(bytes: Option<impl AsRef<[u8]>>) -> Self {
        bytes.map_or(Self::Nil, Self::bulk)
    }

    pub(crate) fn bulks(items: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        Self::Array(items.into_iter().map(Self::bulk).collect())
    }

    /// The driver's value, in which an error is still a value.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Status(text) if text == "OK" => Value::Okay,
            Self::Status(text) => Value::SimpleString(text),
            // The driver's own parser decides the kind of an error.
            Self::Error(text) => {
                let line = format!("-{}\r\n", text.replace(['\r', '\n'], " "));
                redis::parse_redis_value(line.as_bytes()).expect("an error reply")
            }
            Self::Int(number) => Value::Int(number),
            Self::Bulk(bytes) => Value::BulkString(bytes),
            Self::Nil => Value::Nil,
            Self::Array(items) => Value::Array(items.into_iter().map(Self::into_value).collect()),
        }
    }

    /// The reply of EXEC. Errors of its commands are values; one of EXEC itself is not.
    pub(crate) fn into_transaction(self) -> RedisResult<Value> {
        if matches!(self, Self::Error(_)) { self.into_result() } else { Ok(self.into_value()) }
    }

    pub(crate) fn into_result(self) -> RedisResult<Value> {
        self.into_value().extract_error()
    }
}

impl From<Outcome> for Reply {
    fn from(outcome: Outcome) -> Self {
        outcome.unwrap_or_else(|Failure(text)| Self::Error(text))
    }
}
