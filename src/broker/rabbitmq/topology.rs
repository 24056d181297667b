//! Exchange and queues. Every connection checks that they exist, and declares them only where
//! something is missing: the first one, and the first one after a loss. So a user who may declare
//! nothing can use what is declared. The queue of purchases is bound by the leader alone
//! (`bindings.rs`).

use lapin::{
    Channel, Connection, ExchangeKind,
    options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{AMQPValue, FieldTable, LongString, ShortString},
};

use crate::broker::BrokerError;
use crate::domain::{ProductId, SystemId};

/// Redeliveries after which RabbitMQ itself dead-letters a message. High, because every crash
/// of a worker counts as one; a message that can never succeed is recognised by its content,
/// not by its age.
const DELIVERY_LIMIT: i64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
pub(super) enum Passage {
    Lasting,
    Temporary,
}

/// Names of exchange and queues.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Direct exchange, and the queue of admitted purchases: `<prefix>.purchases`.
    pub purchases: String,
    /// Dead-letter queue: `<prefix>.purchases.dead`. Also the routing key.
    pub dead: String,
    pub(super) prefix: String,
}

impl Topology {
    /// The names under a prefix.
    pub fn new(prefix: &str) -> Self {
        Self {
            purchases: format!("{prefix}.purchases"),
            dead: format!("{prefix}.purchases.dead"),
            prefix: prefix.to_owned(),
        }
    }

    /// The routing key of messages of one product and epoch.
    pub(super) fn routing_key(product: &ProductId, epoch: u64) -> ShortString {
        format!("{product}.{epoch}").into()
    }

    /// The exchange between the one of purchases and their queue: the bindings to it are the epochs
    /// that reach the queue, and end with it. `Passage::Temporary` takes its place meanwhile.
    pub(super) fn passage(&self, passage: Passage) -> ShortString {
        let name = match passage {
            Passage::Lasting => "open",
            Passage::Temporary => "opening",
        };
        format!("{}.{name}", self.purchases).into()
    }

    /// The name of exchange and queue, for the driver.
    pub(super) fn purchases(&self) -> ShortString {
        self.purchases.as_str().into()
    }

    /// The name of the dead-letter queue, for the driver.
    pub(super) fn dead(&self) -> ShortString {
        self.dead.as_str().into()
    }

    /// Makes sure that everything is there and is this system's. Fails if another
    /// system has the prefix.
    pub(super) async fn ensure(&self, connection: &Connection, system: SystemId) -> Result<(), BrokerError> {
        // RabbitMQ closes the channel of a passive declaration that fails.
        let asking = connection.create_channel().await?;
        match self.find(&asking, system).await {
            Ok(()) => return Ok(asking.close(200, "done".into()).await?),
            Err(error) if is_soft(&error, &AMQPSoftError::NOTFOUND) => {}
            Err(error) => return Err(error.into()),
        }
        let declaring = connection.create_channel().await?;
        match self.declare(&declaring, system).await {
            Err(BrokerError::AccessRefused(words)) => Err(self.not_declared(connection, system, words).await),
            declared => declared,
        }
    }

    /// Asks for everything, and changes nothing.
    async fn find(&self, channel: &Channel, system: SystemId) -> Result<(), lapin::Error> {
        for exchange in [self.claim(system), self.purchases()] {
            let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
            channel.exchange_declare(exchange, ExchangeKind::Direct, passive, FieldTable::default()).await?;
        }
        for queue in [self.dead(), self.purchases()] {
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(queue, passive, FieldTable::default()).await?;
        }
        Ok(())
    }

    /// Why a user who may not declare does not find everything.
    async fn not_declared(&self, connection: &Connection, system: SystemId, words: String) -> BrokerError {
        let is_there = async |exchange: ShortString| {
            let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
            let asking = connection.create_channel().await?;
            asking.exchange_declare(exchange, ExchangeKind::Direct, passive, FieldTable::default()).await
        };
        if is_there(self.claim(system)).await.is_err() && is_there(self.owner()).await.is_ok() {
            return BrokerError::ForeignSystem(self.prefix.clone());
        }
        BrokerError::NotDeclared(words)
    }

    /// Declares everything; what is there already stays as it is. Fails if another
    /// system has the prefix.
    pub(super) async fn declare(&self, channel: &Channel, system: SystemId) -> Result<(), BrokerError> {
        self.claim_prefix(channel, system).await?;
        let exchange = self.purchases();
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel
            .exchange_declare(exchange.clone(), ExchangeKind::Direct, durable, FieldTable::default())
            .await?;
        for (name, arguments) in [(&self.dead, dead_arguments()), (&self.purchases, self.arguments())] {
            channel.queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), arguments).await?;
        }
        let (dead, options) = (self.dead(), QueueBindOptions::default());
        Ok(channel.queue_bind(dead.clone(), exchange, dead, options, FieldTable::default()).await?)
    }

    /// Declares an exchange with the system's id in an argument. RabbitMQ keeps the arguments of
    /// the first declaration, and refuses a later one in which this argument differs.
    ///
    /// Arguments can be compared only by a user who may declare. For the others there is a second
    /// exchange with the id in its name. It is bound to the first one and deletes itself when that
    /// is deleted, so it is there exactly as long as the prefix is this system's.
    async fn claim_prefix(&self, channel: &Channel, system: SystemId) -> Result<(), BrokerError> {
        let (owner, claim) = (self.owner(), self.claim(system));
        let mut arguments = FieldTable::default();
        // Of an exchange's arguments RabbitMQ compares this one alone.
        arguments.insert("alternate-exchange".into(), text(claim.as_str()));
        let options =
            ExchangeDeclareOptions { durable: true, internal: true, ..ExchangeDeclareOptions::default() };
        match channel.exchange_declare(owner.clone(), ExchangeKind::Direct, options, arguments).await {
            Err(error) if is_soft(&error, &AMQPSoftError::PRECONDITIONFAILED) => {
                return Err(BrokerError::ForeignSystem(self.prefix.clone()));
            }
            declared => declared?,
        }
        let options = ExchangeDeclareOptions { auto_delete: true, ..options };
        channel.exchange_declare(claim.clone(), ExchangeKind::Direct, options, FieldTable::default()).await?;
        let (options, arguments) = (ExchangeBindOptions::default(), FieldTable::default());
        Ok(channel.exchange_bind(owner, claim, "".into(), options, arguments).await?)
    }

    fn owner(&self) -> ShortString {
        format!("{}.owner", self.prefix).into()
    }

    fn claim(&self, system: SystemId) -> ShortString {
        format!("{}.owner.{system}", self.prefix).into()
    }

    fn arguments(&self) -> FieldTable {
        let mut arguments = dead_arguments();
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
        for (key, value) in [
            ("x-dead-letter-exchange", self.purchases.as_str()),
            ("x-dead-letter-routing-key", self.dead.as_str()),
            // A message leaves this queue only when the dead-letter queue has confirmed it.
            ("x-dead-letter-strategy", "at-least-once"),
            ("x-overflow", "reject-publish"),
        ] {
            arguments.insert(key.into(), text(value));
        }
        arguments
    }
}

fn is_soft(error: &lapin::Error, kind: &AMQPSoftError) -> bool {
    let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(error.kind(), AMQPErrorKind::Soft(found) if found == kind)
}

/// A quorum queue is replicated, and confirms after its log is on disk. Reading a dead letter
/// counts as a delivery: without a limit of its own, newer versions of RabbitMQ would drop one
/// after 20 reads.
fn dead_arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(i32::MAX.into()));
    arguments
}

pub(super) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}
