//! A private RabbitMQ.

use std::{net::TcpStream, process::Command};

use super::server::{Server, answers, data_dir, free_port};

/// RabbitMQ, with the name service of its own that it needs.
pub(crate) struct Rabbit {
    pub(crate) node: Server,
    _name_service: Server,
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
    let command = move || {
        // The wrapper in /usr/sbin drops the environment.
        let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
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
    let ready = |port| answers(port, b"AMQP\x00\x00\x09\x01", b"\x01");
    let node = Server::launch("rabbitmq", dir, port, command, ready);
    Rabbit { node, _name_service: name_service }
}
