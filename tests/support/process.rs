//! Our own processes: the real binary, with its own environment, killed with the test.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{SOON, eventually};

/// How long a process may take to say that it listens.
const START: Duration = Duration::from_mins(1);

/// A running `flashsale`.
pub(crate) struct Flashsale {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    printed: Arc<Mutex<Vec<String>>>,
    arguments: String,
}

/// Reads lines until the other end is closed.
fn collect(from: impl std::io::Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let written = lines.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            written.lock().expect("lines").push(line);
        }
    });
    lines
}

impl Flashsale {
    /// Starts the program with these arguments and variables, and nothing else of the environment. `FLASHSALE_MUTANT`
    /// starts the one with a mistake built in.
    pub(crate) fn spawn(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start(Self::command(arguments, variables), Stdio::piped(), Stdio::piped())
    }

    /// The command that [`Flashsale::spawn`] runs.
    pub(crate) fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_flashsale"));
        let faulty = program.with_file_name("examples").join("faulty");
        let is_faulty = variables.iter().any(|(name, _)| *name == "FLASHSALE_MUTANT");
        let mut command = Command::new(if is_faulty { faulty } else { program });
        command.args(arguments).env_clear().envs(variables.iter().copied());
        command
    }

    /// The same command in a shell that does something before: what only a process can do to itself.
    pub(crate) fn after(preparation: &str, plain: &Command) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{preparation}; exec \"$0\" \"$@\"")]).arg(plain.get_program());
        command.args(plain.get_args()).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Runs a command with these streams as its standard output and its log. What is not piped is not known here.
    pub(crate) fn start(command: Command, stdout: Stdio, stderr: Stdio) -> Self {
        Self::start_with(command, Stdio::null(), stdout, stderr)
    }

    /// With a standard input as well.
    pub(crate) fn start_with(mut command: Command, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Self {
        let mut child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn().expect("flashsale");
        let lines = child.stderr.take().map(collect).unwrap_or_default();
        let printed = child.stdout.take().map(collect).unwrap_or_default();
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        Self { child, lines, printed, arguments: words.join(" ") }
    }

    /// What it has written to its standard output, once it has ended.
    pub(crate) fn printed(&self) -> String {
        // The thread that reads it lets go of it at the end.
        while Arc::strong_count(&self.printed) > 1 {
            std::thread::yield_now();
        }
        self.printed.lock().expect("lines").join("\n")
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.lines.lock().expect("lines").join("\n")
    }

    /// Waits for a line that contains `text` on its standard output.
    pub(crate) async fn prints(&self, text: &str) {
        let found = async || {
            let printed = self.printed.lock().expect("lines");
            printed.iter().any(|line| line.contains(text)).then_some(())
        };
        eventually(text, START, found).await;
    }

    /// Waits for a line that contains `text`, and gives what follows it.
    pub(crate) async fn logs(&self, text: &str) -> String {
        let found = async || {
            let lines = self.lines.lock().expect("lines");
            lines.iter().find_map(|line| Some(line.split_once(text)?.1.trim().to_owned()))
        };
        let waited = tokio::time::timeout(START, eventually(text, START * 2, found)).await;
        waited.unwrap_or_else(|_| panic!("`{}` never logged {text:?}:\n{}", self.arguments, self.log()))
    }

    /// A base URL, from a log in either format.
    async fn base(&self, text: &str) -> String {
        let rest = self.logs(text).await;
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    /// The base URL of the API.
    pub(crate) async fn api(&self) -> String {
        self.base("API listening on ").await
    }

    /// The base URL of the pages.
    pub(crate) async fn shop(&self) -> String {
        self.base("shop listening on ").await
    }

    /// The base URL of the operations console.
    pub(crate) async fn console(&self) -> String {
        self.base("operations console listening on ").await
    }

    /// The base URL of a worker's health.
    pub(crate) async fn health(&self) -> String {
        self.base("health listening on ").await
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signal");
    }

    /// kill -9, and reaped.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Waits for it to end by itself.
    pub(crate) async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("the end of `{}`", self.arguments);
        let child = &mut self.child;
        let status = eventually(&what, deadline, async || child.try_wait().expect("wait")).await;
        // The thread that reads its log may still be at the last lines. Another process may hold the stream open.
        let lines = &self.lines;
        let read = eventually("its log", START, async || (Arc::strong_count(lines) == 1).then_some(()));
        let _ = tokio::time::timeout(Duration::from_secs(1), read).await;
        status
    }

    /// Waits until it ends by itself with this code, and gives what follows `why` in its log.
    pub(crate) async fn refused(mut self, code: i32, why: &str) -> String {
        assert_eq!(self.ended(SOON).await.code(), Some(code), "`{}`:\n{}", self.arguments, self.log());
        self.logs(why).await
    }
}

/// Whether the kernel has stopped a process (SIGSTOP), which it does thread by thread.
pub(crate) fn is_stopped(id: u32) -> bool {
    let is_stopped = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    };
    std::fs::read_dir(format!("/proc/{id}/task")).is_ok_and(|threads| threads.flatten().all(is_stopped))
}

impl Drop for Flashsale {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of `{}`:\n{}", self.arguments, self.log());
        }
    }
}
