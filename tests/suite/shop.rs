//! The shop over HTTP: what browsers get, with and without scripts, and what they are protected from.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
};

use crate::{
    embedded::Embedded,
    support::{
        SOON,
        http::{buy, client, get, ready},
        process::Flashsale,
    },
};

struct Shop {
    _embedded: Embedded,
    _file: tempfile::NamedTempFile,
    serve: Flashsale,
    api: String,
    url: String,
}

/// A shop with one product, whose name is hostile.
async fn shop(more: &str) -> Shop {
    let (embedded, file) = (Embedded::new(), tempfile::NamedTempFile::new().expect("file"));
    let catalogue = format!(
        "[[products]]\nid = \"p\"\nname = '<script>alert(1)</script>'\ndescription = '\"><img src=x onerror=alert(2)>'\n\
         price = \"9.50\"\noriginal_price = \"12\"\ncurrency = \"EUR\"\nimage = \"/assets/meridian-one.svg\"\ntotal_stock = 1200\n{more}"
    );
    std::fs::write(file.path(), catalogue).expect("write");
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))]);
    let (api, url) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    Shop { _embedded: embedded, _file: file, serve, api, url }
}

async fn page(url: &str) -> (reqwest::header::HeaderMap, String) {
    let answer = get(url).await;
    let text = answer.body.as_str().unwrap_or_default().to_owned();
    (answer.headers, text)
}

fn attributes<'page>(page: &'page str, name: &str) -> Vec<&'page str> {
    let mark = format!(" {name}=\"");
    page.split(mark.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn a_page_is_whole_small_safe_and_described() {
    let shop = shop("").await;
    assert_eq!(get(&shop.url).await.header("location"), "/products/p", "straight to the only product");
    let (headers, text) = page(&format!("{}/products/p", shop.url)).await;
    let policy = headers["content-security-policy"].to_str().expect("text");
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'self'"] {
        assert!(policy.contains(part) && !policy.contains("unsafe"), "{policy}");
    }
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["referrer-policy"], "same-origin");
    assert_eq!(headers["cache-control"], "no-store");
    for hostile in ["<script>alert", "<img src=x"] {
        assert!(!text.contains(hostile), "not escaped: {text}");
    }
    for wanted in [
        "<html lang=\"en\">",
        "name=\"viewport\"",
        "<label for=\"userId\">",
        "1,200</b> of <span>1,200</span> left",
        "you save 2.50\u{a0}EUR",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    assert!(!text.contains("onclick") && !text.contains("style=") && !text.contains("<script>"), "{text}");
    assert!(text.matches("<img").count() == text.matches(" alt=").count(), "{text}");
    // All that a first view loads, as it travels.
    let mut bytes = text.len();
    let loaded = attributes(&text, "src").into_iter().chain(attributes(&text, "href"));
    let assets: Vec<_> = loaded.filter(|url| url.contains("/assets/")).collect();
    assert!(assets.len() >= 4, "{assets:?}");
    for asset in assets {
        assert!(asset.starts_with("/assets/"), "{asset} is elsewhere");
        // As it travels, not unpacked.
        let as_it_is = reqwest::Client::builder().no_gzip().build().expect("client");
        let request = as_it_is.get(format!("{}{asset}", shop.url)).header("accept-encoding", "gzip, br");
        let answer = request.send().await.expect("an asset");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-encoding"]),
            (200, &"gzip".parse().expect("value"))
        );
        assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable", "{asset}");
        let etag = answer.headers()["etag"].clone();
        bytes += answer.bytes().await.expect("bytes").len();
        let again = client().get(format!("{}{asset}", shop.url)).header("if-none-match", etag).send().await;
        assert_eq!(again.expect("an asset").status(), 304);
    }
    assert!(bytes < 60_000, "{bytes} bytes");
}

async fn post(shop: &Shop, user: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let mut request = client().post(format!("{}/products/p/buy", shop.url));
    request = request.header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(format!("userId={user}")).send().await.expect("an answer")
}

