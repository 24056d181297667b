//! One server: its data, the log of its writes, and who it says it is.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    commands,
    execution::{Execution, IS_LOADING, Identity, Limits, OUT_OF_MEMORY, READ_ONLY},
    keyspace::Keyspace,
    lua::{Interpreter, Script},
    reply::{Bytes, Failure, Outcome, Reply, Request, fail},
};

/// The effects of one command, script or transaction: kept, replicated and lost as a whole.
pub(crate) type Write = Arc<Vec<Request>>;

pub(crate) struct Server {
    pub(crate) keyspace: Keyspace,
    /// All writes that have made the data. A replica has a copy of the first ones.
    pub(crate) log: Vec<Write>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) limits: Limits,
    /// Scripts that were loaded since the process began.
    scripts: BTreeSet<String>,
}

impl Server {
    pub(crate) fn new(run_id: String, replid: String) -> Self {
        let identity = Identity { run_id, replid, replid2: "0".repeat(40), is_replica: false, replicas: 0 };
        Self {
            keyspace: Keyspace::default(),
            log: Vec::new(),
            identity: Arc::new(identity),
            limits: Limits::default(),
            scripts: BTreeSet::new(),
        }
    }

    pub(crate) fn change_identity(&mut self, change: impl FnOnce(&mut Identity)) {
        change(Arc::make_mut(&mut self.identity));
    }

    pub(crate) fn execute(
        &mut self,
        interpreter: &mut Interpreter,
        now: Duration,
        request: Request,
    ) -> Reply {
        let mut execution = self.begin(now);
        let reply = self.run(interpreter, &mut execution, request).into();
        self.end(execution);
        reply
    }

    /// `MULTI`, the requests, `EXEC`. Nothing runs where one of them would be refused.
    pub(crate) fn execute_all(
        &mut self,
        interpreter: &mut Interpreter,
        now: Duration,
        requests: Vec<Request>,
    ) -> Reply {
        let mut execution = self.begin(now);
        let refused = requests.iter().any(|request| match check(request) {
            Ok(Some(command)) => execution.admit(command).is_err(),
            Ok(None) => self.limits.loading,
            Err(_) => true,
        });
        let reply = if refused {
            Reply::Error("EXECABORT Transaction discarded because of previous errors.".to_owned())
        } else {
            let run = |request| self.run(interpreter, &mut execution, request).into();
            Reply::Array(requests.into_iter().map(run).collect())
        };
        self.end(execution);
        reply
    }

    fn begin(&mut self, now: Duration) -> Execution {
        let keyspace = std::mem::take(&mut self.keyspace);
        let mut execution = Execution::new(keyspace, now, self.identity.clone(), self.limits, self.log.len());
        // A replica waits for its primary to delete what has expired.
        if !self.identity.is_replica {
            execution.expire();
        }
        execution
    }

    fn end(&mut self, execution: Execution) {
        self.keyspace = execution.keyspace;
        if !execution.effects.is_empty() {
            self.log.push(Arc::new(execution.effects));
        }
    }

    fn run(&mut self, interpreter: &mut Interpreter, execution: &mut Execution, request: Request) -> Outcome {
        match check(&request)? {
            Some(command) => execution.run_for_client(command, request),
            None if self.limits.loading => fail(IS_LOADING),
            None if request[0].eq_ignore_ascii_case(b"SCRIPT") => self.script(interpreter, &request[1..]),
            None => self.eval(interpreter, execution, &request),
        }
    }

    fn script(&mut self, interpreter: &mut Interpreter, args: &[Bytes]) -> Outcome {
        match args {
            [word, text] if word.eq_ignore_ascii_case(b"LOAD") => {
                let (sha, _) = interpreter.compile(text)?;
                self.scripts.insert(sha.clone());
                Ok(Reply::bulk(sha))
            }
            [word, ..] if word.eq_ignore_ascii_case(b"FLUSH") => {
                self.scripts.clear();
                Ok(Reply::ok())
            }
            [word, names @ ..] if word.eq_ignore_ascii_case(b"EXISTS") => {
                let known = |name: &Bytes| self.scripts.contains(&lowercase(name));
                Ok(Reply::Array(names.iter().map(|name| Reply::Int(known(name).into())).collect()))
            }
            _ => fail("ERR unknown subcommand. Try SCRIPT HELP."),
        }
    }

