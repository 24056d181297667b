//! A lock among all clients of one RabbitMQ: an exclusive queue, which ends with its connection.

use std::time::Duration;

use lapin::{
    Channel, Connection,
    options::QueueDeclareOptions,
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{FieldTable, ShortString},
};

use crate::broker::BrokerError;
use crate::runtime::Runtime;

const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Acquires a lock for as long as the returned channel and its connection are open. `None`: another
/// connection has held it all the time up to `wait`.
pub(super) async fn acquire(
    connection: &Connection,
    name: &str,
    wait: Duration,
    runtime: &Runtime,
) -> Result<Option<Channel>, BrokerError> {
    let name = ShortString::from(name);
    let exclusive =
        QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let deadline = runtime.instant() + wait;
    loop {
        // A refusal closes the channel.
        let channel = connection.create_channel().await?;
        match channel.queue_declare(name.clone(), exclusive, FieldTable::default()).await {
            Ok(_) => return Ok(Some(channel)),
            Err(error) if is_held(&error) => {
                if runtime.instant() >= deadline {
                    return Ok(None);
                }
                runtime.sleep(RETRY_INTERVAL).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_held(error: &lapin::Error) -> bool {
    let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED))
}
