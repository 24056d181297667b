//! What operators decide about purchases, through the commands, on real servers.

mod cancel;
mod erase;
mod export;
mod import;

use serde_json::Value;

use crate::{
    embedded::Embedded,
    support::{
        SOON,
        http::{get, ready},
        process::Flashsale,
        services::Services,
    },
};

/// Runs an operator's command to its end: its code, what it printed, and its log.
pub(crate) async fn operate(services: &Services, arguments: &[&str]) -> (Option<i32>, String) {
    ended(services.spawn(arguments, &[("USER", "ada")])).await
}

async fn operate_embedded(embedded: &Embedded, arguments: &[&str]) -> (Option<i32>, String) {
    ended(embedded.spawn(arguments, &[("USER", "ada")])).await
}

async fn ended(mut process: Flashsale) -> (Option<i32>, String) {
    let code = process.ended(SOON).await.code();
    (code, format!("{}\n{}", process.printed(), process.log()))
}

/// A `work` and a `serve` that are ready, and the URL of the API.
pub(crate) struct System {
    pub(crate) work: Flashsale,
    _serve: Flashsale,
    pub(crate) api: String,
}

pub(crate) async fn system(services: &Services, products: &str) -> System {
    let variables = [("FLASHSALE_PRODUCTS", products)];
    let (work, serve) = (services.spawn(&["work"], &variables), services.spawn(&["serve"], &variables));
    let api = serve.api().await;
    ready(&api).await;
    ready(&work.health().await).await;
    System { work, _serve: serve, api }
}

async fn status(api: &str, user: &str) -> Value {
    get(&format!("{api}/sale/purchase/status?userId={user}")).await.body
}

/// The audit of the stores holds, with this law.
async fn audit_holds(services: &Services, products: &str, law: &str) {
    let (code, report) = operate(services, &["--products", products, "audit", "--wait", "20"]).await;
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains(law), "{law} is not in\n{report}");
}
