//! The URL of the database, as libpq takes it: several hosts, or the directory of a socket.

use tokio_postgres::{
    Config,
    config::{Host, SslMode, SslNegotiation},
};
use url::form_urlencoded;

use crate::config::ServiceUrl;

const PORT: u16 = 5432;

/// One host of a URL, and how to connect to it.
pub(super) struct DatabaseHost {
    /// Host and port, for messages.
    pub(super) name: String,
    pub(super) config: Config,
}

/// Reads a URL. The error says what it must be.
pub(super) fn read(url: &ServiceUrl) -> Result<Vec<DatabaseHost>, String> {
    if let Some(option) = asks_for_tls(url.expose()) {
        return Err(encrypted(&option));
    }
    let all: Config = url.expose().parse().map_err(|error: tokio_postgres::Error| {
        let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("a URL that PostgreSQL's driver can read: {why}")
    })?;
    // Should the driver read the text in another way.
    if all.get_ssl_mode() == SslMode::Require || all.get_ssl_negotiation() == SslNegotiation::Direct {
        return Err(encrypted("sslmode=require"));
    }
    let hosts = hosts(&all);
    let number = hosts.len().max(all.get_hostaddrs().len());
    if number == 0 {
        return Err("a URL that names its hosts, such as postgres://user:password@one,two/database, or the directory of \
                    a socket, such as postgresql:///database?host=/run/postgresql"
            .to_owned());
    }
    if ![0, 1, number].contains(&all.get_ports().len()) {
        return Err(format!("a URL with one port, or one for each of its {number} hosts"));
    }
    Ok((0..number).map(|index| one_of(&all, &hosts, index)).collect())
}

/// The driver takes the hosts of a `?host=` as one.
fn hosts(all: &Config) -> Vec<String> {
    let named = all.get_hosts().iter().flat_map(|host| match host {
        Host::Tcp(names) => names.split(',').map(str::to_owned).collect::<Vec<_>>(),
        Host::Unix(paths) => paths.to_string_lossy().split(',').map(str::to_owned).collect(),
    });
    named.collect()
}

/// The driver would wait without end for the first host that accepts a connection and says nothing.
fn one_of(all: &Config, hosts: &[String], index: usize) -> DatabaseHost {
    let mut config = Config::new();
    if let Some(user) = all.get_user() {
        config.user(user);
    }
    if let Some(password) = all.get_password() {
        config.password(password);
    }
    if let Some(database) = all.get_dbname() {
        config.dbname(database);
    }
    if let Some(options) = all.get_options() {
        config.options(options);
    }
    let port = all.get_ports().get(index).or(all.get_ports().first()).copied().unwrap_or(PORT);
    let mut name = String::new();
    if let Some(addr) = all.get_hostaddrs().get(index) {
        config.hostaddr(*addr);
        name = addr.to_string();
    }
    if let Some(host) = hosts.get(index) {
        // A host that begins with a slash is the directory of a socket.
        config.host(host);
        name.clone_from(host);
    }
    config.port(port).channel_binding(all.get_channel_binding());
    DatabaseHost { name: format!("{name}:{port}"), config }
}

/// The first option of a query that asks for an encrypted connection. The driver decodes keys and
/// lets the last one win, and knows fewer values than libpq.
fn asks_for_tls(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    form_urlencoded::parse(query.as_bytes()).find_map(|(key, value)| {
        let plain: &[&str] = match &*key {
            "sslmode" => &["disable"],
            "sslnegotiation" => &["postgres"],
            _ => return None,
        };
        (!plain.contains(&&*value)).then(|| format!("{key}={value}"))
    })
}

fn encrypted(option: &str) -> String {
    format!(
        "a URL without {option}: connections to PostgreSQL are not encrypted yet. Set sslmode=disable where the \
         network is private; elsewhere connect through a TLS proxy on this machine, such as stunnel or PgBouncer"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(url: &str) -> Result<Vec<String>, String> {
        let url = ServiceUrl::parse_hosts(url, &["postgres", "postgresql"])?;
        Ok(read(&url)?.into_iter().map(|host| host.name).collect())
    }

    #[test]
    fn hosts_and_sockets_are_read_as_libpq_does() {
        for (url, expected) in [
            ("postgres://shop:p%40ss@db/x", &["db:5432"][..]),
            ("postgres://shop@one:1,two:2/x", &["one:1", "two:2"]),
            ("postgresql:///x?host=one,two&port=7", &["one:7", "two:7"]),
            ("postgres://shop@[::1]:1,127.0.0.1:2/x", &["::1:1", "127.0.0.1:2"]),
            ("postgresql:///x?host=/run/postgresql", &["/run/postgresql:5432"]),
            ("postgresql://shop@%2Frun%2Fpostgresql:7/x?sslmode=disable", &["/run/postgresql:7"]),
            ("postgresql://shop:p@/x?host=/run/postgresql", &["/run/postgresql:5432"]),
            ("postgresql:///x?host=/run/a,two&user=shop", &["/run/a:5432", "two:5432"]),
        ] {
            assert_eq!(
                hosts(url).as_deref(),
                Ok(&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
            );
        }
    }

    #[test]
    fn what_can_not_connect_is_refused_with_its_cause() {
        for (url, said) in [
            (
                "postgres://db/x?sslmode=require",
                "without sslmode=require: connections to PostgreSQL are not encrypted",
            ),
            ("postgres://db/x?connect_timeout=1&sslmode=verify-full", "without sslmode=verify-full"),
            ("postgres://db/x?sslmode=allow", "without sslmode=allow"),
            ("postgres://db/x?sslmode=prefer", "without sslmode=prefer"),
            ("postgres://db/x?sslmode=disable&sslmode=require", "without sslmode=require"),
            ("postgres://db/x?sslmode=require&sslmode=disable", "without sslmode=require"),
            ("postgres://db/x?ssl%6dode=require", "without sslmode=require"),
            ("postgres://db/x?sslmode=verify%2Dca", "without sslmode=verify-ca"),
            ("postgres://db/x?sslmode=disable&sslnegotiation=direct", "without sslnegotiation=direct"),
            ("postgres://db/x?sslrootcert=a.pem", "unknown option `sslrootcert`"),
            ("postgresql:///x", "names its hosts"),
            ("postgres://a:1,b:2,c/x?port=3", "one port"),
            ("postgres://db/x?target_session_attrs=none", "`target_session_attrs`"),
        ] {
            let error = hosts(url).expect_err(url);
            assert!(error.contains(said), "{url}: {error}");
        }
    }
}
