//! `GET /products/{product}/purchase`: whether a user has bought.

use actix_web::{HttpResponse, web::Data};

use super::{input::UserQuery, product::product_page, receipt::receipt_url, text};
use crate::{
    checkout::{Checkout, PurchaseStatus},
    domain::UserId,
    http::{
        extract::ProductParam,
        pages::{Notice, see_other},
        problem::Problem,
    },
    observability::Severity,
};

pub(super) async fn purchase(
    product: ProductParam,
    query: UserQuery,
    checkout: Data<Checkout>,
) -> Result<HttpResponse, Problem> {
    let given = query.0.unwrap_or_default();
    let user = match UserId::parse(given.trim()) {
        Ok(user) => user,
        Err(error) => {
            let notice = Notice::new(Severity::Error, error.to_string());
            return Ok(product_page(&checkout, &product, &given, Some(notice)).await);
        }
    };
    let notice = match checkout.reader.status(&product.id, &user).await? {
        PurchaseStatus::Purchased(purchase, _) => return Ok(see_other(&receipt_url(&purchase))),
        PurchaseStatus::Revoked(revocation) => {
            let (word, _) = text::state(revocation.state);
            let text = format!("The purchase of {user} was {}. {}", word.to_lowercase(), revocation.reason);
            Notice::new(Severity::Error, text)
        }
        PurchaseStatus::None => Notice::new(Severity::Warning, format!("{user} has not bought one.")),
    };
    Ok(product_page(&checkout, &product, user.as_str(), Some(notice)).await)
}
