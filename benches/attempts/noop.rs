//! The limit to measure against: a server whose routes parse an attempt and answer it, or answer a
//! GET, and do nothing else.

use actix_web::{App, HttpServer, web};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Attempt {
    #[serde(rename = "userId")]
    user_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: &'static str,
    user_id: String,
}

async fn post(attempt: web::Json<Attempt>) -> web::Json<Answer> {
    web::Json(Answer { status: "SOLD_OUT", user_id: attempt.into_inner().user_id })
}

async fn get() -> web::Json<Answer> {
    web::Json(Answer { status: "ACTIVE", user_id: "nobody".to_owned() })
}

/// Threads and backlog are those of flashsale's own server.
#[actix_web::main]
pub(crate) async fn serve(port: u16) -> std::io::Result<()> {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let server =
        HttpServer::new(|| App::new().route("/", web::post().to(post)).route("/", web::get().to(get)));
    server.workers(workers).backlog(8192).bind(("127.0.0.1", port))?.run().await
}