#[tokio::test]
async fn a_form_from_elsewhere_buys_nothing() {
    let shop = shop("").await;
    for headers in [
        [("origin", "https://evil.example"), ("accept", "*/*")],
        [("origin", "null"), ("accept", "*/*")],
        [("sec-fetch-site", "cross-site"), ("accept", "*/*")],
        [("sec-fetch-site", "same-site"), ("accept", "application/json")],
    ] {
        assert_eq!(post(&shop, "victim", &headers).await.status(), 403, "{headers:?}");
    }
    assert_eq!(get(&format!("{}/sale/stock", shop.api)).await.body["stock"], json!(1_200));
    let own = shop.url.clone();
    assert_eq!(post(&shop, "honest", &[("origin", own.as_str())]).await.status(), 303);
    assert_eq!(post(&shop, "honest-too", &[("sec-fetch-site", "same-origin")]).await.status(), 303);
}

/// The proxy says another host than the browser: without its port, or the name by which it knows this server.
#[tokio::test]
async fn a_form_of_a_public_address_buys_whatever_host_the_proxy_sends() {
    let embedded = Embedded::new();
    let public = "https://shop.example:443, http://shop.example:8080";
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_WEB_PUBLIC_URL", public)]);
    ready(&serve.api().await).await;
    let url = format!("{}/products/limited-001/buy", serve.shop().await);
    let form = |origin: &str, site: Option<&str>, host: &str| {
        let request = client().post(&url).header("origin", origin).header("host", host);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body("userId=ada");
        site.into_iter().fold(request, |request, site| request.header("sec-fetch-site", site)).send()
    };
    for (origin, site, host, status) in [
        ("https://shop.example", Some("same-origin"), "web:3000", 303),
        ("https://shop.example", None, "web:3000", 303),
        ("http://shop.example:8080", None, "shop.example", 303),
        // From one address of the shop to another one.
        ("https://shop.example", Some("cross-site"), "shop.example:8080", 303),
        // Without a proxy.
        ("http://192.0.2.1:3000", None, "192.0.2.1:3000", 303),
        ("http://192.0.2.1", None, "192.0.2.1:80", 303),
        ("http://shop.example", None, "web:3000", 403),
        ("https://shop.example:8443", None, "shop.example", 403),
        ("https://evil.example", None, "shop.example", 403),
        ("https://evil.example", Some("cross-site"), "shop.example", 403),
        ("null", None, "shop.example", 403),
    ] {
        let answer = form(origin, site, host).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{origin} {site:?} {host}");
    }
    // An operator is told what to do, once for each origin: another site's forms do not hide the shop's.
    serve.logs("a page of \"null\"").await;
    let log = serve.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("a form was refused")).collect();
    let origins = ["http://shop.example", "https://shop.example:8443", "https://evil.example", "null"];
    assert_eq!(told.len(), origins.len(), "{log}");
    for (line, origin) in told.iter().zip(origins) {
        assert!(line.contains(&format!("\"{origin}\"")) && line.contains("set web.public_url"), "{line}");
    }
}

