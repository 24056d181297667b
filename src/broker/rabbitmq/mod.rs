//! The broker on RabbitMQ.

mod connect;
mod consumer;
mod dead_letters;
mod headers;
mod publisher;
mod topology;

pub use consumer::{Acknowledge, Consumer, Delivery, QueueState};
pub use dead_letters::{DeadLetter, DeadLetters};
pub use publisher::RabbitPublisher;
pub use topology::Topology;
