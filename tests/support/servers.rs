//! Private servers on free ports, each with its own data directory, started as direct children and ended with
//! the test. What was on the machine before is never touched.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::{fs::chown, process::CommandExt},
    path::PathBuf,
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
    name: &'static str,
    dir: TempDir,
    pub(crate) port: u16,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    ready: Box<dyn Fn(u16) -> bool + Send + Sync>,
    child: Option<Child>,
}

impl Server {
    fn launch(
        name: &'static str,
        dir: TempDir,
        port: u16,
        command: impl Fn() -> Command + Send + Sync + 'static,
        ready: impl Fn(u16) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (command, ready) = (Box::new(command), Box::new(ready));
        let mut server = Self { name, dir, port, command, ready, child: None };
        server.start();
        server
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// With more arguments, this time.
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

    /// Ends it like a power failure.
    pub(crate) fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Ends it as an operator does.
    pub(crate) fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Sends a signal to the server itself.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a running server");
        rustix::process::kill_process(Pid::from_child(child), signal).expect("signal");
    }

    /// Deletes everything that it has stored (which all of them keep in folders). It must not be running.
    pub(crate) fn wipe(&self) {
        assert!(self.child.is_none(), "{} is running", self.name);
        for entry in std::fs::read_dir(self.dir.path()).expect("data").flatten() {
            if entry.path().is_dir() {
                std::fs::remove_dir_all(entry.path()).expect("remove");
            }
        }
    }

    /// Its process id. It must be running.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().expect("a running server").id()
    }

    /// Whether it is running, as far as this test has had to do with it.
    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Where it keeps its data.
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Copies what it has stored so far, as a snapshot of its disk would.
    pub(crate) fn save_to(&self, folder: &std::path::Path) {
        copy(self.dir.path(), folder);
    }

    /// Puts a copy back. It must not be running.
    pub(crate) fn restore_from(&self, folder: &std::path::Path) {
        assert!(self.child.is_none(), "{} is running", self.name);
        copy(folder, self.dir.path());
    }

    fn end(&mut self, signal: Signal) {
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

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).expect("folder").flatten() {
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            std::fs::create_dir_all(&copied).expect("folder");
            copy(&path, &copied);
        } else {
            std::fs::copy(&path, &copied).expect("copy");
        }
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
        self.kill();
    }
}

/// A port that was free a moment ago, below those that the system gives to outgoing connections, so that a server
/// finds it free again after a restart.
pub(crate) fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(10_000..32_000)).take(1000).find(free).expect("a free port")
}

fn data_dir() -> TempDir {
    tempfile::Builder::new().prefix("flashsale-test-").tempdir().expect("a temporary directory")
}

/// Says something to a port and looks for something in the answer.
fn answers(port: u16, question: &[u8], expected: &[u8]) -> bool {
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

/// A server that needs nothing but its port.
pub(crate) fn start_plain(
    name: &'static str,
    port: u16,
    command: impl Fn() -> Command + Send + Sync + 'static,
    ready: impl Fn(u16) -> bool + Send + Sync + 'static,
) -> Server {
    Server::launch(name, data_dir(), port, command, ready)
}

pub(crate) fn redis() -> Server {
    redis_with(&["--appendfsync", "everysec"])
}

/// With more options; later ones win.
pub(crate) fn redis_with(options: &'static [&'static str]) -> Server {
    let (dir, port) = (data_dir(), free_port());
    let path = dir.path().to_owned();
    let command = move || {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--maxmemory-policy", "noeviction"]);
        command.arg("--dir").arg(&path).args(options);
        command
    };
    Server::launch("redis", dir, port, command, |port| answers(port, b"PING\r\n", b"+PONG"))
}

/// RabbitMQ, with the name service of its own that it needs.
pub(crate) struct Rabbit {
    pub(crate) node: Server,
    control: Box<dyn Fn() -> Command + Send + Sync>,
    _name_service: Server,
}

impl Rabbit {
    /// Runs one of RabbitMQ's own commands for operators.
    pub(crate) fn control(&self, arguments: &[&str]) -> String {
        let ended = (self.control)().args(arguments).output().expect("rabbitmqctl");
        let (out, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "rabbitmqctl {arguments:?}: {out}{errors}");
        out.into_owned()
    }

