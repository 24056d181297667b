//! The load generator (wrk), and single requests.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use crate::cpu;

/// Enough to keep two cores busy, few enough that the load generator does not need one of its own.
const CONNECTIONS: &str = "128";

/// Arguments: prefix of the user ids, and how many users attempt in turn (0: each attempt is of a
/// new user).
const BUY: &str = r#"
local n, prefix, users = 0, '', 0
function init(args) prefix = args[1]; users = tonumber(args[2]) end
function request()
  n = n + 1
  local user = prefix .. (users > 0 and n % users or n)
  return wrk.format('POST', nil, {['Content-Type'] = 'application/json'}, '{"userId":"' .. user .. '"}')
end
"#;

#[derive(Clone, Copy)]
pub(crate) enum Load<'a> {
    Get,
    /// `users`: how many users attempt in turn; 0 makes every attempt one of a new user.
    Buy {
        prefix: &'a str,
        users: u32,
    },
}

pub(crate) struct Done {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    pub(crate) generator_cpu_seconds: f64,
}

/// Sends requests for so long over keep-alive connections. Every answer must be of class 2xx.
pub(crate) fn run(url: &str, load: Load<'_>, time: Duration) -> Done {
    let script = tempfile::NamedTempFile::new().expect("a temporary file");
    let (text, prefix, users) = match load {
        Load::Get => ("", "", 0),
        Load::Buy { prefix, users } => (BUY, prefix, users),
    };
    std::fs::write(script.path(), text).expect("write");
    let cpu_before = cpu::seconds_of_ended_children();
    let ended = Command::new("wrk")
        .args(["-t1", "-c", CONNECTIONS, "-d", &format!("{}s", time.as_secs()), "-s"])
        .arg(script.path())
        .args([url, "--", prefix, &users.to_string()])
        .output()
        .expect("wrk is installed");
    let generator_cpu_seconds = cpu::seconds_of_ended_children() - cpu_before;
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(!text.contains("Non-2xx"), "{url}: {text}");
    let number = |found: Option<&str>| -> f64 {
        let found = found.and_then(|found| found.trim().parse().ok());
        found.unwrap_or_else(|| panic!("wrk {url}: {text}"))
    };
    let requests = number(text.lines().find_map(|line| Some(line.split_once(" requests in ")?.0)));
    let per_second = number(text.lines().find_map(|line| line.strip_prefix("Requests/sec:")));
    Done { requests, per_second, generator_cpu_seconds }
}

/// One request on a connection of its own; the answer with its head.
pub(crate) fn once(url: &str, load: Load<'_>) -> std::io::Result<String> {
    let (address, path) = url.trim_start_matches("http://").split_once('/').expect("an address and a path");
    let (method, body) = match load {
        Load::Get => ("GET", String::new()),
        Load::Buy { prefix, users: 0 } => ("POST", format!(r#"{{"userId":"{prefix}probe"}}"#)),
        Load::Buy { prefix, .. } => ("POST", format!(r#"{{"userId":"{prefix}0"}}"#)),
    };
    let length = body.len();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
