//! Why the broker did not do what was asked.

use crate::observability::Outage;
use crate::runtime::Cause;

/// Nothing of it is final: the outbox still has the purchases.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("not connected to RabbitMQ")]
    NotConnected,
    #[error("RabbitMQ has blocked publishers: memory or disk alarm")]
    Blocked,
    /// No queue takes the message: its epoch is fenced, or the queue or its binding is lost.
    #[error("RabbitMQ has no queue for the message")]
    Unroutable,
    /// The broker refused the message, or did not confirm it in time.
    #[error("RabbitMQ did not confirm: {0}")]
    Unconfirmed(&'static str),
    #[error("RabbitMQ's queue has messages, and delivers none to this consumer")]
    Undelivered,
    /// The URL is not quoted, for it may hold a password.
    #[error(
        "its URL can't be read: amqp://user:password@host:port/vhost, and only AMQP's own query parameters"
    )]
    InvalidUrl,
    /// It holds purchases that nothing else has, and so is never replaced without an operator.
    #[error(
        "the dead-letter queue {0} does not answer: repair RabbitMQ; if that is not possible, delete the queue, \
         which loses the purchases that it alone holds, and it is declared anew within a second"
    )]
    DeadLettersSilent(String),
    /// Another process or operator holds the dead letters.
    #[error("the dead letters are in use by another command; try again shortly")]
    DeadLettersInUse,
    /// Another process led a moment ago, and its connection has not ended yet.
    #[error("the bindings of the queue are held by another process")]
    BindingsInUse,
    /// It is refused before anything is sent or received.
    #[error(
        "another flashsale system uses the prefix {0:?} on this RabbitMQ: choose another `prefix`, or, if that \
         system is gone for good, delete the exchange {0}.owner"
    )]
    ForeignSystem(String),
    /// The system's id is part of every message.
    #[error("waiting for the ledger, which has the system's id")]
    SystemUnknown,
    /// With the server's words, which name what is refused.
    #[error(
        "RabbitMQ refuses this user: {0} (docs/OPERATIONS.md lists what each role needs; correct the user, its \
         password, or its permissions)"
    )]
    AccessRefused(String),
    /// With the server's words about what this user may not declare.
    #[error(
        "its exchanges and queues are not declared yet, and this user may not declare them ({0}): start \
         `flashsale work`, or run `flashsale topology`, as a user who may"
    )]
    NotDeclared(String),
    #[error("RabbitMQ failed")]
    Driver(#[source] Cause),
    /// The other end of the in-memory broker has ended, or gave the message up.
    #[error("the worker did not commit the purchase")]
    NotCommitted,
}

impl BrokerError {
    /// What people outside are told.
    pub fn outage(&self) -> Outage {
        match self {
            Self::NotConnected | Self::Driver(_) => Outage::NotConnected,
            Self::Undelivered | Self::DeadLettersSilent(_) => Outage::NoAnswer,
            Self::Blocked => Outage::Blocked,
            Self::ForeignSystem(_) => Outage::ForeignSystem,
            Self::AccessRefused(_) => Outage::AccessDenied,
            Self::NotDeclared(_) => Outage::NotDeclared,
            Self::SystemUnknown => Outage::WaitsForLedger,
            Self::Unroutable | Self::Unconfirmed(_) | Self::NotCommitted => Outage::Unconfirmed,
            Self::InvalidUrl | Self::DeadLettersInUse | Self::BindingsInUse => Outage::Refused,
        }
    }
}