#[tokio::test]
async fn a_purchase_has_a_receipt_with_an_address_of_its_own() {
    let shop = shop("").await;
    let bought = post(&shop, "ada", &[]).await;
    let cookie = bought.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(
        cookie.starts_with("visitor=ada;")
            && cookie.contains("SameSite=Strict")
            && cookie.contains("HttpOnly"),
        "{cookie}"
    );
    let address = bought.headers()["location"].to_str().expect("text").to_owned();
    let (_, receipt) = page(&format!("{}{address}", shop.url)).await;
    for wanted in ["No. 1<", "of 1,200", "Confirmed", ">ada<"] {
        assert!(receipt.contains(wanted), "{wanted} is not in {receipt}");
    }
    let (short, _) = address.split_once('?').expect("a query");
    assert!(page(&format!("{}{short}", shop.url)).await.1.contains("No. 1<"), "known by its id alone");
    let asked = get(&format!("{}/products/p/purchase?userId=ada", shop.url)).await;
    assert_eq!(asked.header("location"), address, "have I bought?");
    // For scripts, the same without a page load; a second try names the same purchase.
    let script = post(&shop, "ada", &[("accept", "application/json")]).await;
    let notice: Value = script.json().await.expect("JSON");
    assert_eq!(
        (&notice["title"], &notice["number"], &notice["of"], &notice["receipt"]),
        (&json!("You already have one."), &json!("No. 1"), &json!("of 1,200"), &json!(address))
    );
    let state =
        client().get(format!("{}{address}", shop.url)).header("accept", "application/json").send().await;
    assert_eq!(state.expect("an answer").json::<Value>().await.expect("JSON")["state"], json!("CONFIRMED"));
    for unknown in ["/purchases/none", "/purchases/01a20ae6-dc82-703f-b9d3-b673daf8f0ce"] {
        assert_eq!(get(&format!("{}{unknown}", shop.url)).await.status, 404);
    }
    let with_cookie =
        client().get(format!("{}/products/p", shop.url)).header("cookie", "visitor=ada").send().await;
    let page = with_cookie.expect("a page").text().await.expect("text");
    assert!(page.contains("value=\"ada\"") && page.contains(" data-bought"), "{page}");
    assert!(page.contains("It&#39;s yours.") && page.contains("No. 1"), "{page}");
}

