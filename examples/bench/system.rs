//! The processes that are measured: release builds, on the private services that the environment names.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::Commands;

/// Has more units than anybody buys.
pub(crate) const WON: &str = "won";
/// Has one, which is sold.
pub(crate) const GONE: &str = "gone";

pub(crate) const PREFIX: &str = "bench";

/// A process that ends with this one.
pub(crate) struct Process {
    pub(crate) child: Child,
    /// The first URL that it logs.
    pub(crate) url: Option<String>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn url(process: &Process) -> String {
    process.url.clone().expect("a URL")
}

fn built(name: &str) -> PathBuf {
    let me = std::env::current_exe().expect("this program");
    let examples = me.parent().expect("a folder");
    if name == "flashsale" { examples.with_file_name(name) } else { examples.join(name) }
}

/// Starts a program, and waits until it logs where it listens (`words` before the URL).
fn start(mut command: Command, words: Option<&str>) -> Process {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("start");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
    let url = words.map(|words| {
        let found = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once(words)?;
            Some(rest.split_whitespace().next()?.to_owned())
        });
        found.expect("it listens")
    });
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Process { child, url }
}

pub(crate) fn example(name: &str, arguments: &[&str]) -> Process {
    let mut command = Command::new(built(name));
    command.args(arguments);
    start(command, Some("listening on "))
}

/// One of our processes, with the catalogue of the benchmark.
pub(crate) fn flashsale(arguments: &[&str], distributed: bool, words: Option<&str>) -> Process {
    let mut command = Command::new(built("flashsale"));
    command.args(arguments).env_clear();
    if distributed {
        for name in ["DATABASE_URL", "REDIS_URL", "AMQP_URL"] {
            command.env(name, std::env::var(name).expect("run this with scripts/bench"));
        }
    }
    let catalogue = std::env::temp_dir().join(format!("flashsale-bench-{}.toml", std::process::id()));
    let product = |id: &str, stock: u32| {
        format!(
            "[[products]]\nid = \"{id}\"\nname = \"P\"\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = {stock}\n"
        )
    };
    std::fs::write(&catalogue, product(WON, 100_000_000) + &product(GONE, 1)).expect("catalogue");
    command.env("FLASHSALE_PRODUCTS", catalogue).env("FLASHSALE_PREFIX", PREFIX);
    command.env("FLASHSALE_API_ADDR", "127.0.0.1:0").env("FLASHSALE_WEB_ADDR", "127.0.0.1:0");
    command.env("FLASHSALE_CONTROL_ADDR", "127.0.0.1:0");
    command.env("FLASHSALE_WORK_HEALTH_ADDR", "127.0.0.1:0");
    start(command, words)
}

pub(crate) struct System {
    pub(crate) serve: Process,
    pub(crate) work: Process,
    pub(crate) api: String,
}

impl System {
    pub(crate) fn distributed() -> Self {
        let work = flashsale(&["work"], true, Some("health listening on "));
        let serve = flashsale(&["serve"], true, Some("API listening on "));
        Self::ready(serve, work)
    }

    pub(crate) fn embedded() -> Self {
        let data = std::env::temp_dir().join(format!("flashsale-bench-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        let data = data.to_str().expect("a path");
        let serve = flashsale(&["--data-dir", data, "serve"], false, Some("API listening on "));
        // It has no other process.
        let mut nothing = Command::new("true");
        let work = Process { child: nothing.spawn().expect("true"), url: None };
        Self::ready(serve, work)
    }

    fn ready(serve: Process, work: Process) -> Self {
        let api = url(&serve);
        let system = Self { serve, work, api };
        until("the system is ready", || {
            let body = "{\"userId\":\"first\"}";
            let sold = |product: &str| {
                system.curl(&["-XPOST", "-H", "content-type: application/json", "-d", body, product])
            };
            sold(&format!("products/{GONE}/buy")).contains("SUCCESS")
                || sold(&format!("products/{GONE}/buy")).contains("PURCHASED")
        });
        system
    }

    fn curl(&self, arguments: &[&str]) -> String {
        let (path, arguments) = arguments.split_last().expect("a path");
        let mut command = Command::new("curl");
        let ended =
            command.args(arguments).arg("-s").arg(format!("{}/{path}", self.api)).output().expect("curl");
        String::from_utf8_lossy(&ended.stdout).into_owned()
    }

    /// Measures something while no worker takes messages, as if it had a machine of its own.
    pub(crate) fn without_worker<T>(&mut self, measure: impl FnOnce() -> T) -> T {
        let _ = self.work.child.kill();
        let _ = self.work.child.wait();
        let measured = measure();
        self.work = flashsale(&["work"], true, Some("health listening on "));
        measured
    }

    /// Waits until nothing is on its way.
    pub(crate) fn drained() {
        until("everything is recorded", || in_flight() == 0);
    }
}

pub(crate) fn redis() -> redis::Connection {
    let client = redis::Client::open(std::env::var("REDIS_URL").expect("REDIS_URL")).expect("Redis URL");
    client.get_connection().expect("Redis")
}

/// Purchases in the outbox.
pub(crate) fn in_flight() -> u64 {
    redis().xlen(format!("{PREFIX}:{{{WON}}}:outbox")).expect("XLEN")
}

pub(crate) fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(3);
    while !happened() {
        assert!(Instant::now() < deadline, "not in three minutes: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
