//! The limit to measure against: an actix route that reads a purchase attempt and answers it, and does nothing; and one
//! that answers a GET.
//!
//! `cargo run --release --example noop_route -- 127.0.0.1:3009`, then `POST /` with `{"userId": "…"}`.

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

async fn answer(attempt: web::Json<Attempt>) -> web::Json<Answer> {
    web::Json(Answer { status: "SOLD_OUT", user_id: attempt.into_inner().user_id })
}

async fn look() -> web::Json<Answer> {
    web::Json(Answer { status: "ACTIVE", user_id: "nobody".to_owned() })
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3009".to_owned());
    // As many threads as the product's own server, and its backlog.
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let server =
        HttpServer::new(|| App::new().route("/", web::post().to(answer)).route("/", web::get().to(look)));
    let server = server.workers(workers).backlog(8192).bind(address)?;
    for address in server.addrs() {
        eprintln!("listening on http://{address}/");
    }
    server.run().await
}