#[tokio::test]
async fn an_id_of_any_signs_is_remembered() {
    let shop = shop("").await;
    let user = "anna+vip@example.com;a=\"b\"&c%26<d>,\\'";
    let form: String = url::form_urlencoded::byte_serialize(user.as_bytes()).collect();
    let bought = post(&shop, &form, &[]).await;
    let cookie = bought.headers()["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let again = client().get(format!("{}/products/p", shop.url)).header("cookie", cookie).send().await;
    let page = again.expect("a page").text().await.expect("text");
    let shown = user.replace('&', "&#38;").replace('"', "&#34;").replace('\'', "&#39;");
    let shown = shown.replace('<', "&#60;").replace('>', "&#62;");
    assert!(page.contains(&format!("dir=\"auto\">{shown}<")) && page.contains("It&#39;s yours."), "{page}");
}

/// A link that was written by hand has a plus sign in an id as it is; a form has one for each space that was typed.
#[tokio::test]
async fn a_plus_sign_in_a_link_means_itself_and_in_a_form_a_space() {
    let shop = shop("").await;
    let bought = post(&shop, "anna%2Bvip%40example.com", &[]).await;
    let receipt = bought.headers()["location"].to_str().expect("text").to_owned();
    let (_, filled) = page(&format!("{}/products/p?userId=anna+vip@example.com", shop.url)).await;
    assert!(filled.contains("value=\"anna+vip@example.com\""), "{filled}");
    let lookup = format!("{}/products/p/purchase", shop.url);
    for query in ["userId=anna+vip@example.com", "typed=+anna%2Bvip%40example.com+"] {
        assert_eq!(get(&format!("{lookup}?{query}")).await.header("location"), receipt, "{query}");
    }
    let (_, wrong) = page(&format!("{lookup}?typed=anna+vip")).await;
    assert!(wrong.contains("no spaces") && wrong.contains("value=\"anna vip\""), "{wrong}");
    let (address, _) = receipt.split_once('?').expect("a query");
    let by_hand = format!("{}{address}?product=p&userId=anna+vip@example.com", shop.url);
    assert!(page(&by_hand).await.1.contains(">anna+vip@example.com<"));
    assert!(filled.contains("id=\"who\" name=\"typed\""), "the form that asks: {filled}");
}

/// A listener: the lines of its stream, and what keeps it open.
async fn listen(url: &str, last_event_id: &str) -> (Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf) {
    let (reader, mut writer) =
        TcpStream::connect(url.trim_start_matches("http://")).await.expect("connect").into_split();
    let request = format!("GET /sale/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: {last_event_id}\r\n\r\n");
    writer.write_all(request.as_bytes()).await.expect("write");
    (BufReader::new(reader).lines(), writer)
}

/// The next event: its id and data.
async fn event(lines: &mut Lines<BufReader<OwnedReadHalf>>) -> (String, Value) {
    let reading = async {
        let mut id = String::new();
        loop {
            let line = lines.next_line().await.expect("read").expect("a line");
            if let Some(text) = line.strip_prefix("id: ") {
                text.clone_into(&mut id);
            }
            // A heartbeat has no data.
            if let Some(data) = line.strip_prefix("data: ").filter(|data| !data.is_empty()) {
                return (id, serde_json::from_str(data).expect("JSON"));
            }
        }
    };
    tokio::time::timeout(SOON, reading).await.expect("an event in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_hear_of_changes_and_resume_where_they_were() {
    let mut shop = shop("").await;
    let (mut lines, writer) = listen(&shop.url, "").await;
    let (first_id, first) = event(&mut lines).await;
    assert_eq!(
        (&first["phase"], &first["stock"], &first["sold"]),
        (&json!("ACTIVE"), &json!(1_200), &json!(0))
    );
    assert!(first["now"].is_i64() && first["closesAt"].is_null(), "{first}");
    buy(&client(), &shop.api, "ada").await;
    let (second_id, second) = event(&mut lines).await;
    assert_eq!((&second["stock"], &second["sold"]), (&json!(1_199), &json!(1)));
    assert_ne!(first_id, second_id);
    // A client that has the latest event gets the next one only after a change.
    let (mut resumed, _held) = listen(&shop.url, &second_id).await;
    buy(&client(), &shop.api, "grace").await;
    assert_eq!(event(&mut resumed).await.1["stock"], json!(1_198));
    let (mut behind, _held) = listen(&shop.url, &first_id).await;
    assert_eq!(event(&mut behind).await.1["stock"], json!(1_198));
    drop(writer);
    // Event streams do not delay the end of the process.
    shop.serve.signal(rustix::process::Signal::TERM);
    assert_eq!(shop.serve.ended(Duration::from_secs(10)).await.code(), Some(0));
}

/// A proxy may speak HTTP/1.0, in which there are no chunks, also where it would keep the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_http_1_0_ends_with_its_connection() {
    let mut shop = shop("").await;
    let mut answers = Vec::new();
    for connection in ["close", "keep-alive"] {
        let mut stream = TcpStream::connect(shop.url.trim_start_matches("http://")).await.expect("connect");
        let request = format!("GET /products/p/events HTTP/1.0\r\nConnection: {connection}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("write");
        let first_event = async {
            let mut answer = Vec::new();
            while !answer.ends_with(b"}\n\n") {
                assert!(stream.read_buf(&mut answer).await.expect("read") > 0, "an end before an event");
            }
            answer
        };
        let answer = tokio::time::timeout(SOON, first_event).await.expect("an event");
        answers.push((stream, answer));
    }
    // The end of the process is the end of its streams.
    shop.serve.signal(rustix::process::Signal::TERM);
    for (mut stream, mut answer) in answers {
        tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.expect("an end").expect("read");
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
        for header in ["transfer-encoding", "content-length", "keep-alive"] {
            assert!(!head.contains(header), "{head}");
        }
        assert!(body.starts_with("retry: 2000\nid: ") && body.ends_with("\n\n"), "{body}");
    }
    assert_eq!(shop.serve.ended(Duration::from_secs(10)).await.code(), Some(0));
}

/// Many listen: little memory, and the same news for all.
#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_listeners_cost_little() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, most).expect("more files");
    let shop = shop("").await;
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", shop.serve.id())).expect("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let before = resident();
    let mut listeners = Vec::new();
    for _ in 0..2_000 {
        let (mut lines, writer) = listen(&shop.url, "").await;
        event(&mut lines).await;
        listeners.push((lines, writer));
    }
    buy(&client(), &shop.api, "ada").await;
    for (lines, _) in &mut listeners {
        assert_eq!(event(lines).await.1["stock"], json!(1_199));
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 100 * 1024, "{grown} KiB for 2,000 listeners");
    let mut stream = TcpStream::connect(shop.url.trim_start_matches("http://")).await.expect("connect");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("write");
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await.expect("answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn what_is_not_open_says_so_and_when() {
    let shop = shop("sale_start = \"2099-01-01T00:00:00Z\"\nsale_end = \"2099-01-02T00:00:00Z\"").await;
    let (_, text) = page(&format!("{}/products/p", shop.url)).await;
    for wanted in [
        "Coming soon",
        "<time datetime=\"2099-01-01T00:00:00Z\">1 January 2099, 00:00 UTC</time>",
        "<button form=\"buy\" disabled>Not open yet</button>",
        "http-equiv=\"refresh\" content=\"300\"",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    let answer = post(&shop, "early", &[]).await;
    assert!(answer.text().await.expect("text").contains("It is not open yet."));
}

/// Where and how a page is read is the reader's: digits, groups and separators by `Accept-Language`, the direction of a
/// text by the text. The places of a price are the currency's.
#[tokio::test]
async fn prices_numbers_and_texts_are_laid_out_for_their_reader() {
    let (embedded, file) = (Embedded::new(), tempfile::NamedTempFile::new().expect("file"));
    let catalogue = "[[products]]\nid = \"p\"\nname = \"ساعة مكتب\"\nprice = \"12500000\"\noriginal_price = \"13000000.5\"\n\
        currency = \"IDR\"\ntotal_stock = 1200\ndescription = \"\"\"\nساعة نحاسية.\n\nFirst line.\nSecond line.\n\n\n<b>Last.</b>\"\"\"";
    std::fs::write(file.path(), catalogue).expect("write");
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))]);
    let (api, shop) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    buy(&client(), &api, "ada").await;
    let read = async |path: &str, language: &str| {
        let request = client().get(format!("{shop}{path}")).header("accept-language", language);
        request.send().await.expect("an answer").text().await.expect("text")
    };
    let german = [
        "12.500.000,00\u{a0}IDR",
        "13.000.000,50\u{a0}IDR",
        "you save 500.000,50\u{a0}IDR",
        "1.199</b> of <span>1.200</span>",
    ];
    let english = [
        "12,500,000.00\u{a0}IDR",
        "13,000,000.50\u{a0}IDR",
        "you save 500,000.50\u{a0}IDR",
        "1,199</b> of <span>1,200</span>",
    ];
    for (language, locale, texts) in
        [("de-AT;q=0.5,de", "de", german), ("", "en", english), ("%,;;", "en", english)]
    {
        let page = read("/products/p", language).await;
        for text in texts {
            assert!(page.contains(text), "{language}: {text} is not in {page}");
        }
        assert!(page.contains(&format!("data-locale=\"{locale}\"")), "{page}");
        let receipt = read("/products/p/purchase?userId=ada", language).await;
        assert!(receipt.is_empty(), "a redirection: {receipt}");
    }
    let bought = get(&format!("{shop}/products/p/purchase?userId=ada")).await;
    let receipt = read(bought.header("location"), "de").await;
    assert!(receipt.contains(german[0]) && receipt.contains("of 1.200<"), "{receipt}");
    let page = read("/products/p", "de").await;
    let description = "<div class=\"lede\"><p dir=\"auto\">ساعة نحاسية.</p><p dir=\"auto\">First line.\nSecond line.</p>\
                       <p dir=\"auto\">&#60;b&#62;Last.&#60;/b&#62;</p></div>";
    assert!(page.contains(description), "{page}");
    assert!(page.contains("<h1 dir=\"auto\">ساعة مكتب</h1>"), "{page}");
}

