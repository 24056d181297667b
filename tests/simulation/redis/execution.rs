//! What a command or a script runs on: the data of a server for as long as it has the thread, and the effects so far.

use std::{sync::Arc, time::Duration};

use super::{
    commands::{self, Command, DENY_OOM, LOADING, WRITE},
    keyspace::Keyspace,
    reply::{Failure, Outcome, Request, fail},
};

/// What INFO and ROLE say of a server.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) run_id: String,
    pub(crate) replid: String,
    pub(crate) replid2: String,
    pub(crate) is_replica: bool,
    pub(crate) replicas: usize,
}

/// What a server refuses at present.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Over `maxmemory`, and nothing may be evicted.
    pub(crate) full: bool,
    pub(crate) loading: bool,
}

pub(crate) struct Execution {
    pub(crate) keyspace: Keyspace,
    /// The server's clock, since the Unix epoch.
    pub(crate) now: Duration,
    pub(crate) identity: Arc<Identity>,
    pub(crate) limits: Limits,
    pub(crate) offset: usize,
    /// The writes so far, in the form in which a replica or a replay repeats them.
    pub(crate) effects: Vec<Request>,
    effect: Effect,
}

enum Effect {
    None,
    /// The command as it was sent.
    Verbatim,
    As(Request),
}

pub(crate) const READ_ONLY: &str = "READONLY You can't write against a read only replica.";
pub(crate) const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";
pub(crate) const IS_LOADING: &str = "LOADING Redis is loading the dataset in memory";

impl Execution {
    pub(crate) fn new(
        keyspace: Keyspace,
        now: Duration,
        identity: Arc<Identity>,
        limits: Limits,
        offset: usize,
    ) -> Self {
        Self { keyspace, now, identity, limits, offset, effects: Vec::new(), effect: Effect::None }
    }

    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX)
    }

    /// Marks the command that runs as one that replicas must repeat.
    pub(crate) fn changed(&mut self, changed: bool) {
        if changed {
            self.effect = Effect::Verbatim;
        }
    }

    /// Marks the command that runs as one that replicas must repeat in another form.
    pub(crate) fn changed_as<'a>(&mut self, words: impl IntoIterator<Item = &'a [u8]>) {
        self.effect = Effect::As(words.into_iter().map(<[u8]>::to_vec).collect());
    }

    /// A command that a client has sent by itself.
    pub(crate) fn run_for_client(&mut self, command: &Command, request: Request) -> Outcome {
        self.admit(command)?;
        self.run(command, request)
    }

    /// Whether the server accepts the command at present.
    pub(crate) fn admit(&self, command: &Command) -> Result<(), Failure> {
        if self.limits.full && command.is(DENY_OOM) {
            return fail(OUT_OF_MEMORY);
        }
        if self.identity.is_replica && command.is(WRITE) {
            return fail(READ_ONLY);
        }
        if self.limits.loading && !command.is(LOADING) {
            return fail(IS_LOADING);
        }
        Ok(())
    }

    pub(crate) fn run(&mut self, command: &Command, request: Request) -> Outcome {
        let [_, args @ ..] = request.as_slice() else { return fail("ERR empty command") };
        let outcome = (command.run)(self, args);
        match std::mem::replace(&mut self.effect, Effect::None) {
            Effect::None => {}
            Effect::Verbatim => self.effects.push(request),
            Effect::As(request) => self.effects.push(request),
        }
        outcome
    }

    /// Deletes the keys whose time has come.
    pub(crate) fn expire(&mut self) {
        for key in self.keyspace.expired(self.millis()) {
            self.keyspace.remove(&key);
            self.effects.push(vec![b"DEL".to_vec(), key]);
        }
    }

    /// Repeats effects of another server, or of an earlier life of this one.
    pub(crate) fn repeat(&mut self, effects: &[Request]) {
        for request in effects {
            let command =
                request.first().and_then(|name| commands::find(name)).expect("an effect is a command");
            self.run(command, request.clone()).expect("an effect that was possible before is possible again");
        }
        self.effects.clear();
    }
}
