//! What buyers and readers ask of a sale: the hot path.

use async_trait::async_trait;

use super::{AdmissionError, Decision, Found};
use crate::domain::{ProductId, PurchaseId, SaleState, UserId};

/// The operations of the hot path, and of reading.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Decides one attempt; `id` becomes the purchase's if the user wins.
    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError>;

    /// Reads the sale as it stands.
    async fn sale(&self, product: &ProductId) -> Result<SaleState, AdmissionError>;

    /// Reads a user's purchase.
    async fn find(&self, product: &ProductId, user: &UserId) -> Result<Found, AdmissionError>;
}