    /// Runs a shell script that calls `rabbitmqctl`.
    pub(crate) fn script(&self, path: &str, variables: &[(&str, &str)]) {
        let control = (self.control)();
        let program = PathBuf::from(control.get_program());
        let programs = program.parent().expect("a folder").display().to_string();
        let path_variable = format!("{programs}:{}", std::env::var("PATH").expect("PATH"));
        let mut script = Command::new("sh");
        script.arg(path).env("PATH", path_variable).envs(variables.iter().copied());
        script.envs(control.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ended = script.output().expect("sh");
        let (out, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "{path}: {out}{errors}");
    }

    /// Whether the node would know a quorum queue again after a power failure. It notes new ones on disk with a
    /// delay of its own, and one that is killed before that has a queue that never answers.
    pub(crate) fn remembers(&self, queue: &str) -> bool {
        let node = format!("flashsale{}@localhost", self.node.port);
        let names = self.node.dir.path().join(format!("mnesia/{node}/quorum/{node}/names.dets"));
        let noted = std::fs::read(names).unwrap_or_default();
        // Other queues' names may go on after it.
        let ends = |rest: &[u8]| rest.first().is_none_or(|byte| *byte != b'.');
        let mut places =
            (0..noted.len()).filter_map(|place| noted.get(place..)?.strip_prefix(queue.as_bytes()));
        places.any(ends)
    }
}

pub(crate) fn rabbitmq() -> Rabbit {
    let names_port = free_port();
    let name_command = move || {
        let mut command = Command::new("epmd");
        command.args(["-port", &names_port.to_string(), "-address", "127.0.0.1"]);
        command
    };
    let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
    let name_service = Server::launch("epmd", data_dir(), names_port, name_command, listens);
    let (dir, port, distribution_port) = (data_dir(), free_port(), free_port());
    let path = dir.path().to_owned();
    std::fs::write(path.join("plugins"), "[].").expect("plugins file");
    std::fs::write(path.join("rabbitmq.conf"), format!("listeners.tcp.1 = 127.0.0.1:{port}"))
        .expect("configuration");
    let program = move |name: &str| {
        // The wrapper in /usr/sbin drops the environment.
        let mut command = Command::new(format!("/usr/lib/rabbitmq/bin/{name}"));
        command
            .env("HOME", &path)
            .env("RABBITMQ_NODENAME", format!("flashsale{port}@localhost"))
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", distribution_port.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("ERL_EPMD_PORT", names_port.to_string())
            .env("RABBITMQ_CONFIG_FILE", path.join("rabbitmq.conf"))
            .env("RABBITMQ_MNESIA_BASE", path.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", path.join("log"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path.join("plugins"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
        command
    };
    let controlling = program.clone();
    let ready = |port| answers(port, b"AMQP\x00\x00\x09\x01", b"\x01");
    let node = Server::launch("rabbitmq", dir, port, move || program("rabbitmq-server"), ready);
    let control = Box::new(move || controlling("rabbitmqctl"));
    Rabbit { node, control, _name_service: name_service }
}

pub(crate) fn postgres() -> Server {
    let programs = postgres_programs();
    let (dir, port) = (data_dir(), free_port());
    let data = dir.path().join("data");
    let initdb = programs.join("initdb");
    let mut init = as_postgres(Command::new(initdb), dir.path());
    init.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"])
        .arg(&data);
    let made = init.output().expect("initdb");
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let (program, home) = (programs.join("postgres"), dir.path().to_owned());
    let command = move || {
        let mut command = as_postgres(Command::new(&program), &home);
        command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-k", "", "-h", "127.0.0.1"]);
        // A kill -9 leaves the page cache intact, so that tests don't need the disk.
        command.args(["-c", "fsync=off", "-c", "max_connections=200"]);
        command
    };
    Server::launch("postgres", dir, port, command, postgres_answers)
}

/// A pool in front of a PostgreSQL, with this `pool_mode`.
pub(crate) fn pgbouncer(postgres: u16, mode: &'static str) -> Server {
    let (dir, port) = (data_dir(), free_port());
    let file = dir.path().join("pgbouncer.ini");
    let config = format!(
        "[databases]\n* = host=127.0.0.1 port={postgres} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1
         listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = 50\n"
    );
    std::fs::write(&file, config.replace("\n         ", "\n")).expect("configuration");
    let home = dir.path().to_owned();
    let command = move || {
        let mut command = as_postgres(Command::new("/usr/sbin/pgbouncer"), &home);
        command.arg(&file);
        command
    };
    Server::launch("pgbouncer", dir, port, command, postgres_answers)
}

fn postgres_answers(port: u16) -> bool {
    let mut ask = Command::new("psql");
    ask.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres", "-c", "SELECT 1"]);
    ask.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Debian keeps the server's programs out of PATH.
fn postgres_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let mut found: Vec<_> = versions.flatten().map(|version| version.path().join("bin")).collect();
    found.retain(|bin| bin.join("postgres").exists());
    found.sort();
    found.pop().expect("PostgreSQL's server is installed")
}

/// PostgreSQL refuses to run as root: as the user `postgres` then, who is given the directory.
fn as_postgres(mut command: Command, dir: &std::path::Path) -> Command {
    if rustix::process::getuid().is_root() {
        let users = std::fs::read_to_string("/etc/passwd").expect("users");
        let user = users.lines().find(|line| line.starts_with("postgres:")).expect("user postgres");
        let ids: Vec<u32> = user.split(':').skip(2).take(2).map(|id| id.parse().expect("id")).collect();
        chown(dir, Some(ids[0]), Some(ids[1])).expect("chown");
        command.uid(ids[0]).gid(ids[1]);
    }
    command
}
