//! `GET /products/{product}/purchase`: whether a user has bought.

use actix_web::{HttpResponse, web::Data};

use super::{
    input::UserQuery,
    product::{Form, product_page},
    receipt::receipt_url,
    reply::Reply,
    state::Shop,
    text,
};
use crate::{
    checkout::PurchaseStatus,
    domain::UserId,
    http::{
        extract::ProductParam,
        pages::{Numbers, see_other},
        problem::Problem,
    },
    observability::Severity,
};

pub(super) async fn purchase(
    product: ProductParam,
    query: UserQuery,
    shop: Data<Shop>,
    numbers: Numbers,
) -> Result<HttpResponse, Problem> {
    let given = query.0.unwrap_or_default();
    let user = match UserId::parse(given.trim()) {
        Ok(user) => user,
        Err(error) => {
            return Ok(
                product_page(&shop, &numbers, &product, &given, Some((Form::Lookup, error.into()))).await
            );
        }
    };
    let reply = match shop.checkout.reader.status(&product.id, &user).await? {
        PurchaseStatus::Purchased(purchase, _) => {
            return Ok(see_other(&receipt_url(&shop.site, &purchase)));
        }
        PurchaseStatus::Revoked(revocation) => {
            Reply::notice(Severity::Error, text::revoked(&user, &revocation))
        }
        PurchaseStatus::None => Reply::notice(Severity::Warning, format!("{user} has not bought one.")),
    };
    Ok(product_page(&shop, &numbers, &product, user.as_str(), Some((Form::Lookup, reply))).await)
}
