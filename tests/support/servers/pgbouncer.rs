//! A private `PgBouncer`.

use std::process::Command;

use super::{
    postgres::{as_postgres, postgres_answers},
    server::{Server, data_dir, free_port},
};

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
