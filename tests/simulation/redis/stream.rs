//! Streams: entries in the order of their ids.

use std::{collections::BTreeMap, fmt};

use super::reply::{Bytes, Failure, Reply, fail};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId {
    pub(crate) millis: u64,
    pub(crate) sequence: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Stream {
    pub(crate) entries: BTreeMap<StreamId, Vec<Bytes>>,
    /// The greatest id ever added. It outlives the entry.
    pub(crate) last: StreamId,
}

const INVALID: &str = "ERR Invalid stream ID specified as stream command argument";

impl StreamId {
    pub(crate) const MAX: Self = Self { millis: u64::MAX, sequence: u64::MAX };

    pub(crate) fn next(self) -> Option<Self> {
        match self.sequence.checked_add(1) {
            Some(sequence) => Some(Self { sequence, ..self }),
            None => Some(Self { millis: self.millis.checked_add(1)?, sequence: 0 }),
        }
    }

    fn previous(self) -> Option<Self> {
        match self.sequence.checked_sub(1) {
            Some(sequence) => Some(Self { sequence, ..self }),
            None => Some(Self { millis: self.millis.checked_sub(1)?, sequence: u64::MAX }),
        }
    }

    /// Reads `millis-sequence`, or only the milliseconds with `default` for the sequence.
    pub(crate) fn parse(text: &[u8], default: u64) -> Result<Self, Failure> {
        let number = |text: &str| text.parse().map_err(|_malformed| Failure(INVALID.to_owned()));
        let text = std::str::from_utf8(text).map_err(|_malformed| Failure(INVALID.to_owned()))?;
        match text.split_once('-') {
            Some((millis, sequence)) => Ok(Self { millis: number(millis)?, sequence: number(sequence)? }),
            None => Ok(Self { millis: number(text)?, sequence: default }),
        }
    }

    /// Reads the lower bound of a range: `-`, an id, or `(` and an id.
    pub(crate) fn lower_bound(text: &[u8]) -> Result<Self, Failure> {
        match text {
            b"-" => Ok(Self::default()),
            b"+" => Ok(Self::MAX),
            [b'(', id @ ..] => {
                let after = Self::parse(id, 0)?.next();
                after.ok_or_else(|| Failure("ERR invalid start ID for the interval".to_owned()))
            }
            id => Self::parse(id, 0),
        }
    }

    /// Reads the upper bound of a range: `+`, an id, or `(` and an id.
    pub(crate) fn upper_bound(text: &[u8]) -> Result<Self, Failure> {
        match text {
            b"-" => Ok(Self::default()),
            b"+" => Ok(Self::MAX),
            [b'(', id @ ..] => {
                let before = Self::parse(id, u64::MAX)?.previous();
                before.ok_or_else(|| Failure("ERR invalid end ID for the interval".to_owned()))
            }
            id => Self::parse(id, u64::MAX),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.millis, self.sequence)
    }
}

impl Stream {
    /// The id that `*` gets at this time: ids rise even when the clock is set back.
    pub(crate) fn next_id(&self, now_millis: u64) -> Option<StreamId> {
        let now = StreamId { millis: now_millis, sequence: 0 };
        if now_millis > self.last.millis { Some(now) } else { self.last.next() }
    }

    pub(crate) fn add(&mut self, id: StreamId, fields: Vec<Bytes>) -> Result<(), Failure> {
        if id <= self.last {
            return fail("ERR The ID specified in XADD is equal or smaller than the target stream top item");
        }
        self.last = id;
        self.entries.insert(id, fields);
        Ok(())
    }

    pub(crate) fn range(
        &self,
        from: StreamId,
        to: StreamId,
    ) -> impl DoubleEndedIterator<Item = (&StreamId, &Vec<Bytes>)> {
        // A reversed range would panic.
        self.entries.range(from..=to.max(from)).filter(move |(id, _)| **id <= to)
    }
}

pub(crate) fn entry((id, fields): (&StreamId, &Vec<Bytes>)) -> Reply {
    Reply::Array(vec![Reply::bulk(id.to_string()), Reply::bulks(fields)])
}
