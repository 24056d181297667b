//! One build of flashsale under measurement: its processes, distributed and embedded.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::Commands;
use tempfile::TempDir;

use crate::{
    load::{Load, once},
    servers::server::free_port,
    services::Services,
};

/// A product with more units than the benchmark buys.
pub(crate) const IN_STOCK: &str = "in-stock";
/// A product with one unit, which is sold.
pub(crate) const SOLD_OUT: &str = "sold-out";

/// A process that is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    /// Base URL without a slash at the end.
    pub(crate) url: String,
}

impl Process {
    pub(crate) fn start(mut command: Command, port: u16, log: &Path) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(log).expect("log file");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("start");
        Self { child, url: format!("http://127.0.0.1:{port}") }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Several builds run beside each other on the same services, each with a prefix and a database of
/// its own (both are called `label`).
pub(crate) struct Build<'a> {
    pub(crate) label: &'static str,
    pub(crate) services: &'a Services,
    binary: PathBuf,
    folder: TempDir,
    pub(crate) serve: Process,
    pub(crate) work: Option<Process>,
    pub(crate) embedded: Process,
}

impl<'a> Build<'a> {
    pub(crate) fn start(label: &'static str, binary: &Path, services: &'a Services) -> Self {
        services.create_database(label);
        let folder = tempfile::Builder::new().prefix("flashsale-bench-").tempdir().expect("a folder");
        let product = |id: &str, stock: u32| {
            format!(
                "[[products]]\nid = \"{id}\"\nname = \"P\"\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = {stock}\n"
            )
        };
        let catalogue = product(IN_STOCK, 100_000_000) + &product(SOLD_OUT, 1);
        std::fs::write(folder.path().join("products.toml"), catalogue).expect("catalogue");
        let run = |arguments: &[&str], services| start(binary, &folder, label, arguments, services);
        let (serve, work) = (run(&["serve"], Some(services)), run(&["work"], Some(services)));
        let data = folder.path().join("data");
        let embedded = run(&["--data-dir", data.to_str().expect("a path"), "serve"], None);
        for api in [&serve, &embedded] {
            until("both products are on sale", || {
                let buy = |product: &str| {
                    let url = format!("{}/products/{product}/buy", api.url);
                    once(&url, Load::Buy { prefix: "first-", users: 0 }).unwrap_or_default()
                };
                [IN_STOCK, SOLD_OUT].iter().all(|product| buy(product).contains("purchaseId"))
            });
        }
        let binary = binary.to_owned();
        Self { label, services, binary, folder, serve, work: Some(work), embedded }
    }

    /// Another process of the distributed system.
    pub(crate) fn run(&self, arguments: &[&str]) -> Process {
        start(&self.binary, &self.folder, self.label, arguments, Some(self.services))
    }

    /// Runs a sale of `stress` against the API, to its end; its result as JSON.
    pub(crate) fn stress(&self, arguments: &[&str]) -> serde_json::Value {
        let json = self.folder.path().join("stress.json");
        let mut command = Command::new(&self.binary);
        command.args(["stress", "--api", &self.serve.url, "--product", IN_STOCK]).args(arguments);
        command.arg("--json").arg(&json).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("stress");
        serde_json::from_slice(&std::fs::read(&json).expect("the result")).expect("JSON")
    }

    pub(crate) fn stop_worker(&mut self) {
        self.work = None;
    }

    pub(crate) fn start_worker(&mut self) {
        self.work = Some(self.run(&["work"]));
    }

    /// A key of the product that is in stock.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}:{{{IN_STOCK}}}:{name}", self.label)
    }

    /// Purchases that are not known to be recorded yet.
    pub(crate) fn in_flight(&self) -> u64 {
        self.services.redis().xlen(self.key("outbox")).expect("XLEN")
    }

    pub(crate) fn wait_until_recorded(&self) {
        until("every purchase is recorded", || self.in_flight() == 0);
    }
}

fn start(
    binary: &Path,
    folder: &TempDir,
    label: &str,
    arguments: &[&str],
    services: Option<&Services>,
) -> Process {
    let mut command = Command::new(binary);
    command.args(arguments).env_clear();
    command.envs(services.into_iter().flat_map(|services| services.environment(label)));
    command.env("FLASHSALE_PRODUCTS", folder.path().join("products.toml"));
    command.env("FLASHSALE_PREFIX", label);
    // Builds differ in the name of the console's section; unknown variables are only warned of.
    for section in ["CONTROL", "CONSOLE", "WORK_HEALTH"] {
        command.env(format!("FLASHSALE_{section}_ADDR"), "127.0.0.1:0");
    }
    let (port, other) = (free_port().to_string(), free_port().to_string());
    let is_web = arguments.contains(&"web");
    let (api, web) = if is_web { (&other, &port) } else { (&port, &other) };
    command.env("FLASHSALE_API_ADDR", format!("127.0.0.1:{api}"));
    command.env("FLASHSALE_WEB_ADDR", format!("127.0.0.1:{web}"));
    let port = port.parse().expect("a port");
    Process::start(command, port, &folder.path().join("log"))
}

pub(crate) fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(3);
    while !happened() {
        assert!(Instant::now() < deadline, "not in three minutes: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
