//! A private PostgreSQL.

use std::{
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::server::{Server, data_dir, free_port};

/// With more options; later ones win.
pub(crate) fn postgres_with(options: &'static [&'static str]) -> Server {
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
        command.args(["-c", "fsync=off", "-c", "max_connections=200"]).args(options);
        command
    };
    Server::launch("postgres", dir, port, command, postgres_answers)
}

pub(super) fn postgres_answers(port: u16) -> bool {
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
pub(super) fn as_postgres(mut command: Command, dir: &Path) -> Command {
    if rustix::process::getuid().is_root() {
        let users = std::fs::read_to_string("/etc/passwd").expect("users");
        let user = users.lines().find(|line| line.starts_with("postgres:")).expect("user postgres");
        let ids: Vec<u32> = user.split(':').skip(2).take(2).map(|id| id.parse().expect("id")).collect();
        chown(dir, Some(ids[0]), Some(ids[1])).expect("chown");
        command.uid(ids[0]).gid(ids[1]);
    }
    command
}
