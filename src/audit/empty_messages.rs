//! Messages without purchases, with which publishers prove that the queue confirms.

use std::time::Duration;

use crate::broker::{Broker, BrokerError, Consumer, Content, QueueState};
use crate::runtime::Runtime;

/// A queue that has messages, and gives none for so long, gives no more to this consumer.
const QUIET: Duration = Duration::from_secs(1);

/// Removes messages without purchases from a queue that no worker reads, as a worker would. The
/// other messages go back to it.
pub(super) async fn remove(broker: &dyn Broker, runtime: &Runtime) -> Result<(), BrokerError> {
    let mut queue = broker.consumer().await?;
    let removed = remove_from(&mut *queue, runtime).await;
    queue.close().await;
    removed
}

async fn remove_from(queue: &mut dyn Consumer, runtime: &Runtime) -> Result<(), BrokerError> {
    let QueueState { ready, consumers } = queue.state().await?;
    if ready == 0 || consumers > 0 {
        return Ok(());
    }
    queue.start().await?;
    let mut held = Vec::new();
    for _ in 0..ready {
        let Some(delivery) = runtime.timeout(QUIET, queue.next()).await else { break };
        let delivery = delivery?;
        if delivery.content == Content::default() {
            delivery.acknowledge.ack().await?;
        } else {
            held.push(delivery);
        }
    }
    Ok(())
}