/// Of one's own pictures, and of what they could do.
#[tokio::test]
async fn pictures_of_ones_own_are_served_with_hashes_and_types() {
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";
    const SVG: &[u8] =
        b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let media = tempfile::tempdir().expect("a folder");
    for (name, bytes) in
        [("lamp.jpg", PNG), ("logo.svg", SVG), ("notes.txt", b"secret"), (".hidden.png", PNG)]
    {
        std::fs::write(media.path().join(name), bytes).expect("write");
    }
    let (embedded, file) = (Embedded::new(), tempfile::NamedTempFile::new().expect("file"));
    let catalogue = "[[products]]\nid = \"p\"\nname = \"Lamp\"\nprice = \"1\"\ncurrency = \"USD\"\nimage = \"lamp.jpg\"\ntotal_stock = 1";
    std::fs::write(file.path(), catalogue).expect("write");
    let variables = [
        ("FLASHSALE_PRODUCTS", file.path().to_str().expect("path")),
        ("FLASHSALE_WEB_MEDIA_DIR", media.path().to_str().expect("path")),
        ("FLASHSALE_SHOP_LOGO", "logo.svg"),
    ];
    let serve = embedded.spawn(&["serve"], &variables);
    let (api, shop) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    let (_, text) = page(&format!("{shop}/products/p")).await;
    let pictures: Vec<_> =
        attributes(&text, "src").into_iter().filter(|url| url.contains("/media/")).collect();
    assert_eq!(pictures.len(), 2, "{text}");
    for (url, content_type, bytes) in [(pictures[1], "image/png", PNG), (pictures[0], "image/svg+xml", SVG)] {
        let answer = client().get(format!("{shop}{url}")).send().await.expect("an answer");
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert_eq!((answer.status().as_u16(), header("content-type").as_str()), (200, content_type), "{url}");
        assert_eq!(header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(
            header("content-security-policy"),
            "sandbox; default-src 'none'; style-src 'unsafe-inline'"
        );
        let etag = header("etag");
        assert_eq!(answer.bytes().await.expect("bytes"), bytes, "{url}");
        let again = client().get(format!("{shop}{url}")).header("if-none-match", etag).send().await;
        assert_eq!(again.expect("an answer").status(), 304);
    }
    // Where the API names it, without a hash: for a short time.
    let image = get(&format!("{api}/sale/status")).await.body["product"]["image"].clone();
    assert_eq!(image, json!("/media/lamp.jpg"));
    let named = get(&format!("{shop}/media/lamp.jpg")).await;
    assert_eq!((named.status, named.header("cache-control")), (200, "public, max-age=60"));
    for none in ["notes.txt", ".hidden.png", "none.png", "..%2Fledger.sqlite3", "%2E%2E/ledger.sqlite3"] {
        assert_eq!(get(&format!("{shop}/media/{none}")).await.status, 404, "{none}");
    }
    // Beside it, of another origin, with the address that the shop has for browsers.
    let public = [
        &variables[..],
        &[("FLASHSALE_WEB_PUBLIC_URL", "https://shop.example/drop/,https://b.example/drop")],
    ];
    let other = Embedded::new();
    let serve_public = other.spawn(&["serve"], &public.concat());
    let api = serve_public.api().await;
    ready(&api).await;
    let named = json!("https://shop.example/drop/media/lamp.jpg");
    assert_eq!(get(&format!("{api}/sale/status")).await.body["product"]["image"], named);
    assert_eq!(get(&format!("{api}/products")).await.body[0]["product"]["image"], named);
    // Pages of other origins may not be loaded, pictures of other origins may.
    let (headers, _) = page(&format!("{shop}/products/p")).await;
    let policy = headers["content-security-policy"].to_str().expect("text");
    assert!(policy.contains("img-src 'self' https:") && !policy.contains("sandbox"), "{policy}");
}

/// A page that loads itself again loses what is being typed.
#[tokio::test]
async fn a_page_with_a_form_never_loads_itself_again() {
    let shop = shop("").await;
    for path in ["/products/p", "/products/p?userId=ada", "/products/p/purchase?userId=nobody"] {
        let (_, text) = page(&format!("{}{path}", shop.url)).await;
        assert!(text.contains("class=\"buy card\"") && !text.contains("http-equiv"), "{path}: {text}");
        assert!(text.contains(">Refresh</a>"), "{path}: {text}");
    }
}

#[tokio::test]
async fn an_opening_can_be_kept_in_a_calendar() {
    let shop = shop("sale_start = \"2099-01-01T00:00:00Z\"\nsale_end = \"2099-01-01T00:10:00Z\"").await;
    let url = format!("{}/products/p/calendar.ics", shop.url);
    let answer = get(&url).await;
    assert_eq!(answer.header("content-type"), "text/calendar; charset=utf-8");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"p.ics\"");
    let file = answer.body.as_str().expect("text");
    for line in [
        "BEGIN:VCALENDAR",
        "UID:p@flashsale",
        "DTSTART:20990101T000000Z",
        "DTEND:20990101T001000Z",
        "SUMMARY:<script>alert(1)</script>: the sale opens",
        "END:VCALENDAR",
    ] {
        assert!(file.split("\r\n").any(|one| one == line), "{line} is not in {file}");
    }
    let open = self::shop("").await;
    assert_eq!(get(&format!("{}/products/p/calendar.ics", open.url)).await.status, 404, "it is open");
}

