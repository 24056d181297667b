//! A private Redis.

use std::process::Command;

use super::server::{Server, answers, data_dir, free_port};

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
