//! Decorators: each operation goes to the decorated store, unless the decorator has its own.

mod admission;
mod broker;

pub(crate) use admission::AdmissionDecorator;
pub(crate) use broker::BrokerDecorator;

/// A store with the operations of a decorator.
#[derive(Debug)]
pub(crate) struct Decorated<D>(pub(crate) D);