/// What a script polls where it has no event stream.
#[tokio::test]
async fn a_script_reads_the_sale_at_the_address_of_its_page() {
    let shop = shop("").await;
    let request = client().get(format!("{}/products/p", shop.url)).header("accept", "application/json");
    let sale: Value = request.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(
        (&sale["phase"], &sale["stock"], &sale["total"]),
        (&json!("ACTIVE"), &json!(1_200), &json!(1_200))
    );
    assert!(sale["now"].is_i64(), "{sale}");
    // A problem is told a script as a document, not as a page.
    let request = client().get(format!("{}/products/none", shop.url)).header("accept", "application/json");
    let answer = request.send().await.expect("an answer");
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().expect("text")),
        (404, "application/problem+json")
    );
}

/// Every path that is read or bought at, of the API, the shop and the operations console.
const API_PATHS: &[&str] = &[
    "/sale/status",
    "/sale/stock",
    "/sale/buy",
    "/sale/purchase/status?userId=a",
    "/products",
    "/products/p",
    "/products/p/stock",
    "/products/p/buy",
    "/products/p/purchase?userId=a",
    "/healthz",
    "/readyz",
    "/nothing",
];
const SHOP_PATHS: &[&str] = &[
    "/",
    "/sale/events",
    "/products/p",
    "/products/p/events",
    "/products/p/buy",
    "/products/p/purchase?userId=a",
    "/products/p/calendar.ics",
    "/purchases/0193a000-0000-7000-8000-000000000001",
    "/console",
    "/assets/style.css",
    "/healthz",
];
const CONSOLE_PATHS: &[&str] =
    &["/", "/console", "/console/snapshot", "/audit/p", "/audit/p/counts", "/assets/uplot.js"];

