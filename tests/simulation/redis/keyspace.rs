//! The data of one server. The order of keys, fields and members is fixed, so that a run can be repeated.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    reply::{Bytes, Failure, fail},
    stream::Stream,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Data {
    Text(Bytes),
    Hash(BTreeMap<Bytes, Bytes>),
    List(VecDeque<Bytes>),
    Set(BTreeSet<Bytes>),
    Stream(Stream),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Keyspace {
    keys: BTreeMap<Bytes, Data>,
    /// Keys that expire, in milliseconds since the Unix epoch.
    expiries: BTreeMap<Bytes, u64>,
}

/// A type that a key can have.
pub(crate) trait Kind: Default {
    fn of(data: &Data) -> Option<&Self>;
    fn of_mut(data: &mut Data) -> Option<&mut Self>;
    fn into_data(self) -> Data;
    /// A collection without elements is no key. A stream is one.
    fn is_gone(&self) -> bool;
}

macro_rules! kind {
    ($type:ty, $variant:ident, $gone:expr) => {
        impl Kind for $type {
            fn of(data: &Data) -> Option<&Self> {
                if let Data::$variant(value) = data { Some(value) } else { None }
            }
            fn of_mut(data: &mut Data) -> Option<&mut Self> {
                if let Data::$variant(value) = data { Some(value) } else { None }
            }
            fn into_data(self) -> Data {
                Data::$variant(self)
            }
            fn is_gone(&self) -> bool {
                let gone: fn(&Self) -> bool = $gone;
                gone(self)
            }
        }
    };
}

kind!(Bytes, Text, |_| false);
kind!(BTreeMap<Bytes, Bytes>, Hash, BTreeMap::is_empty);
kind!(VecDeque<Bytes>, List, VecDeque::is_empty);
kind!(BTreeSet<Bytes>, Set, BTreeSet::is_empty);
kind!(Stream, Stream, |_| false);

fn wrong_type<T>() -> Result<T, Failure> {
    fail("WRONGTYPE Operation against a key holding the wrong kind of value")
}

impl Keyspace {
    pub(crate) fn get<K: Kind>(&self, key: &[u8]) -> Result<Option<&K>, Failure> {
        let Some(data) = self.keys.get(key) else { return Ok(None) };
        K::of(data).map_or_else(wrong_type, |value| Ok(Some(value)))
    }

    /// Changes the value of a key that may be absent before and after.
    pub(crate) fn change<K: Kind, T>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut K) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(data) = self.keys.get_mut(key) {
            let Some(value) = K::of_mut(data) else { return wrong_type() };
            let changed = change(value)?;
            if value.is_gone() {
                self.remove(key);
            }
            return Ok(changed);
        }
        let mut value = K::default();
        let changed = change(&mut value)?;
        if !value.is_gone() {
            self.keys.insert(key.to_vec(), value.into_data());
        }
        Ok(changed)
    }

    /// As [`Keyspace::change`], but nothing happens where the key is absent.
    pub(crate) fn change_existing<K: Kind, T: Default>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut K) -> T,
    ) -> Result<T, Failure> {
        if !self.contains(key) {
            return Ok(T::default());
        }
        self.change(key, |value| Ok(change(value)))
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.keys.contains_key(key)
    }

    pub(crate) fn data(&self, key: &[u8]) -> Option<&Data> {
        self.keys.get(key)
    }

    /// Replaces the key, whatever its type was, and its expiry.
    pub(crate) fn put(&mut self, key: &[u8], data: Data) {
        self.expiries.remove(key);
        self.keys.insert(key.to_vec(), data);
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        self.expiries.remove(key);
        self.keys.remove(key).is_some()
    }

    pub(crate) fn rename(&mut self, from: &[u8], to: &[u8]) -> bool {
        let expiry = self.expiries.remove(from);
        let Some(data) = self.keys.remove(from) else { return false };
        self.put(to, data);
        if let Some(expiry) = expiry {
            self.expiries.insert(to.to_vec(), expiry);
        }
        true
    }

    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &Bytes> {
        self.keys.keys()
    }

    pub(crate) fn expiry(&self, key: &[u8]) -> Option<u64> {
        self.expiries.get(key).copied()
    }

    pub(crate) fn set_expiry(&mut self, key: &[u8], millis: u64) {
        self.expiries.insert(key.to_vec(), millis);
    }

    pub(crate) fn persist(&mut self, key: &[u8]) -> bool {
        self.expiries.remove(key).is_some()
    }

    /// The keys whose time has come.
    pub(crate) fn expired(&self, now_millis: u64) -> Vec<Bytes> {
        let due = self.expiries.iter().filter(|(_, expiry)| **expiry <= now_millis);
        due.map(|(key, _)| key.clone()).collect()
    }
}
