//! Publishing one message, and awaiting its confirm.

use lapin::{
    BasicProperties, Channel, Confirmation,
    options::BasicPublishOptions,
    types::{FieldTable, ShortString},
};

use crate::broker::BrokerError;
use crate::runtime::crash_points::crash_point;

/// The exchange that leads to each queue by its name.
pub(super) const DEFAULT_EXCHANGE: &str = "";

pub(super) async fn send(
    channel: &Channel,
    exchange: &str,
    routing_key: ShortString,
    body: &[u8],
    headers: FieldTable,
) -> Result<(), BrokerError> {
    let properties = BasicProperties::default()
        .with_delivery_mode(2) // persistent
        .with_content_type("application/json".into())
        .with_headers(headers);
    // Mandatory: a message that no queue takes is returned instead of vanishing.
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel.basic_publish(exchange.into(), routing_key, options, body, properties).await?;
    crash_point!("broker-after-publish");
    match confirm.await? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_returned)) => Err(BrokerError::Unroutable),
        Confirmation::Nack(_) => Err(BrokerError::Unconfirmed("refused")),
        Confirmation::NotRequested => Err(BrokerError::Unconfirmed("confirms are off")),
    }
}
