//! Opening a connection to RabbitMQ.

use lapin::{
    Connection, ConnectionProperties,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    uri::AMQPUri,
};
use tokio::time::timeout;

use super::RabbitOptions;
use crate::broker::BrokerError;

impl From<lapin::Error> for BrokerError {
    fn from(error: lapin::Error) -> Self {
        match refusal(&error) {
            Some(words) => Self::AccessRefused(words),
            None => Self::Driver(error.into()),
        }
    }
}

/// The server's words, where it refuses the user: at the login, of the virtual host, or of what the
/// user wants to do.
fn refusal(error: &lapin::Error) -> Option<String> {
    let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return None };
    let is_refusal = matches!(
        error.kind(),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
    );
    is_refusal.then(|| error.get_message().to_string())
}

pub(super) fn parse(options: &RabbitOptions) -> Result<AMQPUri, BrokerError> {
    options.url.expose().parse().map_err(|_why: String| BrokerError::InvalidUrl)
}

/// Opens a connection; `role` shows in RabbitMQ's list of connections.
pub(super) async fn connect(options: &RabbitOptions, role: &str) -> Result<Connection, BrokerError> {
    let mut uri = parse(options)?;
    uri.query.heartbeat.get_or_insert(options.heartbeat_s);
    let name = format!("flashsale {role}");
    // The driver's own recovery is off: it does not cover channel errors. Supervisors rebuild
    // everything.
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    Ok(Connection::connect_uri(uri, properties).await?)
}

/// Bounds the opening of a connection as a whole: a broker that is just starting accepts
/// connections and then may never answer the declaration of a queue.
pub(super) async fn with_timeout<T>(
    options: &RabbitOptions,
    opening: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    timeout(options.connect_timeout, opening).await.unwrap_or(Err(BrokerError::NotConnected))
}