    fn eval(
        &mut self,
        interpreter: &mut Interpreter,
        execution: &mut Execution,
        request: &[Bytes],
    ) -> Outcome {
        let [_, script, count, words @ ..] = request else { return fail("ERR syntax error") };
        let count: i64 = std::str::from_utf8(count)
            .ok()
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| Failure("ERR value is not an integer or out of range".to_owned()))?;
        let Ok(count) = usize::try_from(count) else { return fail("ERR Number of keys can't be negative") };
        if count > words.len() {
            return fail("ERR Number of keys can't be greater than number of args");
        }
        let (sha, script) = if request[0].eq_ignore_ascii_case(b"EVAL") {
            interpreter.compile(script)?
        } else {
            let sha = lowercase(script);
            let known = self.scripts.contains(&sha).then(|| interpreter.compiled(&sha)).flatten();
            let missing = || Failure("NOSCRIPT No matching script. Please use EVAL.".to_owned());
            (sha, known.ok_or_else(missing)?)
        };
        self.scripts.insert(sha.clone());
        may_begin(execution, &script)?;
        Ok(interpreter.run(&script, &sha, words.split_at(count), execution))
    }

    /// Ends the process and starts it again, with the first `kept` of its writes.
    pub(crate) fn restart(&mut self, kept: usize, run_id: String, replid: String) {
        self.restore(kept);
        self.scripts.clear();
        self.change_identity(|identity| {
            identity.run_id = run_id;
            identity.replid2 = std::mem::replace(&mut identity.replid, replid);
        });
    }

    /// Goes back to the data that the first `kept` writes have made.
    fn restore(&mut self, kept: usize) {
        self.log.truncate(kept);
        self.keyspace = self.replay();
    }

    /// The data that the log makes. Always what the server has.
    pub(crate) fn replay(&self) -> Keyspace {
        let mut execution = self.replaying(Keyspace::default());
        for write in &self.log {
            execution.repeat(write);
        }
        execution.keyspace
    }

    /// At the start of time, so that nothing expires by itself.
    fn replaying(&self, keyspace: Keyspace) -> Execution {
        Execution::new(keyspace, Duration::ZERO, self.identity.clone(), Limits::default(), 0)
    }

    /// Takes over the first `length` writes of a primary: the missing ones, or all where the histories differ.
    pub(crate) fn follow(&mut self, primary: &[Write], length: usize) {
        let ours = self.log.len();
        let shared = match ours.checked_sub(1) {
            None => true,
            Some(last) => primary.get(last).is_some_and(|write| Arc::ptr_eq(write, &self.log[last])),
        };
        if !shared {
            self.log = primary[..length].to_vec();
            self.keyspace = self.replay();
        } else if length > ours {
            let missing = &primary[ours..length];
            let keyspace = std::mem::take(&mut self.keyspace);
            let mut execution = self.replaying(keyspace);
            for write in missing {
                execution.repeat(write);
            }
            self.keyspace = execution.keyspace;
            self.log.extend_from_slice(missing);
        }
    }
}

/// The command of a request, or none where it is about scripts.
fn check(request: &[Bytes]) -> Result<Option<&'static commands::Command>, Failure> {
    let Some(name) = request.first() else { return fail("ERR empty command") };
    let shown = lowercase(name);
    let (found, takes) = match (commands::find(name), shown.as_str()) {
        (Some(command), _) => (Some(command), command.takes(request.len())),
        (None, "eval" | "evalsha") => (None, request.len() >= 3),
        (None, "script") => (None, request.len() >= 2),
        _ => return fail(format!("ERR unknown command '{}'", String::from_utf8_lossy(name))),
    };
    if takes { Ok(found) } else { fail(format!("ERR wrong number of arguments for '{shown}' command")) }
}

/// What a script with a first line `#!lua` says of itself decides before it runs.
fn may_begin(execution: &Execution, script: &Script) -> Result<(), Failure> {
    if !script.has_shebang || script.no_writes {
        return Ok(());
    }
    if execution.limits.full && !script.allow_oom {
        return fail(OUT_OF_MEMORY);
    }
    if execution.identity.is_replica {
        return fail(READ_ONLY);
    }
    Ok(())
}

fn lowercase(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_lowercase()
}
