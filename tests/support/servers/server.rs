//! One server process, with a data directory and a port of its own.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// Starting takes seconds; on a machine where everything runs at once, many.
const START_DEADLINE: Duration = Duration::from_mins(2);
/// In the log of a PostgreSQL whose former backends are still there.
const OUTLIVED: &str = "pre-existing shared memory block";

/// One server process, which can be killed and started again on the same port and data.
pub(crate) struct Server {
    pub(super) name: &'static str,
    pub(super) dir: TempDir,
    pub(crate) port: u16,
    pub(super) command: Box<dyn Fn() -> Command + Send + Sync>,
    ready: Box<dyn Fn(u16) -> bool + Send + Sync>,
    /// `None`: it was ended, and not started again.
    pub(crate) child: Option<Child>,
}

impl Server {
    pub(super) fn launch(
        name: &'static str,
        dir: TempDir,
        port: u16,
        command: impl Fn() -> Command + Send + Sync + 'static,
        ready: impl Fn(u16) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (command, ready) = (Box::new(command), Box::new(ready));
        let mut server = Self { name, dir, port, command, ready, child: None };
        server.start_with(&[]);
        server
    }

    /// Starts it, with more arguments this time, and waits until it answers.
    pub(crate) fn start_with(&mut self, arguments: &[&str]) {
        let log = || {
            let path = self.dir.path().join(format!("{}.log", self.name));
            Stdio::from(std::fs::File::options().create(true).append(true).open(path).expect("log file"))
        };
        let mut command = (self.command)();
        command.args(arguments).process_group(0).stdin(Stdio::null()).stdout(log()).stderr(log());
        let child = command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", self.name));
        self.child = Some(child);
        let deadline = Instant::now() + START_DEADLINE;
        while !(self.ready)(self.port) {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("wait"));
            // Backends of a PostgreSQL that was killed outlive it for a moment, and it does not start beside them.
            if ended.is_some() && self.log().lines().rev().take(2).any(|line| line.contains(OUTLIVED)) {
                assert!(Instant::now() < deadline, "{}", self.log());
                self.child = Some(command.spawn().expect("the same command"));
                continue;
            }
            assert!(ended.is_none(), "{} ended: {ended:?}\n{}", self.name, self.log());
            assert!(Instant::now() < deadline, "{} is not ready in time\n{}", self.name, self.log());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    pub(super) fn end(&mut self, signal: Signal) {
        if let Some(mut child) = self.child.take() {
            // The group: some start scripts have children of their own.
            let _ = kill_process_group(Pid::from_child(&child), signal);
            child.wait().expect("reap");
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join(format!("{}.log", self.name))).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!(
                "--- end of the log of {}:\n{}",
                self.name,
                lines[lines.len().saturating_sub(60)..].join("\n")
            );
        }
        self.end(Signal::KILL);
    }
}

/// A port that was free a moment ago, below those that the system gives to outgoing connections, so that a server
/// finds it free again after a restart.
pub(crate) fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(10_000..32_000)).take(1000).find(free).expect("a free port")
}

pub(super) fn data_dir() -> TempDir {
    tempfile::Builder::new().prefix("flashsale-test-").tempdir().expect("a temporary directory")
}

/// Says something to a port and looks for something in the answer.
pub(super) fn answers(port: u16, question: &[u8], expected: &[u8]) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(question)?;
        let mut answer = [0; 64];
        let length = stream.read(&mut answer)?;
        Ok(answer[..length].starts_with(expected))
    };
    ask().unwrap_or(false)
}
