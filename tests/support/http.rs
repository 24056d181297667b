//! Requests to our own servers.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{SOON, eventually};

/// A client with room for a crowd.
pub(crate) fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().timeout(Duration::from_secs(30));
    builder.redirect(reqwest::redirect::Policy::none()).build().expect("client")
}

/// An answer: status, content type, JSON body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// Sends a request, if the server can be reached.
pub(crate) async fn try_send(request: reqwest::RequestBuilder) -> Option<Answer> {
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.ok()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Some(Answer { status, headers, body })
}

pub(crate) async fn get(url: &str) -> Answer {
    try_send(client().get(url)).await.unwrap_or_else(|| panic!("{url} can't be reached"))
}

/// One purchase attempt at the first product.
pub(crate) async fn buy(client: &reqwest::Client, api: &str, user: &str) -> Answer {
    buy_at(client, &format!("{api}/sale/buy"), user).await
}

/// One purchase attempt at this URL.
pub(crate) async fn buy_at(client: &reqwest::Client, url: &str, user: &str) -> Answer {
    let request = client.post(url).json(&json!({ "userId": user }));
    try_send(request).await.unwrap_or_else(|| panic!("{url} can't be reached"))
}

/// Waits until everything is connected and every sale is ready.
pub(crate) async fn ready(api: &str) {
    let url = format!("{api}/readyz");
    eventually("ready", SOON, async || {
        let answer = try_send(client().get(&url)).await?;
        let all = answer.body["dependencies"].as_array()?.iter().all(|one| one["ready"] == json!(true));
        (answer.status == 200 && all).then_some(())
    })
    .await;
}

/// Waits until attempts would be refused: readiness is up to a second old.
pub(crate) async fn not_ready(api: &str) {
    let url = format!("{api}/readyz");
    eventually("not ready", SOON, async || (try_send(client().get(&url)).await?.status == 503).then_some(()))
        .await;
}

/// Sends bytes as they are, and reads until the server closes the connection.
pub(crate) async fn until_closed(base: &str, bytes: &[u8]) -> String {
    let address = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("connect");
    stream.write_all(bytes).await.expect("write");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(read.is_ok(), "the connection stays open after {answer}");
    answer
}

/// Sends bytes as they are, and reads until the server closes or falls silent.
pub(crate) async fn raw(base: &str, bytes: &[u8]) -> String {
    let address = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("connect");
    stream.write_all(bytes).await.expect("write");
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while let Ok(Ok(length)) = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut part)).await {
        if length == 0 {
            break;
        }
        answer.extend_from_slice(&part[..length]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
