//! A private nginx in front of our processes.

use std::{net::TcpStream, path::Path, process::Command};

use tempfile::TempDir;

use super::servers::{Server, free_port, start_plain};

/// A certificate for a name, signed by itself, and its key.
pub(crate) struct Certificate {
    dir: TempDir,
}

impl Certificate {
    pub(crate) fn of(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]);
        command.args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", &format!("/CN={name}")]);
        command.args(["-addext", &format!("subjectAltName=DNS:{name}")]);
        command.args(["-keyout", "key.pem", "-out", "certificate.pem"]).current_dir(dir.path());
        let made = command.output().expect("openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { dir }
    }

    pub(crate) fn path(&self) -> String {
        self.dir.path().join("certificate.pem").display().to_string()
    }

    pub(crate) fn key_path(&self) -> String {
        self.dir.path().join("key.pem").display().to_string()
    }
}

/// A running nginx on a port of its own.
pub(crate) struct Nginx {
    pub(crate) port: u16,
    _process: Server,
    /// Its configuration, and what it writes.
    _dir: TempDir,
}

impl Nginx {
    /// With what is in the block `http` of a configuration; `PORT` in it is replaced.
    pub(crate) async fn with(http: &str) -> Self {
        let port = free_port();
        let http = http.replace("PORT", &port.to_string());
        let main = "worker_rlimit_nofile 20000;\nevents { worker_connections 8192; }";
        Self::start(port, &format!("{main}\nhttp {{\naccess_log off;\n{http}\n}}")).await
    }

    /// With one of our files in `config`, changed where a test's addresses differ.
    pub(crate) async fn of_file(name: &str, changes: &[(&str, &str)]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
        let mut configuration = std::fs::read_to_string(&path).expect("a configuration");
        let port = free_port();
        for (from, to) in changes {
            assert!(configuration.contains(from), "{name} does not contain {from:?}");
            configuration = configuration.replace(from, &to.replace("PORT", &port.to_string()));
        }
        Self::start(port, &configuration).await
    }

    async fn start(port: u16, configuration: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("flashsale-nginx-").tempdir().expect("a directory");
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let folders = kinds.map(|kind| format!("{kind}_temp_path {}/{kind};", dir.path().display()));
        let own = format!("http {{\n{}\n", folders.join("\n"));
        assert_eq!(configuration.matches("http {").count(), 1, "{configuration}");
        let file = dir.path().join("nginx.conf");
        std::fs::write(&file, configuration.replace("http {", &own)).expect("write");
        let pid = dir.path().join("pid");
        let command = move || {
            let mut command = Command::new("/usr/sbin/nginx");
            let main = format!("daemon off; user root root; pid {}; error_log stderr warn;", pid.display());
            command.arg("-c").arg(&file).args(["-g", &main]);
            command
        };
        let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        let starting = tokio::task::spawn_blocking(move || start_plain("nginx", port, command, listens));
        Self { port, _process: starting.await.expect("nginx"), _dir: dir }
    }
}
