//! Two servers get the same commands and must give the same replies. Ids of stream entries contain the time, which
//! differs: each is replaced by the order in which it was first seen.

use std::time::Duration;

use redis::{RedisResult, Value};

use super::support::{Real, Time, identity, real, shown, simulated, text};
use crate::redis::cluster::SimRedis;

/// A word of a command.
#[derive(Clone, Debug)]
pub(super) enum Word {
    Text(String),
    /// The n-th stream id that was seen, on each side its own.
    Entry(usize),
    /// The identity of the server, on each side its own.
    Server,
}

impl<T: Into<String>> From<T> for Word {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

pub(super) struct Comparison {
    real: Real,
    simulated: SimRedis,
    time: Time,
    /// Stream ids in the order in which they were seen: real, simulated.
    seen: [Vec<String>; 2],
    /// Identities: real, simulated.
    servers: [String; 2],
    trace: Vec<String>,
}

impl Comparison {
    pub(super) fn start() -> Option<Self> {
        let (simulated, time) = simulated();
        let mut real = real()?;
        let servers = [identity(&text(real.run(&["INFO"]))), identity(&text(simulated.run(0, &["INFO"])))];
        Some(Self { real, simulated, time, seen: [Vec::new(), Vec::new()], servers, trace: Vec::new() })
    }

    /// Number of stream ids seen so far.
    pub(super) fn entries(&self) -> usize {
        self.seen[0].len()
    }

    /// Runs the command on both. Panics with the commands so far where the replies differ.
    pub(super) fn run(&mut self, words: &[Word]) -> String {
        self.time.advance(1);
        self.trace.push(words.iter().map(described).collect::<Vec<_>>().join(" "));
        let [real, simulated] =
            [0, 1].map(|side| words.iter().map(|word| self.resolve(side, word)).collect::<Vec<_>>());
        let real = self.real.run(&references(&real));
        let simulated = self.simulated.run(0, &references(&simulated));
        let unordered =
            matches!(&words[0], Word::Text(name) if ["HGETALL", "SMEMBERS", "KEYS"].contains(&name.as_str()));
        let [real, simulated] = [(0, real), (1, simulated)].map(|(side, reply)| {
            let reply = if unordered { sorted(reply, &self.servers[side]) } else { reply };
            let shown = shown(reply).replace(&self.servers[side], "<server>");
            canonical(&shown, &mut self.seen[side])
        });
        let last = &self.trace[self.trace.len().saturating_sub(30)..];
        assert_eq!(real, simulated, "redis-server and the simulated one differ after\n{}", last.join("\n"));
        // Within a millisecond another stream, or one that is made anew, would give out the same ids again.
        if may_repeat_ids(words) {
            std::thread::park_timeout(Duration::from_millis(2));
        }
        real
    }

    fn resolve(&self, side: usize, word: &Word) -> String {
        match word {
            Word::Text(text) => text.clone(),
            Word::Entry(index) => self.seen[side][*index].clone(),
            Word::Server => self.servers[side].clone(),
        }
    }

    /// Compares everything that both have stored, and the simulated data with what its log makes of nothing.
    pub(super) fn compare_data(&mut self) {
        let keys: Vec<String> =
            redis::from_redis_value(self.simulated.run(0, &["KEYS", "*"]).unwrap()).unwrap();
        self.run(&["KEYS".into(), "*".into()]);
        for key in keys {
            let words: &[&str] = match self.run(&["TYPE".into(), (&key).into()]).as_str() {
                "simple-string(\"string\")" => &["GET"],
                "simple-string(\"hash\")" => &["HGETALL"],
                "simple-string(\"list\")" => &["LRANGE", "0", "-1"],
                "simple-string(\"set\")" => &["SMEMBERS"],
                "simple-string(\"stream\")" => &["XRANGE", "-", "+"],
                other => panic!("{key} is {other}"),
            };
            let (name, rest) = words.split_first().unwrap();
            let mut command = vec![Word::from(*name), Word::from(&key)];
            command.extend(rest.iter().map(|word| Word::from(*word)));
            self.run(&command);
            let expires = |reply: RedisResult<Value>| !matches!(reply, Ok(Value::Int(-1)));
            let words = ["PTTL", &key];
            assert_eq!(
                expires(self.real.run(&words)),
                expires(self.simulated.run(0, &words)),
                "{key} expires"
            );
        }
        self.simulated.with(0, |node| assert_eq!(node.server.replay(), node.server.keyspace, "the log"));
    }
}

fn may_repeat_ids(words: &[Word]) -> bool {
    const COMMANDS: [&str; 7] = ["XADD", "DEL", "UNLINK", "RENAME", "FLUSHALL", "SET", "EXPIRE"];
    match words {
        [Word::Text(name), Word::Text(script), ..] if name == "EVAL" => {
            script.contains("'DEL'") || script.contains("'UNLINK'")
        }
        [Word::Text(name), ..] => COMMANDS.contains(&name.as_str()),
        _ => false,
    }
}

/// A script by its second line.
fn described(word: &Word) -> String {
    match word {
        Word::Text(text) => format!("{:?}", text.lines().nth(1).unwrap_or(text)),
        Word::Entry(index) => format!("<entry {index}>"),
        Word::Server => "<server>".to_owned(),
    }
}

fn references(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// `server`: an identity, which has no place in the order.
fn sorted(reply: RedisResult<Value>, server: &str) -> RedisResult<Value> {
    reply.map(|value| match value {
        Value::Array(mut items) => {
            items.sort_by_key(|item| format!("{item:?}").replace(server, ""));
            Value::Array(items)
        }
        other => other,
    })
}

/// Replaces ids of stream entries and times in milliseconds.
fn canonical(text: &str, seen: &mut Vec<String>) -> String {
    let is_part = |character: char| character.is_ascii_digit() || character == '-';
    let mut result = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|character| !is_part(character)).unwrap_or(from.len());
        let (token, after) = from.split_at(end);
        result.push_str(before);
        match token.split_once('-') {
            Some((millis, sequence)) if millis.len() >= 13 && !sequence.is_empty() => {
                let index = seen.iter().position(|known| known == token).unwrap_or_else(|| {
                    seen.push(token.to_owned());
                    seen.len() - 1
                });
                result.extend(["<entry ", &index.to_string(), ">"]);
            }
            None if token.len() == 13 => result.push_str("<time>"),
            _ => result.push_str(token),
        }
        rest = after;
    }
    result + rest
}
