//! What operators decide about a running sale and its purchases.

use async_trait::async_trait;

use super::AdmissionError;
use crate::domain::{ProductId, Purchase, Terms, UserId};

/// The operations that make a sale follow what operators have decided.
#[async_trait]
pub trait OperatorDecisions: Send + Sync {
    /// Takes a purchase out of the sale that the ledger has as cancelled. Its unit is withheld, or
    /// returns; its user may buy again, or the right is used up. False: there is no such purchase,
    /// or it is cancelled here.
    async fn cancel(
        &self,
        cancelled: &Purchase,
        keeps_unit: bool,
        may_buy_again: bool,
    ) -> Result<bool, AdmissionError>;

    /// Uses up the rights of users who bought elsewhere, unless they have a purchase here.
    /// `earlier` are of one product, and have no unit.
    async fn bar(&self, earlier: &[Purchase]) -> Result<(), AdmissionError>;

    /// Gives what a user has to another name, which must be new. False: a purchase of the user is
    /// still on its way under the present name, or the other name is not new.
    async fn rename(
        &self,
        product: &ProductId,
        user: &UserId,
        pseudonym: &UserId,
    ) -> Result<bool, AdmissionError>;

    /// Changes the terms of a running sale. False: the sale is of another epoch, or more units are
    /// handed out than the new total.
    async fn configure(&self, product: &ProductId, epoch: u64, terms: &Terms)
    -> Result<bool, AdmissionError>;
}
