//! The mistakes that the audit and the simulator must find, each as a decorator of a store.

mod admission;
mod broker;
pub(crate) mod decorator;
mod ledger;

use std::sync::Arc;

use flashsale::{admission::Scripts, stores::Stores};
use redis::aio::ConnectionLike;

use self::{
    admission::{CheckThenDecrement, HidesState, ResetStock, TimeOutIsSoldOut},
    broker::{WrongBroker, WrongConsumer},
    ledger::NothingDoneIsSuccess,
};

use self::decorator::Decorated;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    AckBeforeCommit,
    DeleteBeforeCommit,
    ResetStock,
    CheckThenDecrement,
    NothingDoneIsSuccess,
    NoDuplicateCheck,
    RebuildIgnoresQueue,
    TimeOutIsSoldOut,
}

impl Mutant {
    pub(crate) const ALL: [Self; 8] = [
        Self::AckBeforeCommit,
        Self::DeleteBeforeCommit,
        Self::ResetStock,
        Self::CheckThenDecrement,
        Self::NothingDoneIsSuccess,
        Self::NoDuplicateCheck,
        Self::RebuildIgnoresQueue,
        Self::TimeOutIsSoldOut,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AckBeforeCommit => "ack-before-commit",
            Self::DeleteBeforeCommit => "delete-before-commit",
            Self::ResetStock => "reset-stock",
            Self::CheckThenDecrement => "check-then-decrement",
            Self::NothingDoneIsSuccess => "nothing-done-is-success",
            Self::NoDuplicateCheck => "no-duplicate-check",
            Self::RebuildIgnoresQueue => "rebuild-ignores-queue",
            Self::TimeOutIsSoldOut => "time-out-is-sold-out",
        }
    }

    /// The scripts that admission runs.
    pub(crate) fn scripts(self) -> Scripts {
        match self {
            Self::NoDuplicateCheck => admission::no_duplicate_check(),
            _ => Scripts::default(),
        }
    }

    /// The stores with the mistake. `connection` leads to the Redis of the admission, whose keys begin with `prefix`.
    pub(crate) fn apply<C>(self, stores: Stores, connection: C, prefix: &str) -> Stores
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        let Stores { admission, broker, ledger } = stores.clone();
        let wrong_broker = |wrong| -> Arc<dyn flashsale::broker::Broker> {
            Arc::new(Decorated(WrongBroker { inner: broker.clone(), admission: admission.clone(), wrong }))
        };
        match self {
            Self::AckBeforeCommit => Stores { broker: wrong_broker(WrongConsumer::AcksAtDelivery), ..stores },
            Self::DeleteBeforeCommit => {
                Stores { broker: wrong_broker(WrongConsumer::SettlesAtDelivery), ..stores }
            }
            Self::ResetStock => Stores { admission: Arc::new(Decorated(ResetStock(admission))), ..stores },
            Self::CheckThenDecrement => {
                let wrong = CheckThenDecrement::new(admission, connection, prefix);
                Stores { admission: Arc::new(wrong), ..stores }
            }
            Self::NothingDoneIsSuccess => Stores { ledger: Arc::new(NothingDoneIsSuccess(ledger)), ..stores },
            Self::NoDuplicateCheck => stores,
            Self::RebuildIgnoresQueue => Stores {
                broker: wrong_broker(WrongConsumer::HidesQueue),
                admission: Arc::new(Decorated(HidesState(admission))),
                ..stores
            },
            Self::TimeOutIsSoldOut => {
                Stores { admission: Arc::new(Decorated(TimeOutIsSoldOut(admission))), ..stores }
            }
        }
    }
}