/// The answer to a HEAD of a stream would have no end, and keep its connection and descriptor.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_every_route_ends_and_its_connection_answers_the_next_request() {
    let embedded = Embedded::new();
    let catalogue = tempfile::NamedTempFile::new().expect("file");
    let product =
        "[[products]]\nid = \"p\"\nname = \"P\"\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = 3";
    std::fs::write(catalogue.path(), product).expect("write");
    let variables = [("FLASHSALE_PRODUCTS", catalogue.path().to_str().expect("path"))];
    let serve = embedded.spawn(&["serve"], &variables);
    let (api, shop, console) = (serve.api().await, serve.shop().await, serve.console().await);
    ready(&api).await;
    let token = std::fs::read_to_string(format!("{}/console-token", embedded.data_dir())).expect("token");
    for (url, paths) in [(api, API_PATHS), (shop, SHOP_PATHS), (console, CONSOLE_PATHS)] {
        let address = url.trim_start_matches("http://");
        for path in paths {
            let mut connection = TcpStream::connect(address).await.expect("connect");
            let requests = format!(
                "HEAD {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n\
                 GET /next HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                token.trim()
            );
            connection.write_all(requests.as_bytes()).await.expect("write");
            let mut answers = String::new();
            let reading = connection.read_to_string(&mut answers);
            tokio::time::timeout(SOON, reading).await.expect("an end").expect("answers");
            let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
            assert!(matches!(statuses[..], [_, "404"]), "{url}{path}: {answers}");
            if path.ends_with("/events") {
                assert_eq!(statuses[0], "405");
                assert!(answers.contains("allow: GET\r\n"), "{answers}");
            }
        }
    }
}
